"""Which machine or which path holds back the others, from what streams between pairs of them carried.

A stream carries what the slowest of three allows: the sender, the receiver, the path between them (max-min). What a
machine manages is the upper quartile over its partners, for a slow partner or path lowers some of its streams and
nothing raises any. A machine far below the others is slow itself; a pair of which both manage more has a slow path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from envdoctor.facts.allreduce import Pair

SLOW = 0.6  # of what is usual; streams between healthy machines differ by a third on a busy network
BUSY = 0.5  # processors a stream kept busy or waited for: from here on they may be what holds it back
TWICE = 2.0  # what a stream could carry in its idle time is counted so often at most, where the others had little too
MOST = 0.34  # a larger share of slow machines has no usual to be compared with
CONFIRMED = 2  # measurements before anyone is blamed


@dataclass(frozen=True)
class Culprit:
    """Who is slow: a machine (`b` is None), the path from `a` to `b` and back or one way, or a rail (`a` is -1).

    Attributes:
        gb_s: what it carries, 1e9 bytes a second; usual: what the others do.
        both_ways: of a path, whether both directions are slow.
        sends, receives: of a machine, which directions are slow.
        rail: the only one on which it is slow, of several; None where it is slow on all, or there is but one.
        group: machines that are fast among themselves and slow to all others; `a` is the first of them.
        inside, alone: of a group, what its machines carry among themselves, and what one stream from it to another
            machine carries while hardly anybody else sends.
    """

    a: int
    b: int | None
    gb_s: float
    usual: float
    both_ways: bool = True
    sends: bool = True
    receives: bool = True
    rail: int | None = None
    group: tuple[int, ...] = ()
    inside: float | None = None
    alone: float | None = None


def upper_quartile(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.75 * len(ordered)))] if ordered else 0.0


def capacities(pairs: Sequence[Pair]) -> tuple[dict[int, float], dict[int, float]]:
    """What each machine sends and what it receives, GB/s."""
    sent: dict[int, list[float]] = {}
    received: dict[int, list[float]] = {}
    for pair in pairs:
        sent.setdefault(pair.a, []).append(pair.gb_s)
        received.setdefault(pair.b, []).append(pair.gb_s)
    return (
        {end: upper_quartile(rates) for end, rates in sent.items()},
        {end: upper_quartile(rates) for end, rates in received.items()},
    )


def usual(pairs: Sequence[Pair]) -> float:
    """What a stream between two machines usually carries, GB/s."""
    sends, _ = capacities(pairs)
    return median(sends.values()) if sends else 0.0


def by_rail(pairs: Sequence[Pair]) -> dict[int, list[Pair]]:
    """The pairs of each rail."""
    found: dict[int, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.rail, []).append(pair)
    return dict(sorted(found.items()))


def suspects(pairs: Sequence[Pair]) -> tuple[Culprit, ...]:
    """Those that look slow, confirmed or not: rails and machines first. Nobody where there is nobody to compare with.

    A machine that is slow on one rail of several has a slow interface; one that is slow on all is slow itself.
    """
    rails = by_rail(pairs)
    if len(rails) < 2:
        return _of_rail(pairs)
    rates = {rail: usual(own) for rail, own in rails.items()}
    best = max(rates.values())
    found = [Culprit(-1, None, rate, best, rail=rail) for rail, rate in rates.items() if rate < SLOW * best]
    each = {rail: {(one.a, one.b): one for one in _of_rail(own)} for rail, own in rails.items()}
    for key in sorted({key for of in each.values() for key in of}, key=lambda key: (key[1] is not None, key[0])):
        on = {rail: of[key] for rail, of in each.items() if key in of}
        if len(on) == len(rails):
            found.append(min(on.values(), key=lambda one: one.gb_s))
        else:
            found += [replace(one, rail=rail) for rail, one in on.items()]
    return tuple(found)


def _of_rail(pairs: Sequence[Pair]) -> tuple[Culprit, ...]:
    """Those that look slow among the pairs of one rail."""
    sends, receives = capacities(pairs)
    if len(sends) < 3:
        return ()
    out, back = median(sends.values()), median(receives.values())
    found = []
    slow = set()
    for end in sorted(sends):
        sending, receiving = sends[end] < SLOW * out, receives.get(end, back) < SLOW * back
        if sending or receiving:
            slow.add(end)
            worst = min(sends[end], receives.get(end, back))
            found.append(Culprit(end, None, worst, min(out, back), sends=sending, receives=receiving))
    weak = {
        (pair.a, pair.b): pair.gb_s
        for pair in pairs
        if not {pair.a, pair.b} & slow and pair.gb_s < SLOW * min(sends[pair.a], receives[pair.b])
    }
    for (a, b), rate in weak.items():
        if a < b or (b, a) not in weak:
            both = (b, a) in weak
            found.append(Culprit(a, b, rate, min(sends[a], receives[b]), both_ways=both))
    return tuple(found)


def blamed(pairs: Sequence[Pair]) -> tuple[Culprit, ...]:
    """Those that are slow beyond doubt: measured again, by no fault of the processors, and not too many of them."""
    told = suspects(pairs)
    ends = {end for pair in pairs for end in (pair.a, pair.b)}
    nodes = {one.a for one in told if one.a >= 0 and one.b is None}
    paths = {(one.a, one.b) for one in told if one.b is not None}
    if len(nodes) > MOST * len(ends) or len(paths) > max(1.0, MOST * len(ends)):
        return ()
    others = usually_busy(pair.busy for pair in pairs if not any(_concerns(one, pair) for one in told))
    held = []
    for one in told:
        own = [pair for pair in pairs if _concerns(one, pair)]
        if any(pair.times >= CONFIRMED for pair in own) and free(own, one.usual, others):
            held.append(one)
    return tuple(held)


def _concerns(one: Culprit, pair: Pair) -> bool:
    if one.rail not in (None, pair.rail):
        return False
    if one.b is None:
        return one.a in (-1, pair.a, pair.b)
    return {one.a, one.b} == {pair.a, pair.b}


def held_back(gb_s: float, busy: float, usual: float, others: float = 0.0) -> bool:
    """Whether processors can be what made a stream slow. Who needs or waits for them less than those that are fast is
    not slow by that; who does more stands still meanwhile, at most: what is slow for the time left as well has another
    cause. Where no time is left to anybody, nothing can be said against the processors.

    Args:
        gb_s, busy: of the stream. usual: what streams carry otherwise, GB/s. others: how busy those are; how much of it
            they waited is not known, so that it counts for no more than `TWICE`.
    """
    left = max(0.0, 1.0 - busy) * min(TWICE, 1.0 / max(1e-6, 1.0 - others))
    return busy >= max(BUSY, others) and gb_s >= SLOW * usual * left


def usually_busy(busy: Iterable[float]) -> float:
    """How busy processors usually are with streams that nobody suspects: on a busy cluster all wait for them."""
    seen = list(busy)
    return median(seen) if seen else 0.0


def free(own: Sequence[Pair], usual: float, others: float) -> bool:
    """Whether half of the streams that are slow are so by no fault of the processors.

    Args:
        usual: what they should carry, GB/s. others: see `held_back`.
    """
    slow = [pair for pair in own if pair.gb_s < SLOW * usual] or own
    return sum(held_back(pair.gb_s, pair.busy, usual, others) for pair in slow) * 2 <= len(slow)


def one_sided(pairs: Sequence[Pair]) -> tuple[Pair, Pair] | None:
    """The slow and the fast direction between the only two machines of a rail, where they differ."""
    ordered = sorted(pairs, key=lambda pair: pair.gb_s)
    if len(ordered) != 2 or ordered[0].gb_s >= SLOW * ordered[1].gb_s:
        return None
    return ordered[0], ordered[1]


def again(pairs: Sequence[Pair]) -> list[tuple[int, list[list[int]]]]:
    """Rounds in which the suspects are measured again, twice each: slow machines with good partners that they have met,
    slow paths and directions as they are. Each is a rail and disjoint pairs."""
    told = suspects(pairs)
    bad = {one.a for one in told if one.b is None and one.a >= 0}
    if len(bad) > MOST * len({end for pair in pairs for end in (pair.a, pair.b)}):
        # Nobody of so many is blamed, however often they are measured.
        told, bad = tuple(one for one in told if one.a not in bad or one.b is not None), set()
    doubtful = {end for one in told if one.b is not None for end in (one.a, one.b)}
    met: dict[int, list[int]] = {end: [] for end in bad}
    for pair in pairs:
        if pair.a in bad and pair.b not in bad | set(met[pair.a]):
            met[pair.a].append(pair.b)
    for end, partners in met.items():
        # The end of a path that is suspected too is better than nobody.
        met[end] = [other for other in partners if other not in doubtful] or partners
    alone = [(rail, both[0]) for rail, own in by_rail(pairs).items() if (both := one_sided(own))]
    wanted = [(rail, slow.a, slow.b) for rail, slow in alone for _ in range(CONFIRMED)]
    for place, one in enumerate(told):
        rail = one.rail or 0
        if one.b is not None:
            wanted += [(rail, one.a, one.b)] * 2
        elif one.a < 0:
            wanted += [(rail, pair.a, pair.b) for pair in pairs if pair.rail == rail][:1] * 2
        elif good := met[one.a]:
            wanted += [(rail, one.a, good[(place + step) % len(good)]) for step in range(2)]
    rounds: list[tuple[int, list[list[int]]]] = []
    taken: list[set[int]] = []
    for rail, a, b in wanted:
        fits = (number for number, ends in enumerate(taken) if rounds[number][0] == rail and not ends & {a, b})
        place = next(fits, len(rounds))
        if place == len(rounds):
            rounds.append((rail, []))
            taken.append(set())
        rounds[place][1].append([a, b])
        taken[place] |= {a, b}
    return rounds
