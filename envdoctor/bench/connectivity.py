"""Can the examined hosts exchange anything at all? The first steps of the benchmark, with eight bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from envdoctor.bench import running
from envdoctor.bench.places import Looked, Places
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.asked import Asked
from envdoctor.facts.python import Python
from envdoctor.facts.reached import Reached
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from envdoctor.snapshot import Snapshot

BYTES = 8
JOIN_S = 30.0  # all hosts have answered before, and each imports torch once more


class Startable(Places, Protocol):
    """Places whose own examination can be left out, for that has been made."""

    def known(self, looked: Sequence[Looked]) -> None:
        """Take these for what the machines look like."""


def reached(snapshot: Snapshot) -> bool:
    """Whether a host was reached."""
    told = snapshot.sections.get("reached")
    return isinstance(told, Reached) and all(host.outcome == "ok" for host in told.hosts)


def able(snapshot: Snapshot) -> bool:
    """Whether a host was reached and holds a torch to try, with a Python that starts."""
    torch, python = snapshot.sections.get("torch-install"), snapshot.sections.get("python")
    if isinstance(python, Python) and python.failure:
        return False
    return reached(snapshot) and isinstance(torch, TorchInstall) and bool(torch.version)


def tried(
    snapshots: Sequence[Snapshot],
    places: Callable[[Sequence[int]], Startable],
    on_change: Callable[[AllreduceResult], None],
) -> list[Snapshot]:
    """The snapshots with what an all-reduce of eight bytes over all able hosts has shown.

    Args:
        places: the hosts of these numbers, as the places of a run.
    """
    numbers = [number for number, snapshot in enumerate(snapshots) if able(snapshot)]
    if len(numbers) < 2:
        why = "fewer than two nodes were reached and have torch"
        return [_with(one, {"allreduce": Missing("allreduce", "not-here", why)}) for one in snapshots]
    chosen = places(numbers)
    chosen.known([
        Looked(snapshots[number].node, snapshots[number].sections, member) for member, number in enumerate(numbers)
    ])  # fmt: skip
    wanted = running.Wanted(sizes=(BYTES,), join_s=JOIN_S, blame=False)
    ran = running.run(chosen, wanted, on_change)
    told = list(snapshots)
    for number, shown in zip(numbers, ran.snapshots, strict=True):
        told[number] = _with(snapshots[number], _news(snapshots[number], shown))
    return told


def _news(before: Snapshot, shown: Snapshot) -> dict[str, object]:
    """What a run has added to the facts of a host."""
    kept = ("allreduce", "reached", "rendezvous-reach", "rendezvous-port")
    news = {name: shown.sections[name] for name in kept if not isinstance(shown.sections.get(name), Missing | None)}
    reached, first = news.pop("reached", None), before.sections.get("reached")
    if isinstance(reached, Reached) and isinstance(first, Reached):
        # A host that was reached before may have been lost since.
        lost = tuple(host for host in reached.hosts if host.outcome != "ok")
        news["reached"] = Reached((*first.hosts, *lost))
    asked = before.sections.get("asked")
    result = news.get("allreduce")
    if isinstance(asked, Asked) and isinstance(result, AllreduceResult):
        news["asked"] = replace(asked, port=asked.port or result.master_port or 0)
    return news


def _with(snapshot: Snapshot, news: Mapping[str, object]) -> Snapshot:
    return replace(snapshot, sections={**snapshot.sections, **news})
