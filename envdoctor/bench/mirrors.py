"""Which package mirror serves this user best: what a run of visits tells of each, in the order of its worth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from envdoctor.bench import mirror_visit
from envdoctor.bench.index_page import ordered
from envdoctor.bench.mirror_run import SAME, Run, Step
from envdoctor.bench.mirror_visit import Visit
from envdoctor.bench.pip_manner import Manner, manner
from envdoctor.bench.pip_session import proxy_for
from envdoctor.bench.sites import Need, Patient, Site
from envdoctor.facts.pip import host_of
from envdoctor.knowledge.mirrors import OFFICIAL, owner

DEADLINE_S = 8.0  # of a run, unless told otherwise

State = Literal["usable", "limited", "unusable"]


@dataclass(frozen=True)
class MirrorResult:
    """What a site is worth to this user.

    Attributes:
        state: "usable"; "limited" (it works, with a catch); "unusable" (pip gets no torch from it).
        reasons: why it is not usable, the weightiest first. Unusable: the outcome of a request that was not answered
            ("no-name", "refused", "reset", "timeout", "no-route", "tls", "bad-bundle", "proxy", "not-http",
            "redirects", "too-long", "unreadable", "failed"), "blocked" (pip's User-Agent is refused and a short one is
            not), "status" (another HTTP status than 200), "not-an-index", "no-torch", "no-file" (the wheel it lists
            cannot be had). Limited: "slow" (the page did not come in time), "no-wheel" (none for this Python and
            platform), "stale" (newer releases of torch are out), "elsewhere" (the files lie on another host; that alone
            does not limit an index that is no known mirror), "plain-http" (pip leaves it out without trusted-host).
        newest: release of torch listed, empty if none is known.
        files_host: where the wheel comes from, after redirects.
        page_host: where redirects of the page led, else empty.
        latency_s: the shortest time from a request to the first byte of its answer.
        bytes_per_s: of the piece of the wheel, None if none was fetched.
        expected_s: for all that `pip install torch` fetches; at_least_s the same with the whole line for itself, where
            no piece was fetched.
        proxy: that was gone through, empty for none.
        skipped: no piece was fetched: "cannot-win" or "no-time"; else empty.
        received_bytes: in all.
    """

    site: Site
    state: State
    reasons: tuple[str, ...] = ()
    status: int | None = None
    status_short: int | None = None
    detail: str = ""
    newest: str = ""
    page_host: str = ""
    files_host: str = ""
    wheel: str = ""
    wheel_bytes: int | None = None
    latency_s: float | None = None
    bytes_per_s: float | None = None
    expected_s: float | None = None
    at_least_s: float | None = None
    proxy: str = ""
    skipped: str = ""
    received_bytes: int = 0

    @property
    def rank(self) -> tuple[int, float, float, str]:
        """What results are ordered by: usable ones first, then by expected time."""
        state = ("usable", "limited", "unusable").index(self.state)
        expected = self.expected_s if self.expected_s is not None else math.inf
        return state, expected, self.latency_s if self.latency_s is not None else math.inf, self.site.name


@dataclass(frozen=True)
class Survey:
    """A run: results, the best first.

    Attributes:
        need: what the expected times are for.
        newest: the release of torch that a fresh mirror lists.
        seconds: the run took.
        manner: how the sites were asked.
    """

    results: tuple[MirrorResult, ...]
    need: Need
    newest: str
    seconds: float
    manner: Manner

    @property
    def fastest(self) -> MirrorResult | None:
        return fastest(self.results)

    @property
    def in_effect(self) -> MirrorResult | None:
        return next((result for result in self.results if result.site.in_effect), None)

    @property
    def keep(self) -> bool:
        """The index in effect is as good as the best."""
        best, now = self.fastest, self.in_effect
        if best is None or now is None or now.state != "usable" or now.expected_s is None or best.expected_s is None:
            return False
        return now.expected_s <= SAME * best.expected_s


def fastest(results: Sequence[MirrorResult]) -> MirrorResult | None:
    """The usable site with the shortest expected time; None if none was usable and measured."""
    usable = [result for result in results if result.state == "usable" and result.expected_s is not None]
    return min(usable, key=lambda result: result.rank, default=None)


def measure(
    of: Patient,
    sites: Sequence[Site],
    deadline_s: float = DEADLINE_S,
    on_progress: Callable[[Step], None] | None = None,
) -> Survey:
    """Ask sites as the patient's pip would, all at once, and say what each is worth.

    Args:
        of: the target, see `envdoctor.bench.sites.patient`.
        deadline_s: bounds the run, whatever name servers and sites do.
        on_progress: called from this thread with every step.

    Returns:
        Never raises for what a site does. Interrupted, it leaves at once; its threads end with the process.
    """
    began = time.monotonic()
    how = manner(of.effective, of.config, of.python)
    run = Run(of, sites, how, began, deadline_s, on_progress)
    run.follow()
    newest = run.newest()
    results = sorted((_judged(visit, run, newest) for visit in run.visits), key=lambda result: result.rank)
    return Survey(tuple(results), run.need(), newest, time.monotonic() - began, how)


def _judged(visit: Visit, run: Run, newest: str) -> MirrorResult:
    files = mirror_visit.host_of_files(visit) if visit.wheel else ""
    page = host_of(visit.final_url) if visit.final_url else ""
    listed = visit.listing.newest if visit.listing else ""
    state, reasons = _worth(visit, run.how, newest, files, page)
    rate = visit.bytes_per_s
    if rate is None and visit.outcome == "slow" and visit.page_s > 0:
        rate = visit.page_bytes / visit.page_s
    expected = at_least = None
    wanted = run.need()
    if visit.latency_s is not None and rate and state != "unusable":
        expected = wanted.seconds(visit.latency_s, rate)
    elif visit.latency_s is not None and visit.wheel is not None and run.line:
        at_least = wanted.seconds(visit.latency_s, run.line)
    skipped = ""
    if state != "unusable" and visit.wheel is not None and rate is None:
        skipped = "cannot-win" if visit.skipped else "no-time"
    return MirrorResult(
        site=visit.site, state=state, reasons=reasons, status=visit.status, status_short=visit.status_short,
        detail=visit.detail or visit.piece_failure, newest=listed, page_host=page, files_host=files,
        wheel=visit.wheel.name if visit.wheel else "", wheel_bytes=visit.wheel_bytes, latency_s=visit.latency_s,
        proxy=proxy_for(run.how, visit.site.url), bytes_per_s=rate, expected_s=expected, at_least_s=at_least,
        skipped=skipped, received_bytes=visit.page_bytes + visit.piece_bytes,
    )  # fmt: skip


def _worth(visit: Visit, how: Manner, newest: str, files: str, page: str) -> tuple[State, tuple[str, ...]]:
    """The state of a site and why."""
    if visit.outcome not in ("answered", "slow"):
        return "unusable", (visit.outcome,)
    if visit.status is not None and visit.status != 200:
        return "unusable", ("blocked" if visit.status_short == 200 else "status",)
    if visit.listing is not None and visit.listing.kind != "index":
        return "unusable", ("not-an-index",)
    if visit.listing is not None and not visit.listing.newest:
        return "unusable", ("no-torch",)
    if visit.piece_failure and not visit.piece_bytes:
        return "unusable", ("no-file",)
    reasons = []
    if visit.outcome == "slow":
        reasons.append("slow")
    if visit.listing is not None and visit.wheel is None:
        reasons.append("no-wheel")
    if visit.listing is not None and ordered(visit.listing.newest) < ordered(newest):
        reasons.append("stale")
    own = {owner(host) for host in (visit.site.host, page) if host}
    if how.ignores(visit.site.url):
        reasons.append("plain-http")
    limited = bool(reasons)
    if visit.site.name != OFFICIAL and files and owner(files) not in own:
        # Of a mirror it is said that it holds the files; another index may well list what lies elsewhere.
        limited = limited or visit.site.known
        reasons.append("elsewhere")
    return ("limited" if limited else "usable"), tuple(reasons)
