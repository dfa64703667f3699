"""Who measures with whom, and when: disjoint pairs at the same time, every pair once up to 32 machines.

Above, the rounds stay as many: the ring's own paths; those next to each other, in groups of eight or nine, which leaves
the uplinks between the groups at rest; and a spread of rounds in which all send far away at once, which fills them.
What looks slow is measured again in rounds that the doctor asks for, each question after the answer to the last.
Streamed to every node; Python 3.6 syntax, standard library only.
"""

import ipaddress
import time

from envdoctor.bench import schedule, ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    from envdoctor.bench.coordinator import Coordinator

    Record = Dict[str, Any]
    Round = List[Tuple[int, int]]

LIMIT_S = 10.0  # seconds a round may take
MOST_ROUNDS = 31  # up to 32 machines all pairs; beyond, as many rounds of them
NEAR = 7  # rounds within groups
GROUP = 8  # machines at least
MOST_AGAIN = 12  # rounds for the suspects, up to 32 machines
MOST_ASKED = 24  # beyond
MOST_QUESTIONS = 5
SHARE = 0.6  # of the budget for what is measured in any case, beyond 32 machines


def turns(count: int) -> int:
    """The fewest rounds of disjoint pairs in which all pairs meet: count - 1, or count where one has to rest."""
    return 0 if count < 2 else count - 1 + count % 2


def circle(count: int, turn: int) -> "Round":
    """One of these rounds, by the circle method of tournaments: one stays where it is, the others go round."""
    size = count + count % 2
    ring = [0] + [1 + (place + turn) % (size - 1) for place in range(size - 1)]
    pairs = [(ring[place], ring[size - 1 - place]) for place in range(size // 2)]
    return [pair for pair in pairs if max(pair) < count]


def chosen(order: "List[int]", whole: int = MOST_ROUNDS + 1) -> "List[Tuple[str, Round]]":
    """The rounds that are run in any case, and their kinds: "" for those in which every pair meets, else "ring",
    "near" and "far", the most telling first.

    Args:
        order: the places of the machines, those close to each other beside each other.
        whole: up to so many machines all pairs are measured.
    """
    count = len(order)
    every = turns(count)
    if count <= whole:
        return [("", circle(count, turn)) for turn in range(every)]
    ring = [("ring", pairs) for pairs in neighbours(count)]
    near = [("near", [(order[a], order[b]) for a, b in pairs]) for pairs in within_groups(count)]
    many = min(every, MOST_ROUNDS - len(ring) - len(near))
    far = [
        ("far", [(order[a], order[b]) for a, b in circle(count, turn * every // many)]) for turn in in_halves(many)
    ]  # fmt: skip
    # However soon the budget ends, there is something of each.
    mixed = [one for both in zip(near, far) for one in both]
    return ring + mixed + near[len(far) :] + far[len(near) :]


def in_halves(count: int) -> "List[int]":
    """The numbers below `count`, any beginning of which is spread over all of them."""
    wide = max(1, (count - 1).bit_length())
    return [turn for turn in (int(format(one, "0%db" % wide)[::-1], 2) for one in range(1 << wide)) if turn < count]


def neighbours(count: int) -> "List[Round]":
    """All pairs next to each other in the ring of three machines or more, in two rounds, or three of an odd number."""
    ring = [(place, place + 1) for place in range(count - 1)]
    last = (0, count - 1)
    return [ring[0::2], ring[1::2] + [last]] if count % 2 == 0 else [ring[0::2], ring[1::2], [last]]


def within_groups(count: int) -> "List[Round]":
    """Rounds in which everybody meets others of its group of `GROUP` or some more."""
    many = max(1, count // GROUP)
    groups = [
        (count * number // many, count * (number + 1) // many - count * number // many) for number in range(many)
    ]  # fmt: skip
    found = []
    for number in range(NEAR):
        found.append(
            [(low + a, low + b) for low, size in groups for a, b in circle(size, number * turns(size) // NEAR)]
        )
    return found


def by_address(machines: "List[Record]") -> "List[int]":
    """The places of machines in the order of their addresses: neighbours in it mostly share a switch, for racks are
    numbered through, and where each has a network of its own its machines share the first bits."""

    def key(place: int) -> "Tuple[int, int, int]":
        try:
            address = ipaddress.ip_address(str(machines[place].get("address")).partition("%")[0])
        except ValueError:
            return (0, 0, place)
        return (address.version, int(address), place)

    return sorted(range(len(machines)), key=key)


def run(all_: "Coordinator", machines: "List[Record]", pairs: "Round", rail: int = 0, kind: str = "") -> None:
    """One round: both of each pair send to each other over a rail; what came of it goes to the doctor."""
    partner = {}
    for a, b in pairs:
        partner[a], partner[b] = b, a
    arguments = schedule.to(
        machines, lambda place: [partner[place]] if place in partner else [], rail, seconds=ways.rate_s(all_.rtt_s)
    )
    told = all_.together("stream", arguments, LIMIT_S)
    for a, b in sorted(partner.items()):
        index, other = int(machines[a]["index"]), int(machines[b]["index"])
        row = (told.get(index, {}).get("peers") or {}).get(str(other)) or {}
        back = (told.get(other, {}).get("peers") or {}).get(str(index)) or {}
        busy = max(float(row.get("busy") or 0.0), float(back.get("busy") or 0.0))
        pair = {"a": index, "b": other, "gb_s": row.get("gb_s") or 0.0, "rtt_us": row.get("rtt_us"), "busy": busy}
        all_.tell({"pair": dict(pair, rail=rail, kind=kind), "node": 0})


def blame(all_: "Coordinator") -> "Iterator[str]":
    """After an all-reduce that was slower than its streams, or where one of these was: the links, if the doctor says
    so."""
    machines = schedule.heads(all_.roll())
    comparable = len(machines) > 2 or (len(machines) == 2 and schedule.spread_over(machines) > 1)
    if all_.request.get("blame") and comparable and all_.ask("blame").get("go"):
        yield from links(all_)


def links(all_: "Coordinator") -> "Iterator[str]":
    """The rounds that are run in any case, then the suspects again, with those that are known to be good; within the
    budget."""
    machines = schedule.heads(all_.roll())
    most = int(all_.request.get("whole") or MOST_ROUNDS + 1)
    whole = len(machines) <= most
    budget_s = float(all_.request["budget_s"])
    began = time.monotonic()
    longest = 0.0
    rails = range(schedule.spread_over(machines))
    rounds = chosen(by_address(machines), most)
    until = began + budget_s * (1.0 if whole else SHARE)
    for kind, pairs, rail in [(kind, pairs, rail) for kind, pairs in rounds for rail in rails]:
        now = time.monotonic()
        if now + longest > until:
            all_.tell({"cut_short": True, "node": 0})
            if whole:
                return
            break
        run(all_, machines, pairs, rail, kind)
        longest = max(longest, time.monotonic() - now)
        yield "stream"
    places = {int(hello["index"]): place for place, hello in enumerate(machines)}
    left = MOST_AGAIN if whole else MOST_ASKED
    for _ in range(1 if whole else MOST_QUESTIONS):
        asked = (all_.ask("suspects").get("again") or [])[:left]
        for rail, pairs, kind in asked:
            if time.monotonic() + longest > began + budget_s:
                all_.tell({"cut_short": True, "node": 0})
                return
            known = [(places[a], places[b]) for a, b in pairs if a in places and b in places]
            run(all_, machines, known, rail, kind)
            yield "stream"
        left -= len(asked)
        if not asked or left <= 0:
            return
