"""patient/index_probe.py against real servers on this machine: indexes good and bad, TLS, proxies, silence."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from envdoctor.patient import index_probe, probe_http
from envdoctor.patient.sections import Ask, NotHere
from tests import ROOT, needs
from tests.patient.index_servers import AGENT, listing, no_proxy, page, probe, serving

__all__ = ["no_proxy"]  # a fixture of every test here


def test_an_index_as_it_should_be() -> None:
    with serving(page(listing("2.9.1", "2.15.0", "2.16.0rc1"))) as port:
        found = probe(f"http://127.0.0.1:{port}/simple/")
    assert (found.outcome, found.status, found.page, found.newest) == ("answered", 200, "index", "2.15.0")
    assert found.whole and found.file_hosts == ("127.0.0.1",)
    assert found.connect_s is not None and found.first_byte_s is not None


def test_pip_is_asked_for_as_pip_asks() -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        asked.append((handler.path, handler.headers["User-Agent"], handler.headers["Authorization"]))
        assert "application/vnd.pypi.simple.v1+json" in handler.headers["Accept"]
        return (
            200,
            {"Content-Type": "application/vnd.pypi.simple.v1+json"},
            b'{"files":[{"url":"torch-2.9.1-cp312-x.whl"}]}',
        )

    with serving(answer) as port:
        found = probe(f"http://ada:p%40ss@127.0.0.1:{port}/simple")
    assert asked == [("/simple/torch/", AGENT, "Basic YWRhOnBAc3M=")]
    assert (found.page, found.newest) == ("index", "2.9.1")


def test_a_firewall_against_pip() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        return (
            (403 if handler.headers["User-Agent"].startswith("pip/") else 200),
            {"Content-Type": "text/html"},
            listing("2.9.1"),
        )

    with serving(answer) as port:
        found = probe(f"http://127.0.0.1:{port}/simple")
    assert (found.status, found.status_plain) == (403, 200)


def test_files_of_another_host() -> None:
    with serving(page(listing("2.9.1", host="https://files.elsewhere.example"))) as port:
        found = probe(f"http://127.0.0.1:{port}/simple")
    assert found.file_hosts == ("files.elsewhere.example",)


def test_the_end_of_a_long_page_is_asked_for() -> None:
    whole = listing("2.0.0") + b"<!-- " + b"x" * (400 * 1024) + b" -->" + listing("2.15.0")

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        wanted = handler.headers["Range"]
        if wanted:
            return 206, {"Content-Type": "text/html"}, whole[-int(wanted.rpartition("-")[2]) :]
        return 200, {"Content-Type": "text/html"}, whole

    with serving(answer) as port:
        found = probe(f"http://127.0.0.1:{port}/simple")
    assert (found.newest, found.whole) == ("2.15.0", True)
    with serving(page(whole)) as port:
        found = probe(f"http://127.0.0.1:{port}/simple")
    assert (found.newest, found.whole) == ("2.0.0", False)


def test_redirects_are_followed_and_told() -> None:
    with serving(page(listing("2.9.1"))) as target:
        moved = {"Location": f"http://127.0.0.1:{target}/elsewhere/torch/"}
        with serving(lambda handler: (302, moved, b"")) as port:
            found = probe(f"http://127.0.0.1:{port}/simple")
    assert (found.status, found.final_url) == (200, f"http://127.0.0.1:{target}/elsewhere/torch/")


def test_a_portal_is_no_index() -> None:
    with serving(page(b"<html><form action=/login>Please log in</form></html>")) as port:
        assert probe(f"http://127.0.0.1:{port}/simple").page == "other"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert probe(f"http://127.0.0.1:{port}/simple").outcome == "refused"


def test_a_name_that_does_not_exist() -> None:
    found = probe("https://no-such-host.invalid/simple")
    assert found.outcome in ("no-name", "timeout")  # a resolver without a network takes its time
    assert found.status is None


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


def test_silence_ends_within_the_limit_for_all_together() -> None:
    with silent() as port, serving(page(listing("2.9.1"))) as good:
        urls = [f"http://127.0.0.1:{port}/{n}" for n in range(5)] + [f"http://127.0.0.1:{good}/simple"]
        asked = [{"kind": "index", "option": "extra-index-url", "url": url} for url in urls]
        how = {"user_agent": AGENT, "cert": "", "client_cert": "", "proxy": "", "trusted_hosts": []}
        began = time.perf_counter()
        found = index_probe.probe_all(asked, how)
        took = time.perf_counter() - began
    assert took < 3.2
    assert [one["outcome"] for one in found] == ["timeout"] * 5 + ["answered"]


IN_A_VOID = """
ip link set lo up
ip link add void0 type veth peer name void1 && ip addr add 10.99.0.1/24 dev void0 &&
ip link set void0 arp off && ip link set void0 up && ip link set void1 up || exit 3
exec "$0" -c "$1" "$2"
"""
ASK_THE_VOID = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from envdoctor.patient import index_probe
how = {"user_agent": "", "cert": "", "client_cert": "", "proxy": "", "trusted_hosts": []}
asked = [{"kind": "index", "option": "extra-index-url", "url": "https://10.99.0.%d/simple" % n} for n in range(2, 8)]
began = time.monotonic()
print(json.dumps([[one["outcome"] for one in index_probe.probe_all(asked, how)], time.monotonic() - began]))
"""


def test_dropped_packets_cost_three_seconds_and_no_more() -> None:
    """In a network namespace whose only interface loses every packet."""
    needs.root()
    needs.program("ip", "iproute2")
    argv = [
        needs.program("unshare", "util-linux"),
        "--net",
        "sh",
        "-c",
        IN_A_VOID,
        sys.executable,
        ASK_THE_VOID,
        str(ROOT),
    ]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcomes, seconds = json.loads(done.stdout)
    assert outcomes == ["timeout"] * 6
    assert seconds < 3.2


def test_what_is_not_http() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)

        def greet() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        found = probe(f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        thread.join()
    assert found.outcome == "not-http"


def test_a_proxy_is_used_and_no_proxy_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        asked.append(handler.path)
        return 200, {"Content-Type": "text/html"}, listing("2.9.1")

    with serving(answer) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        found = probe("http://index.invalid/simple")
        assert (found.status, found.proxy) == (200, f"http://127.0.0.1:{port}")
        assert asked == ["http://index.invalid:80/simple/torch/"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert probe(f"http://127.0.0.1:{port}/simple").proxy == ""


def test_a_proxy_that_refuses_the_tunnel() -> None:
    with serving(lambda handler: (200, {}, b"")) as port:  # knows GET alone: CONNECT is answered 501
        found = probe("https://index.invalid/simple", proxy=f"http://127.0.0.1:{port}")
    assert (found.outcome, found.proxy_status) == ("proxy", 501)


def test_a_proxy_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = probe("https://index.invalid/simple", proxy=f"127.0.0.1:{port}")
    assert (found.outcome, found.detail.partition(":")[0]) == ("proxy", "refused")
    assert probe("https://index.invalid/simple", proxy="socks5://127.0.0.1:1").outcome == "proxy"


def test_channels_are_asked_for_their_packages() -> None:
    with serving(lambda handler: (200 if handler.path == "/main/noarch/repodata.json" else 404, {}, b"{}")) as port:
        how = {"user_agent": "", "cert": "", "client_cert": "", "proxy": "", "trusted_hosts": []}
        asked = [
            {"kind": "channel", "option": "channels", "url": f"http://127.0.0.1:{port}/{name}"}
            for name in ("main", "r")
        ]
        assert [one["status"] for one in index_probe.probe_all(asked, how)] == [200, 404]


def test_what_is_asked_comes_from_pip_or_from_the_files() -> None:
    told = {
        "command": "install",
        "no_index": False,
        "index_url": "https://a.example/s",
        "extra_index_urls": ["file:///srv"],
    }
    assert [one["url"] for one in index_probe.sources({"pip-effective": {"commands": [told]}})] == [
        "https://a.example/s"
    ]
    assert index_probe.sources({"pip-effective": {"commands": [dict(told, no_index=True)]}}) == []
    config = {"winners": {"install": {"index-url": 0}}, "values": [{"value": "https://b.example/s"}]}
    assert [one["url"] for one in index_probe.sources({"pip-config": config})] == ["https://b.example/s"]
    channels = {"conda-config": {"channel_urls": ["https://c.example/main"]}}
    assert index_probe.sources(channels)[0]["kind"] == "channel"


def test_nothing_to_ask() -> None:
    ask = Ask({})
    ask.facts["pip-config"] = {"winners": {"install": {}}, "values": []}
    with pytest.raises(NotHere):
        index_probe.index_probes(ask)


def test_addresses_that_cannot_be_asked() -> None:
    assert probe_http.host_of("ftp://a.example") == "" and probe_http.host_of("https://[broken") == ""
    how = {"cert": "", "client_cert": "", "proxy": "", "trusted_hosts": []}
    assert probe_http.fetch("mailto:x", how, AGENT, "*/*", 10, time.monotonic() + 1)["outcome"] == "failed"


def test_a_channel_is_asked_for_this_platform_too_and_for_packed_lists() -> None:
    folder = index_probe.platform_folder()

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        found = handler.path in ("/whole/noarch/repodata.json", f"/whole/{folder}/repodata.json.zst",
                                 "/noarch-only/noarch/repodata.json")  # fmt: skip
        return (200 if found else 404), {"Content-Type": "application/json"}, b"{}"

    settings = {"user_agent": "", "cert": "", "client_cert": "", "proxy": "", "trusted_hosts": []}
    with serving(answer) as port:
        asked = [
            {"kind": "channel", "option": "", "url": f"http://127.0.0.1:{port}/{name}"}
            for name in ("whole", "noarch-only", "nothing")
        ]
        found = index_probe.probe_all(asked, settings)
    told = [(probe["status"], probe.get("status_platform")) for probe in found]
    assert told == [(200, 200), (200, 404), (404, None)]
