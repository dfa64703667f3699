"""Package indexes on this machine for the tests of their probes, and a probe of one."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from envdoctor import decode
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.patient import index_probe

AGENT = 'pip/26.3 {"ci":null}'
PAGE = """<!DOCTYPE html><html>
<head><meta name="pypi:repository-version" content="1.0"><title>Links for torch</title></head>
<body>{links}</body></html>"""
Answer = Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]


def listing(*versions: str, host: str = "") -> bytes:
    links = (
        f'<a href="{host}/packages/torch-{v}-cp312-cp312-manylinux_2_28_x86_64.whl#sha256=0">x</a>' for v in versions
    )
    return PAGE.format(links="\n".join(links)).encode()


def page(content: bytes, kind: str = "text/html") -> Answer:
    return lambda handler: (200, {"Content-Type": kind}, content)


@contextlib.contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def probe(url: str, **how: Any) -> IndexProbe:
    settings = {"user_agent": AGENT, "cert": "", "client_cert": "", "proxy": "", "trusted_hosts": [], **how}
    found = index_probe.probe_all([{"kind": "index", "option": "index-url", "url": url}], settings)
    fact = decode.fact("index-probes", {"probes": found})
    assert isinstance(fact, IndexProbes)
    return fact.probes[0]
