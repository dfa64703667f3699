"""Of what kinds machines and paths are where nobody is the odd one: too many are slow to say what is usual.

Nobody is blamed for it. What is certain is told: which machines are alike, what each kind of them carries at its best,
and what the paths between groups of them do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from envdoctor.facts import link_groups, links, round_trips
from envdoctor.facts.allreduce import AllreduceResult, Pair
from envdoctor.facts.link_fit import CONFIRMED, MOST, SLOW, by_rail, free, one_sided, usually_busy
from envdoctor.knowledge import fabric

KINDS = 4  # more of them are no kinds
MOST_PATHS = 6  # slow paths that are named


@dataclass(frozen=True)
class Group:
    """Machines that are alike, and what one of them carries, GB/s: at its best, or to others of its group."""

    ends: tuple[int, ...]
    gb_s: float


@dataclass(frozen=True)
class Uneven:
    """That there is more than one usual rate.

    Attributes:
        kind: "kinds" (machines that manage less than others), "islands" (fast within groups, slow between them),
            "paths" (many slow paths, no groups), "one-way" (two machines).
        groups: those alike, the fastest first. Of "one-way" the sender of the slow direction is the first.
        gb_s: what the slowest kind, the paths between the groups, or the slow paths usually carry.
        usual: what the fastest kind, the paths within the groups, or the other paths do.
        paths: of "paths" the slowest, (from, to, GB/s); count: how many are slow, of how many.
        rail: where the others of several are even; None for all, or the only one.
        far: whether all paths that are slow cross a long way.
    """

    kind: str
    gb_s: float
    usual: float
    groups: tuple[Group, ...] = ()
    paths: tuple[tuple[int, int, float], ...] = ()
    count: int = 0
    of: int = 0
    rail: int | None = None
    far: bool = False


def of_run(result: AllreduceResult) -> tuple[Uneven, ...]:
    """What is uneven in a run beside what a long way explains, which is told by itself (checks/bench_latency.py)."""
    distances = round_trips.far(result)
    found = uneven([pair for pair in result.pairs if not _held_back_by_distance(pair, distances)])
    return tuple(replace(one, far=_crosses(one, distances)) for one in found)


def _held_back_by_distance(pair: Pair, distances: Sequence[round_trips.Far]) -> bool:
    return any(far.concerns(pair.a, pair.b) and fabric.explained(far.us / 1e6, pair.gb_s) for far in distances)


def _crosses(one: Uneven, distances: Sequence[round_trips.Far]) -> bool:
    if one.kind == "kinds":
        return False  # it is the machines that are slow, at their best
    between = (itertools.product(first.ends, last.ends) for first, last in itertools.combinations(one.groups, 2))
    slow = (*itertools.chain.from_iterable(between), *((a, b) for a, b, _ in one.paths))
    return all(any(far.concerns(a, b) for far in distances) for a, b in slow)


def uneven(pairs: Sequence[Pair]) -> tuple[Uneven, ...]:
    """What is uneven among pairs of which nobody is to blame, by rail; nothing where somebody is."""
    if links.blamed(pairs):
        return ()
    rails = by_rail(pairs)
    found = {rail: one for rail, own in rails.items() if (one := _of_rail(own, rail if len(rails) > 1 else None))}
    if len(rails) > 1 and len(found) == len(rails) and len({_shape(one) for one in found.values()}) == 1:
        slowest = min(found.values(), key=lambda one: one.gb_s)
        return (_on_all(slowest),)
    return tuple(found.values())


def _shape(one: Uneven) -> tuple[str, tuple[tuple[int, ...], ...]]:
    return one.kind, tuple(group.ends for group in one.groups)


def _on_all(one: Uneven) -> Uneven:
    return Uneven(one.kind, one.gb_s, one.usual, one.groups, one.paths, one.count, one.of)


def _of_rail(pairs: Sequence[Pair], rail: int | None) -> Uneven | None:
    ends = sorted({end for pair in pairs for end in (pair.a, pair.b)})
    if len(ends) < 3:
        return _one_way(pairs, rail)
    if any(pair.kind for pair in pairs):
        seen = link_groups.view(pairs)
        own = {end: min(rate, seen.receives.get(end, rate)) for end, rate in seen.sends.items()}
        return _kinds(own, pairs, rail)  # what they carry far away differs on healthy fabrics too
    sends, receives = _best(pairs)
    own = {end: min(sends[end], receives[end]) for end in ends if end in sends and end in receives}
    return _kinds(own, pairs, rail) or _islands_or_paths(pairs, sends, receives, rail)


def _best(pairs: Iterable[Pair]) -> tuple[dict[int, float], dict[int, float]]:
    """What each machine sends and receives at its best: with one good partner among many slow ones it shows what it
    can."""
    sends: dict[int, float] = {}
    receives: dict[int, float] = {}
    for pair in pairs:
        sends[pair.a] = max(sends.get(pair.a, 0.0), pair.gb_s)
        receives[pair.b] = max(receives.get(pair.b, 0.0), pair.gb_s)
    return sends, receives


def _kinds(own: dict[int, float], pairs: Sequence[Pair], rail: int | None) -> Uneven | None:
    """Machines by what they carry, cut where the next one carries far more; None where all are of one kind."""
    ordered = sorted(own, key=lambda end: (-own[end], end))
    gaps = [(own[low] / own[high], place) for place, (high, low) in enumerate(itertools.pairwise(ordered))
            if own[low] < SLOW * own[high]]  # fmt: skip
    cuts = sorted(place + 1 for _, place in sorted(gaps)[: KINDS - 1])
    if not cuts:
        return None
    parts = [ordered[low:high] for low, high in zip([0, *cuts], [*cuts, len(ordered)], strict=True)]
    groups = tuple(Group(tuple(sorted(part)), median(own[end] for end in part)) for part in parts)
    slow = set(ordered[cuts[0] :])
    # Up to so many are somebody's fault, or were not measured again.
    if len(slow) <= MOST * len(ordered):
        return None
    others = usually_busy(pair.busy for pair in pairs if not slow & {pair.a, pair.b})
    if not free([pair for pair in pairs if slow & {pair.a, pair.b}], groups[0].gb_s, others):
        return None
    return Uneven("kinds", groups[-1].gb_s, groups[0].gb_s, groups, rail=rail)


def _islands_or_paths(
    pairs: Sequence[Pair], sends: dict[int, float], receives: dict[int, float], rail: int | None
) -> Uneven | None:
    """Machines that manage the same, with more slow paths between them than can be somebody's fault."""
    weak = {(one.a, one.b): one for one in pairs if one.gb_s < SLOW * min(sends[one.a], receives[one.b])}
    rest = [one for one in pairs if (one.a, one.b) not in weak]
    others = usually_busy(pair.busy for pair in rest)
    confirmed = [
        one
        for one in weak.values()
        if one.times >= CONFIRMED and free([one], min(sends[one.a], receives[one.b]), others)
    ]
    if len({frozenset((one.a, one.b)) for one in confirmed}) <= max(1.0, MOST * len(sends)):
        return None
    strong = [(one.a, one.b) for one in pairs if (one.a, one.b) not in weak and (one.b, one.a) not in weak]
    islands = _joined(sends, strong)
    slow = median(one.gb_s for one in weak.values())
    fast = median([one.gb_s for one in rest] or [slow])
    if 1 < len(islands) <= KINDS and min(len(island) for island in islands) > 1:
        groups = tuple(
            Group(island, median(one.gb_s for one in pairs if {one.a, one.b} <= set(island))) for island in islands
        )
        return Uneven("islands", slow, fast, groups, rail=rail)
    worst = sorted(weak.values(), key=lambda one: one.gb_s)[:MOST_PATHS]
    named = tuple((one.a, one.b, one.gb_s) for one in worst)
    return Uneven("paths", slow, fast, paths=named, count=len(weak), of=len(pairs), rail=rail)


def _joined(ends: Iterable[int], ties: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The ends in groups that ties join, the largest first."""
    group = {end: {end} for end in ends}
    for a, b in ties:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for end in group[b]:
                group[end] = group[a]
    return sorted({tuple(sorted(one)) for one in group.values()}, key=lambda one: (-len(one), one))


def _one_way(pairs: Sequence[Pair], rail: int | None) -> Uneven | None:
    """Two machines, of which one direction carries far less than the other, measured again."""
    both = one_sided(pairs)
    if both is None or both[0].times < CONFIRMED:
        return None
    slow, fast = both
    if not free([slow], fast.gb_s, fast.busy):
        return None
    groups = (Group((slow.a,), slow.gb_s), Group((slow.b,), fast.gb_s))
    return Uneven("one-way", slow.gb_s, fast.gb_s, groups, rail=rail)
