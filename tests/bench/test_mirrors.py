"""envdoctor/bench/mirrors.py: what sites of this machine are good for, and which of several is the fastest."""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from envdoctor.bench import mirror_run
from envdoctor.bench.mirror_run import Step
from envdoctor.bench.mirror_visit import PIECE
from envdoctor.bench.mirrors import MirrorResult, Survey, fastest, measure
from envdoctor.bench.pip_manner import Manner
from envdoctor.bench.sites import Need, Site
from envdoctor.knowledge.mirrors import expected_release
from tests.bench import mirror_sites as lab
from tests.bench.asked_sites import AGENT, FRESH, asked, no_bundles, patient
from tests.bench.mirror_sites import JSON, NEWEST, OLD, answer, behaving, index, json_page, wheel
from tests.patient.index_servers import no_proxy

__all__ = ["no_bundles", "no_proxy"]  # fixtures of every test here

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
