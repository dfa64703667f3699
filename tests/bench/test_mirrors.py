"""envdoctor/bench/mirrors.py and what it rests on, against servers of this machine, good and hostile."""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench import mirror_run
from envdoctor.bench.mirror_run import Step
from envdoctor.bench.mirror_visit import PIECE, SLOW_START, TooLong, Unpacking, Visit
from envdoctor.bench.mirrors import MirrorResult, Survey, fastest, measure
from envdoctor.bench.pip_manner import Manner
from envdoctor.bench.sites import Need, Patient, Site
from envdoctor.facts.host import Host
from envdoctor.facts.pip import PipEffective, PipOptions
from envdoctor.facts.python import Python
from envdoctor.knowledge.mirrors import expected_release
from tests import needs
from tests.bench import mirror_sites as lab
from tests.bench.mirror_sites import JSON, NEWEST, OLD, answer, behaving, index, json_page, wheel
from tests.patient.index_servers import no_proxy

__all__ = ["no_proxy"]  # a fixture of every test here

AGENT = 'pip/26.3 {"ci":null,"cpu":"x86_64"}'
FRESH = json_page(OLD, NEWEST)


def patient(**options: object) -> Patient:
    taken = PipOptions("install", **options)  # type: ignore[arg-type]
    return Patient(
        PipEffective("pip", "26.3", user_agent=AGENT, commands=(taken,)),
        python=Python(version="3.x", tag=lab.TAG, machine="x86_64"),
        host=Host(system="linux", machine="x86_64"),
    )


def asked(url: str, deadline_s: float = 4.0, known: bool = True, **options: object) -> MirrorResult:
    """The result of one site."""
    survey = measure(patient(**options), [Site("site", url, known=known)], deadline_s)
    return survey.results[0]


@pytest.fixture(autouse=True)
def no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, Path]]:
    """A private authority, and a certificate of it with its key."""
    openssl, folder = needs.program("openssl"), tmp_path_factory.mktemp("ca")
    return lab.authority(openssl, folder), lab.certificate(openssl, folder)


# ---- sites that work


def test_a_site_that_works_is_usable_and_measured_with_pips_own_name() -> None:
    seen: list[tuple[str, str, str]] = []

    def do(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.command, handler.headers["User-Agent"], handler.headers.get("Range", "")))
        index(FRESH)(handler)

    with behaving(do) as url:
        result = asked(url)
    assert (result.state, result.reasons, result.newest) == ("usable", (), NEWEST)
    assert result.wheel == lab.wheel_name(NEWEST) and result.wheel_bytes == lab.WHEEL_BYTES
    assert result.bytes_per_s and result.latency_s and result.expected_s
    assert {agent for _, agent, _ in seen} == {AGENT}
    assert [(command, piece) for command, _, piece in seen] == [
        ("GET", ""),
        ("HEAD", ""),
        ("GET", f"bytes=0-{PIECE - 1}"),
    ]


def test_at_most_a_few_megabytes_come_from_a_host_that_knows_no_ranges() -> None:
    sent = 0

    def do(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        if handler.path.startswith("/packages/") and handler.command == "GET":
            handler.send_response(200)
            handler.send_header("Content-Length", str(lab.WHEEL_BYTES))
            handler.end_headers()
            while True:
                handler.wfile.write(bytes(1 << 16))
                sent += 1 << 16
        index(FRESH)(handler)

    with behaving(do) as url:
        result = asked(url)
    assert result.state == "usable"
    assert PIECE <= result.received_bytes < PIECE + 300_000
    assert sent < 12e6  # what lay in the kernel's buffers when the connection was closed included


def test_a_packed_page_and_a_server_without_head() -> None:
    def do(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "HEAD":
            answer(handler, 405)
        elif handler.path.startswith("/packages/"):
            wheel(handler)
        else:
            assert "gzip" in handler.headers["Accept-Encoding"]
            answer(
                handler, 200, gzip.compress(json_page(NEWEST, size=None)), Content_Type=JSON, Content_Encoding="gzip"
            )

    with behaving(do) as url:
        result = asked(url)
    assert (result.state, result.wheel_bytes) == ("usable", lab.WHEEL_BYTES)


def test_credentials_of_the_index_go_along_to_its_files() -> None:
    wanted = "Basic " + base64.b64encode(b"me:s3cr@t").decode()

    def do(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != wanted:
            answer(handler, 401)
        else:
            index(FRESH)(handler)

    with behaving(do) as url:
        assert asked(url).reasons == ("status",)
        result = asked(url.replace("://", "://me:s3cr%40t@"))
    assert result.state == "usable" and result.bytes_per_s


# ---- TLS, trust, proxies: as pip is told


def test_the_certificate_setting_of_pip_is_honoured(tls: tuple[Path, tuple[Path, Path]]) -> None:
    ca, keys = tls
    with behaving(index(FRESH), keys) as url:
        assert asked(url).reasons == ("tls",)
        assert asked(url, cert=str(ca)).state == "usable"
        assert asked(url, cert=str(ca) + ".gone").reasons == ("bad-bundle",)
        trusted = asked(url, trusted_hosts=("127.0.0.1",))
        assert (trusted.state, trusted.reasons) == ("usable", ())
        port = url.rpartition(":")[2].partition("/")[0]
        assert asked(url, trusted_hosts=(f"127.0.0.1:{port}",)).state == "usable"
        assert asked(url, trusted_hosts=("127.0.0.1:1",)).reasons == ("tls",)


def test_a_certificate_for_another_name_does_not_verify(tmp_path: Path) -> None:
    openssl = needs.program("openssl")
    ca = lab.authority(openssl, tmp_path)
    with behaving(index(FRESH), lab.certificate(openssl, tmp_path, names="DNS:localhost")) as url:
        assert asked(url, cert=str(ca)).reasons == ("tls",)
        assert asked(url.replace("127.0.0.1", "localhost"), cert=str(ca)).state == "usable"


def test_the_bundle_of_the_environment_is_honoured(
    tls: tuple[Path, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, keys = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    with behaving(index(FRESH), keys) as url, behaving(index(FRESH)) as plain:
        assert asked(url).state == "usable"
        assert asked(url, cert="/no/such/bundle.pem").state == "usable", "the variable wins, as in pip"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        assert asked(url, cert=str(ca)).reasons == ("bad-bundle",)
        assert asked(url, trusted_hosts=("127.0.0.1",)).state == "usable"
        assert asked(plain).state == "usable"


def test_the_client_certificate_of_pip_is_shown(tls: tuple[Path, tuple[Path, Path]], tmp_path: Path) -> None:
    ca, keys = tls
    both = tmp_path / "client.pem"
    both.write_text(keys[0].read_text() + keys[1].read_text())
    with behaving(index(FRESH), keys, clients_of=ca) as url:
        assert asked(url, cert=str(ca)).state == "unusable"
        assert asked(url, cert=str(ca), client_cert=str(both)).state == "usable"
        broken = asked(url, cert=str(ca), client_cert=str(ca))
    assert broken.reasons == ("bad-bundle",) and str(ca) in broken.detail


@contextlib.contextmanager
def proxying(seen: list[str]) -> Iterator[str]:
    """A proxy that answers for every host of http itself, as if it had passed the request on."""

    def do(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        handler.path = "/" + handler.path.split("/", 3)[3]
        index(FRESH)(handler)

    with behaving(do) as url:
        yield url.removesuffix("/simple")


def test_the_proxy_setting_of_pip_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    with proxying(seen) as proxy:
        result = asked("http://mirror.invalid/simple", proxy=proxy, trusted_hosts=("mirror.invalid",))
        assert (result.state, result.proxy) == ("usable", proxy)
        assert seen[0] == "http://mirror.invalid/simple/torch/"
        monkeypatch.setenv("http_proxy", proxy)
        assert asked("http://mirror.invalid/simple", trusted_hosts=("mirror.invalid",)).state == "usable"
        monkeypatch.setenv("no_proxy", "mirror.invalid")
        assert asked("http://mirror.invalid/simple").reasons == ("no-name",)
    with lab.refusing() as closed:
        dead = asked("http://mirror.invalid/simple", proxy=closed.removesuffix("/simple"))
    assert dead.reasons == ("proxy",)


def test_plain_http_from_elsewhere_is_what_pip_leaves_out() -> None:
    assert Manner().ignores("http://mirrors.aliyun.com/pypi/simple")
    assert not Manner(trusted_hosts=("mirrors.aliyun.com",)).ignores("http://mirrors.aliyun.com/pypi/simple")
    assert not Manner().ignores("http://127.0.0.1:3141/simple")
    assert not Manner().ignores("https://mirrors.aliyun.com/pypi/simple")
    with proxying([]) as proxy:
        result = asked("http://mirror.invalid/simple", proxy=proxy)
    assert (result.state, result.reasons) == ("limited", ("plain-http",))


# ---- sites with a catch, and sites that serve nobody


def test_a_firewall_that_stumbles_over_pips_name_is_told_from_a_missing_page() -> None:
    def do(handler: BaseHTTPRequestHandler) -> None:
        if "{" in handler.headers["User-Agent"]:
            answer(handler, 403)
        else:
            index(FRESH)(handler)

    with behaving(do) as url:
        blocked = asked(url)
    assert (blocked.state, blocked.reasons, blocked.status, blocked.status_short) == (
        "unusable",
        ("blocked",),
        403,
        200,
    )
    with behaving(lambda handler: answer(handler, 403)) as url:
        assert asked(url).reasons == ("status",)
    with behaving(lambda handler: answer(handler, 404)) as url:
        assert asked(url).reasons == ("status",)


def test_a_mirror_that_is_behind_and_one_that_leads_elsewhere() -> None:
    with behaving(index(json_page(OLD))) as url:
        stale = asked(url)
    assert (stale.state, stale.reasons, stale.newest) == ("limited", ("stale",), OLD)
    assert stale.expected_s is not None
    with behaving(index(FRESH)) as other:
        links = json_page(OLD, NEWEST, base=other.removesuffix("/simple").replace("127.0.0.1", "localhost"))
        with behaving(index(links)) as url:
            elsewhere, unknown = asked(url), asked(url, known=False)
    assert (elsewhere.state, elsewhere.reasons, elsewhere.files_host) == ("limited", ("elsewhere",), "localhost")
    assert (unknown.state, unknown.reasons) == ("usable", ("elsewhere",))


def test_files_that_are_redirected_to_another_host_lie_elsewhere() -> None:
    with behaving(index(FRESH)) as other:

        def do(handler: BaseHTTPRequestHandler) -> None:
            if handler.path.startswith("/packages/"):
                place = other.removesuffix("/simple").replace("127.0.0.1", "localhost") + handler.path
                answer(handler, 302, Location=place)
            else:
                index(FRESH)(handler)

        with behaving(do) as url:
            result = asked(url)
    assert (result.state, result.reasons, result.files_host) == ("limited", ("elsewhere",), "localhost")
    assert result.bytes_per_s


def test_a_redirector_is_what_it_leads_to() -> None:
    with behaving(index(FRESH)) as other:
        there = other.replace("127.0.0.1", "localhost")
        with behaving(lambda handler: answer(handler, 302, Location=there + "/torch/")) as url:
            result = asked(url)
    assert (result.state, result.page_host, result.files_host) == ("usable", "localhost", "localhost")


@pytest.mark.parametrize(
    ("page", "kind", "reasons"),
    [
        (b"<html><form>sign in</form></html>", "text/html", ("not-an-index",)),
        (b'{"files": []}', JSON, ("no-torch",)),
        (FRESH, "text/html", ("not-an-index",)),
        (FRESH[:-9], JSON, ("not-an-index",)),
        (json_page(NEWEST).replace(lab.TAG.encode(), b"cp27"), JSON, ("no-wheel",)),
    ],
)
def test_pages_that_give_pip_no_torch(page: bytes, kind: str, reasons: tuple[str, ...]) -> None:
    with behaving(index(page, kind)) as url:
        assert asked(url).reasons == reasons


def test_a_wheel_that_is_listed_and_cannot_be_had() -> None:
    def do(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/packages/"):
            answer(handler, 404)
        else:
            index(FRESH)(handler)

    with behaving(do) as url:
        result = asked(url)
    assert (result.state, result.reasons, result.detail) == ("unusable", ("no-file",), "HTTP 404")


def test_what_refuses_or_is_no_web_server() -> None:
    with lab.refusing() as url:
        assert asked(url).reasons == ("refused",)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                    connection.close()

        threading.Thread(target=greet, daemon=True).start()
        result = asked(f"http://127.0.0.1:{listener.getsockname()[1]}/simple")
        listener.shutdown(socket.SHUT_RDWR)
    assert result.reasons in (("not-http",), ("reset",))
    assert asked("http://no-such-host.invalid/simple").reasons == ("no-name",)


# ---- hostile sites: bounded in time and memory, whatever they do


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
    monkeypatch.setattr(mirror_run, "ANSWER_S", 1.0)
    with behaving(do) as url:
        began = time.monotonic()
        result = asked(url, 2.0)
        took = time.monotonic() - began
    assert (result.state, result.reasons[0]) == (state, reason)
    assert took < 2.5
    assert result.received_bytes <= 3 << 20


def test_a_wheel_that_trickles_is_as_slow_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_run, "WAVE_S", 1.0)
    with behaving(trickling_wheel) as url, behaving(index(FRESH)) as good:
        sites = [Site("trickling", url, known=True), Site("good", good, known=True)]
        survey = measure(patient(), sites, 4.0)
    assert survey.results[0].site.name == "good"
    assert survey.results[1].expected_s is None or survey.results[1].expected_s > 1e6
    assert survey.seconds < 4.5


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
    assert 1.0 < survey.seconds < 2.5


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


# ---- a run of several, and what follows from it


def test_a_run_measures_in_waves_and_says_how_far_it_is() -> None:
    under_way, most = set(), 0
    lock = threading.Lock()

    def do(number: int) -> lab.Behaviour:
        def one(handler: BaseHTTPRequestHandler) -> None:
            nonlocal most
            if handler.headers.get("Range"):
                with lock:
                    under_way.add(number)
                    most = max(most, len(under_way))
                time.sleep(0.1)
                wheel(handler)
                with lock:
                    under_way.discard(number)
            else:
                index(FRESH)(handler)

        return one

    steps: list[Step] = []
    with contextlib.ExitStack() as stack:
        sites = [Site(f"s{number}", stack.enter_context(behaving(do(number)))) for number in range(7)]
        survey = measure(patient(), sites, 8.0, steps.append)
    assert 1 < most <= mirror_run.WAVE
    assert all(result.bytes_per_s for result in survey.results)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[-1].done, steps[-1].total) == (14, 14)
    assert any(step.measuring and len(step.names) <= mirror_run.WAVE for step in steps)
    assert survey.fastest is survey.results[0]


def result(name: str, expected_s: float | None, state: str = "usable", in_effect: bool = False) -> MirrorResult:
    site = Site(name, f"https://{name}.example/simple", in_effect)
    return MirrorResult(site, state, expected_s=expected_s, latency_s=0.1)  # type: ignore[arg-type]


def survey_of(*results: MirrorResult) -> Survey:
    ordered = tuple(sorted(results, key=lambda one: one.rank))
    return Survey(ordered, Need(1, 0, 1, False), NEWEST, 1.0, Manner())


def test_usable_ones_come_first_and_then_the_time_decides() -> None:
    survey = survey_of(
        result("dead", None, "unusable"), result("behind", 1.0, "limited"), result("slow", 90.0), result("quick", 9.0),
        result("unmeasured", None),
    )  # fmt: skip
    assert [one.site.name for one in survey.results] == ["quick", "slow", "unmeasured", "behind", "dead"]
    assert fastest(survey.results) is survey.results[0]
    assert fastest(survey.results[2:]) is None


def test_what_is_in_effect_is_kept_if_it_is_nearly_as_good() -> None:
    assert survey_of(result("best", 100.0), result("now", 119.0, in_effect=True)).keep
    assert not survey_of(result("best", 100.0), result("now", 130.0, in_effect=True)).keep
    assert not survey_of(result("best", 100.0), result("now", 90.0, "limited", in_effect=True)).keep
    assert not survey_of(result("best", 100.0)).keep


def test_the_expected_time_is_requests_and_bytes() -> None:
    need = Need(wheel_bytes=500, other_bytes=1500, requests=10, cuda=True)
    assert need.seconds(0.1, 100.0) == pytest.approx(10 * 0.1 + 2000 / 100)


def test_the_rate_leaves_the_slow_start_out() -> None:
    visit = Visit(Site("x", "https://x.example/simple"))
    assert visit.bytes_per_s is None
    visit.marks = [(1.0, SLOW_START), (2.0, 3 * SLOW_START)]
    assert visit.bytes_per_s == pytest.approx(2 * SLOW_START)
    visit.marks = [(0.5, 1000)]
    assert visit.bytes_per_s == pytest.approx(2000)


def test_one_index_with_builds_of_its_own_makes_nobody_stale() -> None:
    with behaving(index(json_page(NEWEST, "99.0"))) as odd, behaving(index(FRESH)) as url:
        survey = measure(patient(), [Site("odd", odd), Site("plain", url)], 4.0)
    assert survey.newest == expected_release().version
    assert all("stale" not in one.reasons for one in survey.results)
    with (
        behaving(index(json_page("99.0"))) as one,
        behaving(index(json_page("99.0"))) as two,
        behaving(index(FRESH)) as url,
    ):
        survey = measure(patient(), [Site("one", one), Site("two", two), Site("three", url)], 4.0)
    assert survey.newest == "99.0"
    assert survey.results[-1].reasons == ("stale",)
