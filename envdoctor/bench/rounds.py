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
MOST_ROUNDS = 31  # up to 32 machines all pairs; beyond, each machine with a spread of 31 others
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
    """The rounds that are run: all of them for up to 32 machines, else 31 spread over all.

    In these, every machine still meets 31 others (30, where one rests): who is slow with all of them is slow.
    """
    every = turns(count)
    taken = range(every) if count <= MOST_ROUNDS + 1 else [turn * every // MOST_ROUNDS for turn in range(MOST_ROUNDS)]
    return [circle(count, turn) for turn in taken]


def run(all_: "Coordinator", machines: "List[Record]", pairs: "Round") -> None:
    """One round: both of each pair send to each other; what came of it goes to the doctor."""
    partner = {}
    for a, b in pairs:
        partner[a], partner[b] = b, a
    arguments = schedule.to(machines, lambda place: [partner[place]] if place in partner else [], seconds=STREAM_S)
    told = all_.together("stream", arguments, LIMIT_S)
    for a, b in sorted(partner.items()):
        index, other = int(machines[a]["index"]), int(machines[b]["index"])
        row = (told.get(index, {}).get("peers") or {}).get(str(other)) or {}
        back = (told.get(other, {}).get("peers") or {}).get(str(index)) or {}
        busy = max(float(row.get("busy") or 0.0), float(back.get("busy") or 0.0))
        pair = {"a": index, "b": other, "gb_s": row.get("gb_s") or 0.0, "rtt_us": row.get("rtt_us"), "busy": busy}
        all_.tell({"pair": pair, "node": 0})


def blame(all_: "Coordinator") -> "Iterator[str]":
    """After an all-reduce that was slower than its streams, or where one of these was: the links, if the doctor says
    so."""
    if all_.request.get("blame") and len(schedule.heads(all_.roll())) > 2 and all_.ask("blame").get("go"):
        yield from links(all_)


def links(all_: "Coordinator") -> "Iterator[str]":
    """Every pair, then the suspects again, with those that are known to be good; within the budget."""
    machines = schedule.heads(all_.roll())
    until = time.monotonic() + float(all_.request["budget_s"])
    longest = 0.0
    for pairs in chosen(len(machines)):
        began = time.monotonic()
        if began + longest > until:
            all_.tell({"cut_short": True, "node": 0})
            return
        run(all_, machines, pairs)
        longest = max(longest, time.monotonic() - began)
        yield "stream"
    places = {int(hello["index"]): place for place, hello in enumerate(machines)}
    for pairs in (all_.ask("suspects").get("again") or [])[:MOST_AGAIN]:
        if time.monotonic() + longest > until:
            all_.tell({"cut_short": True, "node": 0})
            return
        known = [(places[a], places[b]) for a, b in pairs if a in places and b in places]
        run(all_, machines, known)
        yield "stream"
