"""Package indexes on this machine, good and bad: nginx where a plain server will do, Python for odd behaviour."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from envdoctor.knowledge.mirrors import expected_release

TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"
NEWEST = expected_release().version
OLD = "2.1.0"
WHEEL_BYTES = 850_000_000
JSON = "application/vnd.pypi.simple.v1+json"
Behaviour = Callable[[BaseHTTPRequestHandler], None]


def wheel_name(version: str, tag: str = TAG) -> str:
    return f"torch-{version}-{tag}-{tag}-manylinux_2_28_x86_64.whl"


def json_page(*versions: str, base: str = "", size: int | None = WHEEL_BYTES) -> bytes:
    """A page of PEP 691. Files lie in /packages/ of `base`."""
    files = [
        {"filename": wheel_name(version, tag), "url": f"{base}/packages/{wheel_name(version, tag)}", "hashes": {}}
        | ({"size": size} if size else {})
        for version in versions
        for tag in ("cp39", TAG)
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "torch", "files": files}).encode()


def html_page(*versions: str, base: str = "") -> bytes:
    """A page of PEP 503."""
    links = "".join(
        f'<a href="{base}/packages/{wheel_name(version)}#sha256=0" data-requires-python="&gt;=3.9">x</a><br>\n'
        for version in versions
    )
    head = '<meta name="pypi:repository-version" content="1.0"><title>Links for torch</title>'
    return f"<!DOCTYPE html><html><head>{head}</head><body>{links}</body></html>".encode()


# ---- certificates


def authority(openssl: str, folder: Path, name: str = "ca") -> Path:
    """A private authority; returns its certificate."""
    _openssl(
        openssl, folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
        f"{name}.pem", "-days", "2", "-subj", f"/CN=lab {name}", "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    return folder / f"{name}.pem"


LOCAL = "IP:127.0.0.1,IP:127.0.0.2,DNS:localhost"


def certificate(
    openssl: str, folder: Path, by: str = "ca", name: str = "site", names: str = LOCAL
) -> tuple[Path, Path]:
    """A certificate of an authority; returns it and its key."""
    _openssl(
        openssl, folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
        "-subj", f"/CN={name}",
    )  # fmt: skip
    (folder / "extensions").write_text(f"subjectAltName={names}\n")
    _openssl(
        openssl, folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key",
        "-CAcreateserial", "-out", f"{name}.pem", "-days", "1", "-extfile", "extensions",
    )  # fmt: skip
    return folder / f"{name}.pem", folder / f"{name}.key"


def _openssl(openssl: str, folder: Path, *words: str) -> None:
    subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)


# ---- servers


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass
class NginxSite:
    """A server block. `rules` stand before the locations of the page and of the wheels."""

    page: bytes
    kind: str = JSON
    host: str = "127.0.0.1"
    tls: tuple[Path, Path] | None = None
    rules: str = ""
    rate: str = ""
    port: int = 0

    @property
    def base(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/simple"


SERVER = """
server {{
  listen {host}:{port}{ssl};
  {certificates}
  {rules}
  root {root};
  gzip on; gzip_types *; gzip_min_length 100;
  location = /simple/torch/ {{ default_type {kind}; try_files /page-{number} =404; }}
  location /packages/ {{ gzip off; {rate} try_files /wheel =404; }}
}}
"""
NGINX = """
daemon off; master_process off; error_log stderr crit; pid {root}/pid;
events {{ worker_connections 512; }}
http {{
  access_log {root}/access.log;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  {servers}
}}
"""


@contextlib.contextmanager
def nginx(program: str, folder: Path, sites: Sequence[NginxSite]) -> Iterator[None]:
    """One nginx that is all of these sites. Ports that are 0 are chosen; pages may name them if they are set before."""
    for site in sites:
        site.port = site.port or free_port(site.host)
    with open(folder / "wheel", "wb") as wheel:
        wheel.truncate(WHEEL_BYTES)  # sparse
    blocks = []
    for number, site in enumerate(sites):
        (folder / f"page-{number}").write_bytes(site.page)
        keys = f"ssl_certificate {site.tls[0]}; ssl_certificate_key {site.tls[1]};" if site.tls else ""
        blocks.append(
            SERVER.format(
                host=site.host, port=site.port, ssl=" ssl" if site.tls else "", certificates=keys, rules=site.rules,
                root=folder, kind=site.kind, number=number, rate=f"limit_rate {site.rate};" if site.rate else "",
            )
        )  # fmt: skip
    (folder / "nginx.conf").write_text(NGINX.format(root=folder, servers="".join(blocks)))
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        for site in sites:
            _await(site.host, site.port, process)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _await(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def behaving(do: Behaviour, tls: tuple[Path, Path] | None = None, clients_of: Path | None = None) -> Iterator[str]:
    """A server that does as `do` says with every GET and HEAD; gives its index URL.

    Args:
        tls: its certificate and key.
        clients_of: the authority whose certificate a client must show.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                do(self)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *args: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        if clients_of:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients_of)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/simple"
    finally:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """A whole answer; names of headers have "_" for "-"."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def wheel(handler: BaseHTTPRequestHandler, ranges: bool = True) -> None:
    """A piece of a wheel, or with `ranges` off all of it, whatever was asked for."""
    asked = handler.headers.get("Range", "") if ranges else ""
    first, last = (int(end) for end in asked.removeprefix("bytes=").split("-")) if asked else (0, WHEEL_BYTES - 1)
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {first}-{last}/{WHEEL_BYTES}")
    handler.send_header("Content-Length", str(last - first + 1))
    handler.end_headers()
    left = last - first + 1 if handler.command != "HEAD" else 0
    while left > 0:
        handler.wfile.write(bytes(min(left, 1 << 16)))
        left -= 1 << 16


def index(page: bytes, kind: str = JSON) -> Behaviour:
    """A site that works."""

    def do(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/packages/"):
            wheel(handler)
        else:
            answer(handler, 200, page, Content_Type=kind)

    return do


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Connections come about, and nobody ever answers them."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/simple"


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """A port that is kept from others, and nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/simple"


# ---- the twelve of the figure


@contextlib.contextmanager
def twelve(nginx_program: str, openssl: str, folder: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """Twelve sites, two of them dead: what each is -> its index URL, and the private authority's certificate."""
    ca = authority(openssl, folder)
    authority(openssl, folder, "strange")
    tls = certificate(openssl, folder)
    strange = certificate(openssl, folder, "strange", "unknown")
    fresh = json_page(OLD, NEWEST)
    other_host = NginxSite(fresh, host="127.0.0.2", tls=tls, port=free_port("127.0.0.2"))
    built = {
        "fast": NginxSite(fresh, tls=tls),
        "fast, PEP 503 page": NginxSite(html_page(OLD, NEWEST), "text/html", tls=tls),
        "fast, without TLS": NginxSite(fresh),
        "8 MB/s": NginxSite(fresh, tls=tls, rate="8m"),
        "slow, 400 kB/s": NginxSite(fresh, tls=tls, rate="400k"),
        "stale": NginxSite(json_page(OLD), tls=tls),
        "links lead elsewhere": NginxSite(json_page(OLD, NEWEST, base=other_host.base), tls=tls),
        "blocks pip's User-Agent": NginxSite(fresh, tls=tls, rules='if ($http_user_agent ~ "{") { return 403; }'),
        "certificate of a strange authority": NginxSite(fresh, tls=strange),
        "a portal": NginxSite(b"<html><form>sign in</form></html>", "text/html", tls=tls),
    }
    served = folder / "nginx"
    served.mkdir()
    with nginx(nginx_program, served, [*built.values(), other_host]), black_hole() as hole, refusing() as closed:
        yield (
            {
                **{name: site.url for name, site in built.items()},
                "dead, takes connections and never answers": hole,
                "dead, refuses": closed,
            },
            ca,
        )


def environment(ca: Path, folder: Path) -> dict[str, str]:
    """The environment of a user whose pip.conf names the authority, with nothing of this machine's own settings."""
    (folder / "pip.conf").write_text(f"[global]\ncert = {ca}\n")
    left_out = ("PIP_", "REQUESTS_", "CURL_", "SSL_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(left_out) and not name.lower().endswith("_proxy")
    }
    return {**kept, "PIP_CONFIG_FILE": str(folder / "pip.conf"), "LC_ALL": "C.UTF-8"}


def program(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") or ""
