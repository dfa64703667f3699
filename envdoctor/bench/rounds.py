"""Who measures with whom, and when: every pair of machines once, disjoint pairs at the same time.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import time

from envdoctor.bench import schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    from envdoctor.bench.coordinator import Coordinator

    Record = Dict[str, Any]
    Round = List[Tuple[int, int]]

STREAM_S = 0.4  # seconds a pair sends both ways
LIMIT_S = 10.0  # and may take
MOST_ROUNDS = 31  # up to 32 machines all pairs; beyond, the neighbours of the ring and a spread
MOST_AGAIN = 12  # rounds for the suspects


def turns(count: int) -> int:
    """The fewest rounds of disjoint pairs in which all pairs meet: count - 1, or count where one has to rest."""
    return 0 if count < 2 else count - 1 + count % 2


def circle(count: int, turn: int) -> "Round":
    """One of these rounds, by the circle method of tournaments: one stays where it is, the others go round."""
    size = count + count % 2
    ring = [0] + [1 + (place + turn) % (size - 1) for place in range(size - 1)]
    pairs = [(ring[place], ring[size - 1 - place]) for place in range(size // 2)]
    return [pair for pair in pairs if max(pair) < count]


def chosen(count: int) -> "List[Round]":
    """The rounds that are run: all of them for up to 32 machines, else 31: each with its neighbours, and a spread.

    A ring uses the paths between neighbours and no other, so one of them that is slow is found however many machines
    there are. In the others every machine meets some 28 more: who is slow with all of them is slow.
    """
    every = turns(count)
    if count <= MOST_ROUNDS + 1:
        return [circle(count, turn) for turn in range(every)]
    near = neighbours(count)
    far = MOST_ROUNDS - len(near)
    return near + [circle(count, turn * every // far) for turn in range(far)]


def neighbours(count: int) -> "List[Round]":
    """All pairs next to each other in the ring of three machines or more, in two rounds, or three of an odd number."""
    ring = [(place, place + 1) for place in range(count - 1)]
    last = (0, count - 1)
    return [ring[0::2], ring[1::2] + [last]] if count % 2 == 0 else [ring[0::2], ring[1::2], [last]]


def run(all_: "Coordinator", machines: "List[Record]", pairs: "Round", rail: int = 0) -> None:
    """One round: both of each pair send to each other over a rail; what came of it goes to the doctor."""
    partner = {}
    for a, b in pairs:
        partner[a], partner[b] = b, a
    arguments = schedule.to(
        machines, lambda place: [partner[place]] if place in partner else [], rail, seconds=STREAM_S
    )
    told = all_.together("stream", arguments, LIMIT_S)
    for a, b in sorted(partner.items()):
        index, other = int(machines[a]["index"]), int(machines[b]["index"])
        row = (told.get(index, {}).get("peers") or {}).get(str(other)) or {}
        back = (told.get(other, {}).get("peers") or {}).get(str(index)) or {}
        busy = max(float(row.get("busy") or 0.0), float(back.get("busy") or 0.0))
        pair = {"a": index, "b": other, "gb_s": row.get("gb_s") or 0.0, "rtt_us": row.get("rtt_us"), "busy": busy}
        all_.tell({"pair": dict(pair, rail=rail), "node": 0})


def blame(all_: "Coordinator") -> "Iterator[str]":
    """After an all-reduce that was slower than its streams, or where one of these was: the links, if the doctor says
    so."""
    machines = schedule.heads(all_.roll())
    comparable = len(machines) > 2 or (len(machines) == 2 and schedule.spread_over(machines) > 1)
    if all_.request.get("blame") and comparable and all_.ask("blame").get("go"):
        yield from links(all_)


def links(all_: "Coordinator") -> "Iterator[str]":
    """Every pair, then the suspects again, with those that are known to be good; within the budget."""
    machines = schedule.heads(all_.roll())
    until = time.monotonic() + float(all_.request["budget_s"])
    longest = 0.0
    rails = range(schedule.spread_over(machines))
    for pairs, rail in [(pairs, rail) for pairs in chosen(len(machines)) for rail in rails]:
        began = time.monotonic()
        if began + longest > until:
            all_.tell({"cut_short": True, "node": 0})
            return
        run(all_, machines, pairs, rail)
        longest = max(longest, time.monotonic() - began)
        yield "stream"
    places = {int(hello["index"]): place for place, hello in enumerate(machines)}
    for rail, pairs in (all_.ask("suspects").get("again") or [])[:MOST_AGAIN]:
        if time.monotonic() + longest > until:
            all_.tell({"cut_short": True, "node": 0})
            return
        known = [(places[a], places[b]) for a, b in pairs if a in places and b in places]
        run(all_, machines, known, rail)
        yield "stream"
