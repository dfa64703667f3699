"""The visits of one run: when each begins, and how long it may take.

Two phases share one deadline. The pages are small and are asked for all at once; a site that has not answered within
ANSWER_S is dead and holds nobody up, since the second phase begins while the dead are still waited for. The pieces are
large: fetched all at once they would share the user's line, and each would look as slow as the line divided by all.
They come in waves of WAVE, the most promising (and the index in effect) first. A wave shares the line too, but all
waves do so alike; where the number does not come out even the first waves are the smaller ones, so that no unlikely
candidate is flattered by an empty line. A site that would lose even with the whole line to itself is left out.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from envdoctor.bench import mirror_visit
from envdoctor.bench.index_page import ordered
from envdoctor.bench.mirror_visit import Visit
from envdoctor.bench.pip_manner import Manner
from envdoctor.bench.pip_session import Contexts, contexts
from envdoctor.bench.sites import Need, Patient, Site, need
from envdoctor.knowledge import mirrors

ANSWER_S = 3.0  # a site that has not begun to answer by then is dead; pip itself waits 15 s, and five times
SETTLE_S = 1.0  # by then most have answered, and the order of the pieces means something
WAVE, WAVE_S = 3, 2.0
SAME = 1.2  # two sites whose expected times differ by less than this factor are as good as each other
UNFELT_S = 10.0  # nor does anybody choose a mirror for so few seconds


@dataclass(frozen=True)
class Step:
    """How far a run has come: `done` of `total`, and the sites that are waited for or measured now."""

    done: int
    total: int
    measuring: bool
    names: tuple[str, ...]


class Run:
    """The visits under way."""

    def __init__(
        self, of: Patient, sites: Sequence[Site], how: Manner, began: float, deadline_s: float,
        on_progress: Callable[[Step], None] | None,
    ) -> None:  # fmt: skip
        self.of, self.how = of, how
        self.visits = [Visit(site) for site in sites]
        self.began, self.until = began, began + deadline_s
        self.settled = began + min(SETTLE_S, deadline_s / 4)
        self.answer_by = began + min(ANSWER_S, deadline_s / 2, how.timeout_s)
        # What is long in coming over a slow line gets half of the time; nothing is measured beside it until then.
        self.page_by = max(self.answer_by, began + deadline_s / 2)
        self.line = 0.0  # bytes/s of the fastest wave
        self._wave_of: list[Visit] = []
        self._wave_by = 0.0
        self._changed = threading.Condition()
        self._on_progress = on_progress
        self._told: Step | None = None

    def follow(self) -> None:
        """Start the visits and return when all are done or the time is up."""
        tls = contexts(self.how)
        for visit in self.visits:
            self._start(visit, lambda visit: self._page(visit, tls))
        while True:
            now = time.monotonic()
            self._give_up(now)
            self._tell()
            stages = {visit.stage for visit in self.visits}
            if stages == {"done"} or not stages or now >= self.until:
                break
            if "ready" in stages and "measuring" not in stages and self._is_quiet(now):
                self._wave(now)
                continue
            with self._changed:
                if {visit.stage for visit in self.visits} == stages:
                    self._changed.wait(min(0.05, max(0.001, self.until - now)))
        for number, visit in enumerate(self.visits):
            if visit.stage != "done":
                self._leave(number)

    def _start(self, visit: Visit, do: Callable[[Visit], None]) -> None:
        def run() -> None:
            do(visit)
            if visit.stage == "done" and visit.conversation is not None:
                visit.conversation.close()
            with self._changed:
                self._changed.notify()

        try:
            # A daemon: name servers and trickling sites may hold it for longer than anybody waits.
            threading.Thread(target=run, daemon=True, name=f"mirror {visit.site.name}").start()
        except RuntimeError as error:
            visit.fail("failed", str(error))

    def _page(self, visit: Visit, tls: Contexts) -> None:
        mirror_visit.page(visit, self.how, tls, self.of.platform, self.answer_by, self.page_by)

    def _give_up(self, now: float) -> None:
        for number, visit in enumerate(self.visits):
            by = {"asking": self.answer_by, "reading": self.page_by, "looking": self.page_by}.get(visit.stage)
            if visit.stage == "measuring":
                by = self._wave_by
            if by is not None and now >= by + 0.1:
                self._leave(number)

    def _leave(self, number: int) -> None:
        """Go on without a visit: its thread keeps the old record, what came so far is in the new one."""
        old = self.visits[number]
        new = replace(old, marks=list(old.marks), conversation=None)
        old.abandoned = True
        if new.stage == "asking":
            new.fail("timeout", f"no answer within {time.monotonic() - self.began:.1f} s")
        elif new.stage == "reading":
            new.fail("slow", f"{new.page_bytes} bytes of the page in {new.page_s:.1f} s")
        elif new.stage == "measuring" and not new.marks:
            new.piece_failure = f"no byte of the wheel in {WAVE_S:g} s"
        new.outcome = new.outcome or "answered"
        new.stage = "done"
        self.visits[number] = new

    def _is_quiet(self, now: float) -> bool:
        stages = {visit.stage for visit in self.visits}
        if now < self.settled and "asking" in stages:
            return False
        return now >= self.page_by or not stages & {"reading", "looking"}

    def _wave(self, now: float) -> None:
        """Fetch the pieces of the most promising sites that are ready."""
        self.line = max(self.line, self._rate_of_wave())
        ready = sorted(
            (visit for visit in self.visits if visit.stage == "ready"),
            key=lambda visit: (not visit.site.in_effect, visit.latency_s or math.inf),
        )
        wanted = [visit for visit in ready if not self._cannot_win(visit)]
        for visit in ready:
            if visit not in wanted:
                visit.skipped, visit.stage = True, "done"
        if not wanted:
            return
        size = len(wanted) // math.ceil(len(wanted) / WAVE)
        self._wave_of = wanted[:size]
        self._wave_by = min(self.until, now + WAVE_S)
        for visit in self._wave_of:
            visit.stage = "measuring"
        for visit in self._wave_of:
            self._start(visit, lambda visit: mirror_visit.piece(visit, self._wave_by))

    def _rate_of_wave(self) -> float:
        return sum(visit.bytes_per_s or 0.0 for visit in self._wave_of)

    def _cannot_win(self, visit: Visit) -> bool:
        if not self.line or visit.site.in_effect or visit.latency_s is None:
            return False
        wanted = self.need()
        measured = [
            wanted.seconds(other.latency_s, other.bytes_per_s)
            for other in self.visits
            if other.latency_s is not None and other.bytes_per_s
        ]
        return bool(measured) and wanted.seconds(visit.latency_s, self.line) > min(measured) * SAME + UNFELT_S

    def need(self) -> Need:
        """What is to be fetched: the size of the wheel as most sites with the newest one have it."""
        newest = self.newest()
        sizes = Counter(
            visit.wheel_bytes
            for visit in self.visits
            if visit.wheel_bytes and visit.wheel and visit.wheel.version == newest
        ) or Counter(visit.wheel_bytes for visit in self.visits if visit.wheel_bytes)
        return need(self.of, sizes.most_common(1)[0][0] if sizes else None)

    def newest(self) -> str:
        """The release that a fresh mirror lists: our table's, the official index's, or one that two sites list.

        A single index that lists more than all others may hold builds of its own.
        """
        listed = sorted(
            (visit.listing.newest for visit in self.visits if visit.listing and visit.listing.newest),
            key=ordered, reverse=True,
        )  # fmt: skip
        official = [
            visit.listing.newest
            for visit in self.visits
            if visit.listing and visit.listing.newest and visit.site.name == mirrors.OFFICIAL
        ]
        return max([mirrors.expected_release().version, *official, *listed[1:2]], key=ordered)

    def _tell(self) -> None:
        if self._on_progress is None:
            return
        asked = sum(visit.stage in ("ready", "measuring", "done") for visit in self.visits)
        done = sum(visit.stage == "done" for visit in self.visits)
        measured = [visit.site.name for visit in self.visits if visit.stage == "measuring"]
        waited = [visit.site.name for visit in self.visits if visit.stage in ("asking", "reading", "looking")]
        step = Step(asked + done, 2 * len(self.visits), bool(measured), tuple(measured or waited))
        if step != self._told:
            self._told = step
            self._on_progress(step)
