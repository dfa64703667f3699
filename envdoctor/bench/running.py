"""A whole run: agents are started and heard, the machines are looked at beside them, and facts come out of it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from envdoctor import examination, facts
from envdoctor.bench import baseline, blame, expectation, refusal, rungs
from envdoctor.bench.conducting import Conduct, Ended
from envdoctor.bench.observed import Observed
from envdoctor.bench.places import Looked, Places, variables
from envdoctor.bench.resting import Resting
from envdoctor.errors import ExaminationError, UsageError
from envdoctor.facts import links
from envdoctor.facts.allreduce import RUNGS, AllreduceResult, Member
from envdoctor.facts.asked import Asked
from envdoctor.facts.environment import Environment
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.model import Missing, Why
from envdoctor.snapshot import Snapshot

# What explains a rung that failed: cheap, and read while the ranks import torch.
BESIDE = (
    "host", "environment", "python", "host-names", "nics", "nccl", "name-resolution", "cpu", "torch-install", "rdma",
    "gpu", "driver",
)  # fmt: skip
# Looked at once a rung has failed for which it may name the culprit. Between roll call and store a port may be taken.
AFTERWARDS = {"bind": ("rendezvous-port",), "store": ("rendezvous-port",)}


_MET = (
    "duplicate",
    "world-size",
    "lost",
    "unheard",
    "cut",
    "no-answer",
    "not-started",
    "coordinator",
)  # not of the way there
_ABOVE = RUNGS[RUNGS.index("join") + 1 :]


# What reaches a host and starts a Python there says a word within this, or is ended: ConnectTimeout, and a Python on a
# cold network file system.
FIRST_WORD_S = 20.0


@dataclass(frozen=True)
class Wanted:
    """What is to be measured.

    Attributes:
        op: a program of `envdoctor.bench.schedule`. backend: "auto", "nccl" or "gloo".
        sizes: bytes of each rank's buffer. join_s: how long the others may take.
        budget_s: how long the ways between the nodes may be measured, see `envdoctor.bench.rounds`.
        blame: measure them after an all-reduce that they seem to have held back.
        baseline: of an earlier run, to compare with.
    """

    op: str = "allreduce"
    baseline: AllreduceResult | None = None
    backend: str = "auto"
    dtype: str = "float32"
    sizes: tuple[int, ...] = ()
    join_s: float = 60.0
    budget_s: float = 60.0
    blame: bool = True


@dataclass(frozen=True)
class Ran:
    """What came of it. The first snapshot holds the result and is of the place of this process's part.

    Attributes:
        refused: codes for which it was ended before it could fail, see `envdoctor.bench.refusal`.
    """

    result: AllreduceResult
    snapshots: tuple[Snapshot, ...] = field(default_factory=tuple)
    refused: tuple[str, ...] = ()


def reach_of(result: AllreduceResult, member: int, source: str) -> RendezvousReach | None:
    """What a member found at the master's port, as the checks of the rendezvous take it; None where it got through.

    Args:
        source: the option or variable that named the master.
    """
    failure = next((one for one in result.on("bind", "connect", "join", "route") if one.member == member), None)
    if failure is None or failure.how in ("bind", "interface-missing", *_MET):
        return None
    outcome = failure.how
    if outcome == "refused" and (failure.elsewhere == "udp" or any(_is_up(other) for other in result.members)):
        outcome = "reset"  # rank 0 listens there, as it or its own node has told: what refuses stands between them
    elsewhere = failure.elsewhere
    if outcome == "timeout" and elsewhere == "timeout" and any(_is_up(other) for other in result.members):
        elsewhere = "listens"  # as its own node has told over the line to this doctor
    target = Target(
        host=result.master_addr,
        port=result.master_port or 0,
        source=source,
        addresses=(failure.address,) if failure.address else (),
        outcome="EHOSTUNREACH" if outcome == "no-route" else outcome,
        elsewhere=elsewhere,
        error=failure.error,
        waited_s=failure.seconds or 0.0,
    )
    return RendezvousReach((target,))


def _with_etcd(own: RendezvousReach | None, looked: object) -> RendezvousReach | Missing:
    """What this run found at the master's port; of what the patient found, etcd, which a run does not ask."""
    if isinstance(looked, Missing) and own is None:
        return looked
    etcd = [one for one in looked.targets if one.kind == "etcd"] if isinstance(looked, RendezvousReach) else []
    return RendezvousReach((*(own.targets if own else ()), *etcd))


def _is_up(member: Member) -> bool:
    return member.index == 0 and member.rung in ("join", *_ABOVE)


# Answers a question of the coordinator from what is known so far: (question, result) -> answer.
Answer = Callable[[str, AllreduceResult], Mapping[str, Any]]


def request_of(places: Places, wanted: Wanted) -> dict[str, Any]:
    """What all agents are asked, see `envdoctor.bench.agent.Agent`."""
    part = places.part
    return {
        "agents": part.members, "per": part.per, "op": wanted.op, "nproc": part.nproc,
        "master_addr": part.master_addr, "master_port": part.master_port, "store_is_there": False,
        "backend": wanted.backend, "dtype": wanted.dtype, "sizes": list(wanted.sizes), "join_s": wanted.join_s,
        "budget_s": wanted.budget_s, "blame": wanted.blame, "whole": links.ALL_PAIRS,
    }  # fmt: skip


def longest_s(wanted: Wanted) -> float:
    """No run takes longer, seconds: the deadlines of all rungs, one after the other."""
    fixed = sum(limit for rung, limit in rungs.LIMITS.items() if rung not in ("connect", "join", "sweep"))
    return fixed + 2 * wanted.join_s + wanted.budget_s + len(wanted.sizes) * rungs.LIMITS["sweep"] + 60.0


def run(
    places: Places,
    wanted: Wanted,
    on_change: Callable[[AllreduceResult], None],
    answer: Answer = blame.answer,
    refuse: refusal.Refusal = refusal.never,
) -> Ran:
    """Measure.

    Args:
        on_change: called with what is known whenever that has grown.
        refuse: asked once the machines have been looked at, whether it is worth while.

    Raises:
        ExaminationError: no agent could be started.
    """
    part = places.part
    observed = Observed(part, wanted.backend, wanted.dtype, wanted.op)
    starts = places.starts(request_of(places, wanted))
    with Conduct(starts, secrets.token_hex(12)) as conduct:

        def hurry() -> None:
            left_s = places.left_s()
            if left_s is not None:
                conduct.hurry(left_s)

        def take(number: int, record: dict[str, Any]) -> None:
            observed.take(record)
            resting.heard(number)
            for start, word in places.hear(number, record):
                conduct.say(start, word)
            hurry()
            if "asks" in record:
                conduct.say(number, answer(str(record["asks"]), observed.result))
            elif "size" in record or "begin" in record or record.get("end") == "join":
                on_change(observed.result)

        def over(number: int, ended: Ended) -> None:
            places.over(number, ended)
            hurry()

        def first_word() -> None:
            if not places.met():
                conduct.hurry(0.0)

        gate = _Gate(refuse, conduct)
        resting = Resting(conduct, gate.seen)
        patience = threading.Timer(max(FIRST_WORD_S, wanted.join_s), first_word)
        patience.daemon = True
        patience.start()
        places.look(
            (*BESIDE, "rendezvous-reach") if os.environ.get("PET_RDZV_BACKEND", "").startswith("etcd") else BESIDE
        )
        resting.after(places)
        try:
            conduct.follow(take, time.monotonic() + longest_s(wanted), over)
        finally:
            patience.cancel()
        # Of those that are far away, the ones that this doctor has ended are not to blame, and silence tells as well.
        by_themselves = dict(conduct.ended)
    if gate.error is not None:
        raise gate.error
    known = {member.index for member in observed.result.members}
    for number, start in enumerate(starts):
        index = places.index_of(number)
        ended = (by_themselves if places.far else conduct.ended).get(number)
        if gate.refused or (ended is None and (not places.far or index in known)):
            continue
        ended = ended or Ended()
        if (ended.status != 0 or not observed.result.stage) and not observed.result.done:
            observed.gone(index, ended, start.name)
    told = places.told()
    result = baseline.beside(observed.result, wanted.baseline)
    if not places.far and not any(member.rung for member in result.members):
        said = next((one.said or one.noise for one in conduct.ended.values()), "") or "it said nothing"
        raise ExaminationError(f"the benchmark did not start: {said[-500:]}", f"基准测试未能启动：{said[-500:]}")
    own = {failure.rung for failure in result.failures if failure.member in (part.index, -1)}
    looked = places.looked([name for rung in own for name in AFTERWARDS.get(rung, ())])
    if result.done:
        result = expectation.filled(result, {one.member: one.sections for one in looked})
    unasked = {name: Missing(name, Why.NOT_ASKED.value, "a benchmark does not look at it") for name in facts.KINDS}
    asked = Asked(topics=(wanted.op,), port=result.master_port or part.master_port)
    snapshots = []
    for place, one in enumerate(looked):
        sections = {**unasked, **one.sections, "asked": asked}
        if places.far and isinstance(seen := sections.get("environment"), Environment):
            # A login shell does not know them, a training script started there does.
            given = replace(part, index=one.member, master_addr=result.master_addr, master_port=asked.port or 0)
            sections["environment"] = replace(seen, variables={**seen.variables, **variables(given)})
        if place == 0:
            sections.update(told, allreduce=result)
        reach = reach_of(result, one.member, part.given_by)
        if reach is not None or "rendezvous-reach" in one.sections:
            sections["rendezvous-reach"] = _with_etcd(reach, one.sections.get("rendezvous-reach"))
        node = examination.node_of(one.node, sections)
        snapshots.append(Snapshot(node, examination.now(), examination.MADE_BY, sections))
    return Ran(result, tuple(snapshots), gate.refused)


class _Gate:
    """Ends a run that is refused once the machines have been looked at."""

    def __init__(self, refuse: refusal.Refusal, conduct: Conduct) -> None:
        self._refuse = refuse
        self._conduct = conduct
        self.refused: tuple[str, ...] = ()
        self.error: UsageError | None = None

    def seen(self, looked: Sequence[Looked]) -> None:
        """The machines look like this."""
        shown = [
            Snapshot(examination.node_of(one.node, one.sections), "", examination.MADE_BY, one.sections)
            for one in looked
        ]
        try:
            self.refused = self._refuse(shown)
        except UsageError as error:
            self.error = error
        if self.refused or self.error is not None:
            self._conduct.hurry(0.0)
