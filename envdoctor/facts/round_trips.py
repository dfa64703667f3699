"""Which machines are farther from the others than these are from each other, by the shortest round trips between them.

A queue, a busy processor or a lost packet only makes a round trip longer: of all that were seen between two machines
the shortest is the way itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median

from envdoctor.facts.allreduce import AllreduceResult, Pair, Way

FARTHER = 5.0  # times the usual round trip
FARTHER_US = 500.0  # and by so much: within a data center it is at most about that (J. Dean, LADIS 2009, "Numbers
# Everyone Should Know")
# More ranks than processors: whoever answers may have waited for its turn, a few slices of 3 ms (EEVDF's base slice).
FARTHER_BUSY_US = 5000.0
# Between two data centers of one region 1 ms and more (AWS promises "single-digit milliseconds" between zones): from
# here on it is the distance that decides how long a small sum takes, and no fault is to be looked for.
DISTANT_US = 1000.0

Trips = Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Far:
    """Machines that are far.

    Attributes:
        kind: "node" (one that is far from all others), "nodes" (several that are), "places" (groups that are far from
            each other, none of which holds most), "path" (two that are near to the others and far from each other),
            "all" (everybody, from everybody).
        ends: who is far; of "places" and "all" everybody.
        groups: of "places", those that are near to each other.
        us: the median of these round trips; usual_us: of the others.
    """

    kind: str
    ends: tuple[int, ...]
    us: float
    usual_us: float
    groups: tuple[tuple[int, ...], ...] = ()

    def concerns(self, a: int, b: int | None) -> bool:
        """Whether what is measured between two machines, or of one with all others, crosses this distance."""
        if self.kind == "all":
            return True
        if self.kind == "places":
            return b is None or not any(a in group and b in group for group in self.groups)
        if self.kind == "path":
            return {a, b} == set(self.ends)
        return (a in self.ends) != (b in self.ends)


def trips(result: AllreduceResult) -> dict[tuple[int, int], float]:
    """The shortest round trip between any two machines, either way and over any interface, microseconds."""
    found: dict[tuple[int, int], float] = {}
    every: tuple[Way | Pair, ...] = (*result.ways, *result.pairs)
    for way in every:
        if way.rtt_us:
            key = (min(way.a, way.b), max(way.a, way.b))
            found[key] = min(found.get(key, float("inf")), float(way.rtt_us))
    return found


def usual(seen: Trips) -> float:
    """How far a machine usually is from its nearest, microseconds: that of one that is far does not count for others.

    The median over the machines, so that up to half of them may be far from everybody.
    """
    nearest: dict[int, float] = {}
    for pair, us in seen.items():
        for end in pair:
            nearest[end] = min(nearest.get(end, us), us)
    return median(nearest.values()) if nearest else 0.0


def far(result: AllreduceResult) -> tuple[Far, ...]:
    """Who is far. Without anybody who is farther than others, and a long way between all of them: "all"."""
    seen = trips(result)
    near = usual(seen)
    busy = result.oversubscribed
    found = _outliers(seen, near, max(FARTHER * near, near + (FARTHER_BUSY_US if busy else FARTHER_US)))
    if not found and near > (FARTHER_BUSY_US if busy else DISTANT_US):
        ends = tuple(sorted({end for pair in seen for end in pair}))
        return (Far("all", ends, median(seen.values()), near),)
    return found


def _outliers(seen: Trips, near: float, limit: float) -> tuple[Far, ...]:
    groups = _groups(seen, limit)
    if not groups:
        return ()
    first = groups[0]
    everybody = sum(len(group) for group in groups)
    if 2 * len(first) <= everybody:
        if len(groups) == everybody:
            return ()  # nobody is near to anybody: there is no usual way
        across = [us for (a, b), us in seen.items() if not any(a in group and b in group for group in groups)]
        return (Far("places", tuple(sorted(set().union(*groups))), median(across), near, groups),)
    apart = groups[1:]
    if len(apart) > 2 or any(len(group) > 1 for group in apart):
        apart = (tuple(sorted(set().union(*apart))),)
    found = []
    for group in apart:
        across = [us for (a, b), us in seen.items() if (a in group) != (b in group)]
        found.append(Far("node" if len(group) == 1 else "nodes", group, median(across), near))
    return (*found, *_detours(seen, first, near, limit))


def _groups(seen: Trips, limit: float) -> tuple[tuple[int, ...], ...]:
    """Machines that reach each other by short ways, perhaps by way of others; the largest group first."""
    leader = {end: end for pair in seen for end in pair}

    def head(end: int) -> int:
        while leader[end] != end:
            leader[end] = leader[leader[end]]
            end = leader[end]
        return end

    for (a, b), us in seen.items():
        if us <= limit:
            leader[head(a)] = head(b)
    members: dict[int, list[int]] = {}
    for end in sorted(leader):
        members.setdefault(head(end), []).append(end)
    return tuple(sorted((tuple(group) for group in members.values()), key=lambda group: (-len(group), group)))


def _detours(seen: Trips, group: Collection[int], near: float, limit: float) -> tuple[Far, ...]:
    """Long ways between two that are near to most others; not where there are more of these than of machines."""
    inside = set(group)
    long = {pair: us for pair, us in seen.items() if us > limit and inside.issuperset(pair)}
    if len(long) > len(inside) / 2:
        return ()
    return tuple(Far("path", pair, us, near) for pair, us in sorted(long.items()))
