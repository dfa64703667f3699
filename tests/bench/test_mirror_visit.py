"""envdoctor/bench/mirror_visit.py: hostile sites are bounded in time and memory, whatever they do."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench import mirror_run
from envdoctor.bench.mirror_visit import PIECE, SLOW_START, TooLong, Unpacking, Visit
from envdoctor.bench.mirrors import measure
from envdoctor.bench.sites import Site
from tests.bench import mirror_sites as lab
from tests.bench.asked_sites import FRESH, asked, no_bundles, patient
from tests.bench.mirror_sites import JSON, answer, behaving, index
from tests.patient.index_servers import no_proxy

__all__ = ["no_bundles", "no_proxy"]  # fixtures of every test here


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    for _ in range(1 << 14):
        handler.wfile.write(b'<a href="x">' * 5461)


BOMB = gzip.compress(bytes(64 << 20), 1)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 200, BOMB, Content_Type=JSON, Content_Encoding="gzip")


def bomb_in_a_bomb(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 200, gzip.compress(gzip.compress(bytes(1 << 24))), Content_Type=JSON, Content_Encoding="gzip, gzip")


def not_packed(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 200, FRESH, Content_Type=JSON, Content_Encoding="gzip")


def circle(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 302, Location=handler.path)


def away(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, 301, Location="file:///etc/passwd")


def endless_redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/simple/again/")
    handler.send_header("Content-Length", str(1 << 40))
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


def trickling_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-Slow: 1\r\n")
        handler.wfile.flush()
        time.sleep(0.2)


def trickling_page(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while True:
        handler.wfile.write(b"<")
        handler.wfile.flush()
        time.sleep(0.2)


def trickling_wheel(handler: BaseHTTPRequestHandler) -> None:
    if not handler.path.startswith("/packages/") or handler.command == "HEAD":
        index(FRESH)(handler)
        return
    handler.send_response(206)
    handler.send_header("Content-Length", str(PIECE))
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.2)


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Content-Length", str(2 * len(FRESH)))
    handler.end_headers()
    handler.wfile.write(FRESH)
    handler.close_connection = True


def odd_length(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\nContent-Type: \xff\xfe\r\n\r\nx")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("do", "state", "reason"),
    [
        (endless, "unusable", "too-long"),
        (bomb, "unusable", "too-long"),
        (bomb_in_a_bomb, "unusable", "unreadable"),
        (not_packed, "unusable", "unreadable"),
        (circle, "unusable", "redirects"),
        (away, "unusable", "redirects"),
        (endless_redirect, "unusable", "redirects"),
        (trickling_head, "unusable", "timeout"),
        (trickling_page, "limited", "slow"),
        (broken_off, "unusable", "reset"),
        (odd_length, "unusable", "not-an-index"),
    ],
)
def test_hostile_sites_end_in_time(do: lab.Behaviour, state: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What ends by itself may be slow to, on a busy machine; what never ends is ended.
    answer_s = 1.0 if reason in ("timeout", "slow") else 10.0
    monkeypatch.setattr(mirror_run, "ANSWER_S", answer_s)
    with behaving(do) as url:
        began = time.monotonic()
        result = asked(url, 2 * answer_s)
        took = time.monotonic() - began
    assert (result.state, result.reasons[0]) == (state, reason)
    assert took < 2 * answer_s + 10.0
    assert result.received_bytes <= 3 << 20


def test_a_wheel_that_trickles_is_as_slow_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_run, "WAVE_S", 1.0)
    with behaving(trickling_wheel) as url, behaving(index(FRESH)) as good:
        sites = [Site("trickling", url, known=True), Site("good", good, known=True)]
        survey = measure(patient(), sites, 4.0)
    assert survey.results[0].site.name == "good"
    assert survey.results[1].expected_s is None or survey.results[1].expected_s > 1e6
    assert survey.seconds < 15.0


def test_a_name_server_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    real, ended = socket.getaddrinfo, threading.Event()

    def resolve(host: str, *rest: object, **more: object) -> object:
        if host == "slow.invalid":
            ended.wait(20)
            raise socket.gaierror(-2, "Name or service not known")
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(mirror_run, "ANSWER_S", 1.0)
    with behaving(index(FRESH)) as url:
        survey = measure(patient(), [Site("slow", "https://slow.invalid/simple"), Site("good", url)], 8.0)
    ended.set()
    assert [(result.site.name, result.state) for result in survey.results] == [("good", "usable"), ("slow", "unusable")]
    assert survey.results[1].reasons == ("timeout",)
    assert 1.0 < survey.seconds < 15.0


@given(st.binary(max_size=4000), st.sampled_from(["gzip", "deflate", "identity", "", "br", "gzip, gzip"]))
def test_any_bytes_unpack_or_are_refused(body: bytes, encoding: str) -> None:
    unpacking = Unpacking(encoding, 1000)
    if unpacking.readable:
        with contextlib.suppress(TooLong, zlib.error):
            unpacking.feed(body)
    assert len(unpacking.body) <= 1001


@given(st.binary(max_size=5000), st.integers(1, 700))
def test_what_was_packed_comes_back_in_pieces(body: bytes, size: int) -> None:
    packed = gzip.compress(body)
    unpacking = Unpacking("gzip", 5000)
    for begin in range(0, len(packed), size):
        assert not unpacking.complete
        unpacking.feed(packed[begin : begin + size])
    assert bytes(unpacking.body) == body and unpacking.complete


def test_the_rate_leaves_the_slow_start_out() -> None:
    visit = Visit(Site("x", "https://x.example/simple"))
    assert visit.bytes_per_s is None
    visit.marks = [(1.0, SLOW_START), (2.0, 3 * SLOW_START)]
    assert visit.bytes_per_s == pytest.approx(2 * SLOW_START)
    visit.marks = [(0.5, 1000)]
    assert visit.bytes_per_s == pytest.approx(2000)
