"""Which check files speak of a benchmark: the same ones when it is run and when its file is judged again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.rendezvous import RendezvousReach
from envdoctor.load import Loaded
from envdoctor.snapshot import Snapshot

ALIKE = "drift"  # what the ranks must have in common, which they say of themselves
# A run meets without etcd: whether that answers, it has not tried.
UNTRIED = ("etcd-unreachable",)
# The topics that may know why a rung failed; a run that came to its end has proved their predictions wrong.
WHY = ("launch", "nccl", "network", "rendezvous", "ranks", "torch")


def result_in(snapshots: Sequence[Snapshot]) -> AllreduceResult | None:
    """The benchmark that snapshots hold."""
    held = (snapshot.sections.get("allreduce") for snapshot in snapshots)
    return next((fact for fact in held if isinstance(fact, AllreduceResult)), None)


def asked(names: Sequence[str], snapshots: Sequence[Snapshot]) -> list[str]:
    """What is to be judged where these topics and codes were asked for: with a benchmark that stopped, also the topics
    that may know why."""
    result = result_in(snapshots)
    stopped = result is not None and not result.done and bool({"allreduce", "links"}.intersection(names))
    return [*names, *(topic for topic in WHY if stopped and topic not in names)]


def of(loaded: Loaded, snapshots: Sequence[Snapshot]) -> Loaded:
    """The files about benchmarks and, where a rung failed, those that may know why; all files without a benchmark."""
    result = result_in(snapshots)
    if result is None:
        return loaded
    reached = any(isinstance(one.sections.get("rendezvous-reach"), RendezvousReach) for one in snapshots)
    files = tuple(
        file
        for file in loaded.files
        if file.topic.bench
        or file.topic.name == ALIKE
        or (not result.done and file.topic.name in WHY)
        or (reached and any(problem.code in UNTRIED for problem in file.problems))
    )
    return replace(loaded, files=files)
