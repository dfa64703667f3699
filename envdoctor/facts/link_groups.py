"""Who is slow among more machines than can be measured in all pairs: a machine, a path, or the uplink of a group.

Of n machines each has met some thirty others: its neighbours in the ring, its group, and others far away while all
sent at once. What a machine carries at its best is its own; what it carries far away may be what its group's uplink
leaves to it. Nothing but a fault makes a machine, or a whole group, slower than others of its kind, so each is compared
with what is usual in rounds of the same kind, never one kind with another: uplinks that are made for a quarter of the
machines are no fault. Whoever looks slow is measured again: all suspects with each other, which tells apart a group
behind one uplink (fast inside) from slow machines; a group all at once with others; machines and paths with hardly
anybody else sending. Only what is slow then too is blamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from envdoctor.facts.allreduce import Pair
from envdoctor.facts.link_fit import CONFIRMED, MOST, SLOW, Culprit, by_rail, free, upper_quartile, usually_busy

AMONG = 6  # rounds of suspects with each other
APART = 2  # rounds of all suspects with others
FEW = 6  # rounds with hardly anybody, of one question
SPARSE = 64  # machines, of which two send then
INSIDE = 0.75  # of what a machine carries at its best, a pair of one group carries at least

Round = tuple[int, list[list[int]], str]


def second_best(values: Sequence[float]) -> float:
    """What is reached twice is no slip of one measurement."""
    ordered = sorted(values)
    return ordered[-2] if len(ordered) > 1 else ordered[-1] if ordered else 0.0


@dataclass(frozen=True)
class View:
    """What the pairs of one rail say.

    Attributes:
        sends, receives: what each machine carries at its best, GB/s; far_out, far_in: usually, while all send far away.
        nodes: machines that look slow themselves. distant: those that only look slow to others far away.
    """

    pairs: tuple[Pair, ...]
    sends: dict[int, float] = field(default_factory=dict)
    receives: dict[int, float] = field(default_factory=dict)
    far_out: dict[int, float] = field(default_factory=dict)
    far_in: dict[int, float] = field(default_factory=dict)
    nodes: frozenset[int] = frozenset()
    distant: frozenset[int] = frozenset()

    @property
    def suspects(self) -> frozenset[int]:
        return self.nodes | self.distant

    @property
    def out(self) -> float:
        """What a machine usually sends at its best, GB/s."""
        return median(self.sends.values()) if self.sends else 0.0

    @property
    def back(self) -> float:
        return median(self.receives.values()) if self.receives else 0.0

    @property
    def far(self) -> float:
        """What a stream far away usually carries while all send, GB/s."""
        return min(median(self.far_out.values()), median(self.far_in.values())) if self.far_out else 0.0

    def best(self, pair: Pair) -> float:
        """What both ends of a pair manage."""
        return min(self.sends[pair.a], self.receives[pair.b])

    def of(self, *kinds: str) -> list[Pair]:
        return [pair for pair in self.pairs if pair.kind in kinds]


def _each(pairs: Iterable[Pair], sender: bool) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for pair in pairs:
        found.setdefault(pair.a if sender else pair.b, []).append(pair.gb_s)
    return found


def view(pairs: Sequence[Pair]) -> View:
    """Look at the pairs of one rail."""
    far = [pair for pair in pairs if pair.kind == "far"]
    seen = View(
        tuple(pairs),
        {end: second_best(rates) for end, rates in _each(pairs, True).items()},
        {end: second_best(rates) for end, rates in _each(pairs, False).items()},
        {end: median(rates) for end, rates in _each(far, True).items()},
        {end: median(rates) for end, rates in _each(far, False).items()},
    )
    out, back = seen.out, seen.back
    nodes = {end for end in seen.sends if seen.sends[end] < SLOW * out or seen.receives.get(end, back) < SLOW * back}
    distant = set()
    for rates in (seen.far_out, seen.far_in):
        usual = median(rates.values()) if rates else 0.0
        distant |= {end for end, rate in rates.items() if end not in nodes and rate < SLOW * usual}
    if len(nodes | distant) > MOST * len(seen.sends):
        return seen  # there is no usual
    return replace(seen, nodes=frozenset(nodes), distant=frozenset(distant))


def groups(seen: View) -> list[tuple[int, ...]]:
    """The suspects that are fast with each other: two are of one group if streams between their machines are fast more
    often than slow, while all of them send."""
    fast: dict[tuple[int, int], int] = {}
    for pair in seen.of("among", "far"):
        if pair.a in seen.distant and pair.b in seen.distant:
            key = (min(pair.a, pair.b), max(pair.a, pair.b))
            fast[key] = fast.get(key, 0) + (1 if pair.gb_s >= INSIDE * seen.best(pair) else -2)
    parts = {end: [end] for end in seen.distant}
    while True:
        # Those beside each other mostly share a switch.
        joined = max(
            ((score, -abs(a - b), a, b) for (a, b), score in fast.items() if score > 0), default=(0, 0, 0, 0)
        )  # fmt: skip
        if not joined[0]:
            return sorted(tuple(sorted(part)) for part in parts.values() if len(part) > 1)
        _, _, kept, gone = joined
        parts[kept] += parts.pop(gone)
        for (a, b), score in [(key, score) for key, score in fast.items() if gone in key]:
            del fast[a, b]
            other = b if a == gone else a
            if other != kept:
                key = (min(kept, other), max(kept, other))
                fast[key] = fast.get(key, 0) + score


def weak_paths(seen: View) -> list[tuple[int, int]]:
    """Paths that look slow between machines that do not, those of the ring first, and then the slowest."""
    found: dict[tuple[int, int], tuple[int, float]] = {}
    suspects = seen.suspects
    for pair in seen.of("ring", "near", "far"):
        if pair.a in suspects or pair.b in suspects:
            continue
        usual = seen.best(pair)
        if pair.kind == "far":
            usual = min(usual, seen.far_out[pair.a], seen.far_in[pair.b])
        if pair.gb_s < SLOW * usual:
            key = (min(pair.a, pair.b), max(pair.a, pair.b))
            rank = (0 if pair.kind == "ring" else 1, pair.gb_s / usual)
            found[key] = min(found.get(key, rank), rank)
    return sorted(found, key=lambda key: found[key])


def again(pairs: Sequence[Pair]) -> list[Round]:
    """Rounds that tell more about the suspects; none once all is settled, or nothing more would settle it."""
    return [one for rail, own in by_rail(pairs).items() for one in _of_rail(view(own), rail)]


def _of_rail(seen: View, rail: int) -> list[Round]:
    suspects = sorted(seen.suspects)
    if len(suspects) > 1 and not seen.of("among"):
        return [(rail, one, "among") for one in _with_each_other(suspects)]
    found: list[Round] = []
    members = [end for group in groups(seen) for end in group]
    good = [end for end in sorted(seen.sends) if end not in seen.suspects]
    if members and good and not seen.of("apart"):
        found += [(rail, one, "apart") for one in _with_others(members, good)]
    few = {(pair.a, pair.b): pair for pair in seen.of("few")}
    tried = {end for pair in few for end in pair}
    wanted = [(one[0], good[one[0] * 7 % len(good)]) for one in groups(seen) if good and not tried & set(one)]
    for end in sorted(seen.nodes, key=lambda end: seen.sends[end]) if good else ():
        if end not in tried:
            wanted += [(end, good[(end * 7 + step * 13) % len(good)]) for step in range(CONFIRMED)]
    for a, b in weak_paths(seen):
        once = [few[way] for way in ((a, b), (b, a)) if way in few]
        # What was fast when it was alone is no slow path, only one that had to share.
        if not once or any(pair.times < CONFIRMED and pair.gb_s < SLOW * seen.best(pair) for pair in once):
            wanted.append((a, b))
    return found + [(rail, one, "few") for one in _side_by_side(wanted, len(seen.sends))]


def _side_by_side(wanted: Iterable[tuple[int, int]], count: int) -> list[list[list[int]]]:
    """A few rounds of so many pairs that hardly any share an uplink: what is left over is asked for the next time."""
    rounds: list[list[list[int]]] = []
    for a, b in wanted:
        fits = [
            one
            for one in rounds
            if len(one) < count // SPARSE
            and all(abs(end - other) >= SPARSE // 2 for pair in one for end in pair for other in (a, b))
        ]
        if fits:
            fits[0].append([a, b])
        elif len(rounds) < FEW:
            rounds.append([[a, b]])
    return rounds


def _with_each_other(suspects: list[int]) -> list[list[list[int]]]:
    """Rounds of a tournament between the suspects: all of them, or a spread."""
    size = len(suspects) + len(suspects) % 2
    many = min(AMONG, size - 1)
    found = []
    for number in range(many):
        # Two in turn join all that meet in them into long chains.
        turn = ((number // 2 * 2) * (size - 1) // many + number % 2) % (size - 1)
        ring = [0] + [1 + (place + turn) % (size - 1) for place in range(size - 1)]
        pairs = [(ring[place], ring[size - 1 - place]) for place in range(size // 2)]
        found.append([[suspects[a], suspects[b]] for a, b in pairs if max(a, b) < len(suspects)])
    return found


def _with_others(members: list[int], good: list[int]) -> list[list[list[int]]]:
    """Rounds in which all members of groups send to others at once."""
    found = []
    for number in range(APART):
        start = number * len(good) // (2 * APART) + 1
        partners = [good[(start + place) % len(good)] for place in range(min(len(members), len(good)))]
        found.append([[a, b] for a, b in zip(members, partners, strict=False)])
    return found


def blamed(pairs: Sequence[Pair]) -> tuple[Culprit, ...]:
    """Those that were slow whenever they were measured again: rails first, then groups, machines and paths."""
    rails = {rail: view(own) for rail, own in by_rail(pairs).items()}
    told = {rail: _blamed(seen) for rail, seen in rails.items()}
    found = []
    best = max((seen.out for seen in rails.values()), default=0.0)
    for rail, seen in rails.items():
        if seen.out < SLOW * best:
            found.append(Culprit(-1, None, seen.out, best, rail=rail))
    if len(rails) == 1:
        return (*found, *(one for own in told.values() for one in own))
    keys = {(one.a, one.b, one.group) for own in told.values() for one in own}
    for key in sorted(keys, key=lambda key: (not key[2], key[1] is not None, key[0])):
        on = {rail: one for rail, own in told.items() for one in own if (one.a, one.b, one.group) == key}
        if len(on) == len(rails):
            found.append(min(on.values(), key=lambda one: one.gb_s))
        else:
            found += [replace(one, rail=rail) for rail, one in on.items()]
    return tuple(found)


def _blamed(seen: View) -> list[Culprit]:
    """Who is to blame on one rail."""
    found: list[Culprit] = []
    few = seen.of("few")
    suspects = seen.suspects
    others = usually_busy(pair.busy for pair in seen.pairs if pair.a not in suspects and pair.b not in suspects)
    for group in groups(seen):
        one = _group(seen, frozenset(group))
        own = [pair for pair in seen.of("apart") if {pair.a, pair.b} & set(group)]
        if one is not None and free(own, one.usual, others):
            found.append(one)
    for end in sorted(seen.nodes):
        out, back = [pair for pair in few if pair.a == end], [pair for pair in few if pair.b == end]
        sends = bool(out) and max(pair.gb_s for pair in out) < SLOW * seen.out
        receives = bool(back) and max(pair.gb_s for pair in back) < SLOW * seen.back
        usual = min(seen.out, seen.back)
        if (sends or receives) and sum(pair.times for pair in out) >= CONFIRMED and free([*out, *back], usual, others):
            worst = min(pair.gb_s for pair in (*out, *back))
            found.append(Culprit(end, None, worst, usual, sends=sends, receives=receives))
    weak = {
        (pair.a, pair.b): pair
        for pair in few
        if pair.times >= CONFIRMED
        and not {pair.a, pair.b} & suspects
        and pair.gb_s < SLOW * seen.best(pair)
        and free([pair], seen.best(pair), others)
    }
    for (a, b), pair in weak.items():
        if a < b or (b, a) not in weak:
            found.append(Culprit(a, b, pair.gb_s, seen.best(pair), both_ways=(b, a) in weak))
    return found


def _group(seen: View, group: frozenset[int]) -> Culprit | None:
    """A group that is slow to all others, also when only it sends; None where it is not."""
    inside = [pair.gb_s for pair in seen.pairs if pair.a in group and pair.b in group]
    directions = []
    for far, usual in ((True, seen.far_out), (False, seen.far_in)):
        across = [
            pair.gb_s
            for pair in seen.of("far", "apart")
            if (pair.a in group) is far and (pair.b in group) is not far
        ]  # fmt: skip
        limit = SLOW * median(usual.values())
        confirmed = [
            pair.gb_s for pair in seen.of("apart") if (pair.a in group) is far and (pair.b in group) is not far
        ]
        slow = bool(across and confirmed) and upper_quartile(across) < limit and median(confirmed) < limit
        directions.append((slow, median(across) if across else 0.0))
    (sends, out), (receives, back) = directions
    alone = [pair.gb_s for pair in seen.of("few") if (pair.a in group) is not (pair.b in group)]
    if not (sends or receives) or not alone or median(inside) * SLOW < min(out, back):
        return None
    return Culprit(
        min(group), None, min(out, back), seen.far, sends=sends, receives=receives, group=tuple(sorted(group)),
        inside=median(inside), alone=min(alone),
    )  # fmt: skip
