"""What the agents climb together once all are there: the rungs in order, and what each node is told on them.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import importlib

from envdoctor.bench import ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    from envdoctor.bench.coordinator import Coordinator

    Record = Dict[str, Any]

# What is climbed above the first collective: "module:function" of this package, a generator over the coordinator.
PROGRAMS = {"allreduce": ("schedule:sweep", "rounds:blame"), "links": ("rounds:links",)}
WITHOUT_TORCH = ("links",)
SLOWEST_GB_S = 1e-4  # below this a sweep makes no sense: 64 MiB would take eleven minutes
SIZE_S = 0.5  # seconds for the iterations of one size
LONGEST_S = 6.0  # one size with its fewest iterations may take this long; larger sizes are left out then
FEWEST = 3  # iterations of a size
MOST = 200
VERIFIED = 10  # sums of a small size that are compared with what they must be, beside those that are timed
SMALL = 1 << 16  # bytes; of larger sizes one is
LARGE = 64 << 20  # bytes
COPIES = 8  # buffers of a size in flight at most: the sum, its pattern in 64 bit, a rank's part, what is summed
SHARE = 0.5  # of the free memory that may be used
PROBE = 1 << 20  # bytes; from here on the time grows with the size


def everyone(**told: "Any") -> "Callable[[Record], Optional[Record]]":
    """The same for every agent."""
    return lambda hello: dict(told)


def heads(roll: "List[Record]") -> "List[Record]":
    """One agent per machine, the first: the paths between machines are tried once."""
    first: "Dict[str, Record]" = {}
    for hello in roll:
        first.setdefault(str(hello.get("host")), hello)
    return list(first.values())


def peers_of(place: int, count: int) -> "List[int]":
    """Whom the machine at `place` of `count` dials: all others of up to 32, else the next ones and a spread."""
    if count - 1 <= ways.MOST_PEERS:
        return [other for other in range(count) if other != place]
    near = ways.MOST_PEERS // 2
    step = max(1, (count - 1 - near) // (ways.MOST_PEERS - near))
    steps = list(range(1, near + 1)) + list(range(near + 1, count, step))
    return sorted({(place + distance) % count for distance in steps[: ways.MOST_PEERS]} - {place})


def climb(all_: "Coordinator") -> "Iterator[str]":
    """The rungs in order, one after the other."""
    roll = all_.roll()
    machines = heads(roll)
    if len(machines) > 1:
        yield paths(all_, machines)
    op = str(all_.request["op"])
    if op not in WITHOUT_TORCH:
        yield processes(all_)
        yield collectives(all_)
    all_.together("rest", everyone())
    yield "rest"
    yield count(all_, machines)
    if len(machines) > 1 and op not in WITHOUT_TORCH:
        yield stream(all_, machines)
    for name in PROGRAMS[op]:
        module, _, function = name.partition(":")
        yield from getattr(importlib.import_module("envdoctor.bench." + module), function)(all_)
    yield count(all_, machines)


def spread_over(machines: "List[Record]") -> int:
    """Over how many interfaces every machine spreads its data; 1 where they do not agree on a number."""
    counts = {len(hello.get("rails") or ()) for hello in machines}
    return max(1, counts.pop()) if len(counts) == 1 else 1


def to(
    machines: "List[Record]", chosen: "Callable[[int], List[int]]", rail: "Optional[int]" = None, **told: "Any"
) -> "Callable[[Record], Optional[Record]]":
    """What each machine is told of those it is to dial or send to: `chosen(place) -> places`. None without any.

    Args:
        rail: number of the interface to use, of those over which each machine spreads its data; None for where the
            route leads.
    """
    several = rail is not None and spread_over(machines) > 1
    places = {int(hello["index"]): place for place, hello in enumerate(machines)}

    def arguments(hello: "Record") -> "Optional[Record]":
        place = places.get(int(hello["index"]))
        others = [] if place is None else [machines[other] for other in chosen(place)]
        if not others:
            return None
        if not several:
            return dict(told, peers={str(one["index"]): [one["address"], one["port"]] for one in others})
        peers = {str(one["index"]): [one["rails"][rail][1], one["port"]] for one in others}
        return dict(told, peers=peers, rail=rail, **{"from": hello["rails"][rail]})

    return arguments


def paths(all_: "Coordinator", machines: "List[Record]") -> str:
    """TCP between the machines: every pair both ways, and a bulk."""
    count = len(machines)
    all_.together("dial", to(machines, lambda place: peers_of(place, count)))
    told = all_.together("bulk", to(machines, lambda place: peers_of(place, count), size=ways.BULK))
    # Those of the bulks, queues and all, and not those at rest: TCP has to find its pace through the queues.
    rows = [row for values in told.values() for row in (values.get("peers") or {}).values()]
    all_.rtt_s = max([int(row.get("rtt_us") or 0) for row in rows] or [0]) / 1e6
    return "bulk"


def count(all_: "Coordinator", machines: "List[Record]") -> str:
    """What each machine has counted so far of losses and errors: before all is measured, and after it."""
    one_each = {int(hello["index"]) for hello in machines}
    told = {"network": len(machines) > 1}
    all_.together("count", lambda hello: dict(told) if int(hello["index"]) in one_each else None)
    return "count"


def stream(all_: "Coordinator", machines: "List[Record]") -> str:
    """What a socket carries from each machine to the next while all send at once, as in a ring.

    Torch is imported and the machines are at rest: before, the stream would wait for processors.
    """
    count = len(machines)
    for rail in range(spread_over(machines)):
        seconds = ways.rate_s(all_.rtt_s)
        all_.together("stream", to(machines, lambda place: [(place + 1) % count], rail, seconds=seconds))
    return "stream"


def processes(all_: "Coordinator") -> str:
    """Torch in every rank, and the store they meet at."""
    told = all_.together("torch", lambda hello: {"first_rank": hello["first_rank"], "world_size": all_.world_size})
    all_.free_bytes = least(told)
    # Rank 0 opens the store before the others look for it.
    if not all_.request.get("store_is_there"):
        all_.together("store", lambda hello: {"open": True} if hello["index"] == 0 else None)
    all_.together("store", everyone(open=False))
    return "store"


def least(told: "Dict[int, Record]") -> int:
    """Free memory of the rank that has least, bytes."""
    return min([int(values["free_bytes"]) for values in told.values() if "free_bytes" in values] or [1 << 60])


def collectives(all_: "Coordinator") -> str:
    """The first collectives, each larger than the one before."""
    backends = all_.together("gloo", everyone())
    backend = all_.request.get("backend") or "auto"
    if backend == "auto":
        backend = "nccl" if all(one.get("nccl") for one in backends.values()) else "gloo"
    all_.tell({"backend": backend, "node": 0})
    all_.devices = spread_over(heads(all_.roll())) if backend == "gloo" else 1
    if backend == "nccl":
        all_.free_bytes = least(all_.together("nccl", everyone()))
    all_.together("first", everyone(bytes=8, iterations=1))
    return "first"


def measured(
    all_: "Coordinator", rung: str, size: int, iterations: int, verified: int = 1, gather: bool = True
) -> "Tuple[List[float], Record]":
    """One size on all ranks: the longest time over the ranks of each iteration, and what was wrong, by rank.

    Args:
        verified: sums beside those that are timed. gather: have the ranks begin together by a sum of its own.
    """
    count = iterations * all_.devices
    told = all_.together(rung, everyone(bytes=size, iterations=count, verified=verified, gather=gather))
    every = [[float(one) for one in values.get("times") or []] for values in told.values()]
    times = in_turn([max(each) for each in zip(*every)], all_.devices) or [0.0]
    wrong: "Record" = {}
    for values in told.values():
        wrong.update(values.get("wrong") or {})
    return times, wrong


def in_turn(times: "List[float]", devices: int) -> "List[float]":
    """Gloo gives one collective to each of its devices in turn: a round of them all is what each of it takes."""
    return [sum(times[place : place + devices]) / devices for place in range(0, len(times) - devices + 1, devices)]


def sweep(all_: "Coordinator") -> "Iterator[str]":
    """One size after the other; a size that would take too long at the rate of the last one is left out.

    64 MiB, or the largest size asked for below it, goes first, alone: what only stalls with large messages is named
    before time is spent on small ones.
    """
    asked = sorted(int(size) for size in all_.request["sizes"])
    sizes = [size for size in asked if size * COPIES <= all_.free_bytes * SHARE] or asked[:1]
    for size in asked:
        if size not in sizes:
            all_.tell({"left_out": size, "node": 0})
    per_byte = usual = 0.0
    located = False
    largest = max([size for size in sizes if size <= LARGE] or sizes[:1])
    # A smaller one before it tells how long the large one will take.
    for size in sorted({min(largest, PROBE), largest}):
        if per_byte * size > LONGEST_S:
            break
        times, _ = measured(all_, "large", size, 1)
        usual = usual or times[0]  # no smaller size takes longer
        per_byte = max(times[0] / size, 1e-13)
        yield "large"
    for size in sizes:
        # No size takes less time than a smaller one: on a long way all small ones take the same.
        least = max(per_byte * size, usual)
        if least * FEWEST > LONGEST_S and size != sizes[0]:
            all_.tell({"left_out": size, "node": 0})
            continue
        bad: "Record" = {}
        if least * FEWEST >= SIZE_S:
            # There will be the fewest in any case: one that is slow at first is not their median. What is verified
            # before a small size brings the ranks together as well: on a long way no sum is made for that alone.
            times, wrong = measured(all_, "sweep", size, FEWEST, gather=size > SMALL)
        else:
            # The slowest of the first ones is left to whatever a first time costs; the rest decide how many there will
            # be. Large sizes are verified once, at the end.
            warm, bad = measured(all_, "sweep", size, FEWEST, 1 if size <= SMALL else 0)
            once = max(1e-6, sorted(warm)[len(warm) // 2])
            iterations = int(max(FEWEST, min(MOST, SIZE_S / (once * all_.devices))))
            verified = int(max(1, min(VERIFIED, SIZE_S / once))) if size <= SMALL else 1
            times, wrong = measured(all_, "sweep", size, iterations, verified)
        told = row(size, times, all_.world_size, dict(bad, **wrong))
        usual = float(told["time_us"]["median"]) / 1e6
        all_.tell({"size": told, "node": 0})
        if told["wrong"] and not located:
            located = True
            locate(all_, size)
        if size >= PROBE:
            per_byte = usual / size
        yield "sweep"


def locate(all_: "Coordinator", size: int) -> None:
    """Find the ranks whose data is bad: each group that shares a digit with them is wrong."""
    seen: "Dict[str, int]" = {}
    for values in all_.together("locate", everyone(bytes=min(size, PROBE))).values():
        for key, wrong in (values.get("groups") or {}).items():
            seen[key] = max(seen.get(key, 0), int(wrong))
    digits = range(max(1, (all_.world_size - 1).bit_length()))
    suspects = [
        rank
        for rank in range(all_.world_size)
        if all(seen.get("%d %d" % (digit, (rank >> digit) & 1)) for digit in digits)
    ]
    all_.tell({"suspects": suspects, "bytes": size, "node": 0})


def quantile(ordered: "List[float]", share: float) -> float:
    """Linear between the two nearest of the sorted values, as numpy's default does."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def row(size: int, times: "List[float]", world_size: int, wrong: "Record") -> "Record":
    """A row of the table. algbw is bytes over time; busbw = algbw * 2(n-1)/n, what each link carries, in 1e9 bytes
    a second (nccl-tests, doc/PERFORMANCE.md)."""
    ordered = sorted(times)
    median = quantile(ordered, 0.5)
    algbw = size / median / 1e9
    return {
        "bytes": size, "iterations": len(times),
        "time_us": {"median": median * 1e6, "p5": quantile(ordered, 0.05) * 1e6, "p95": quantile(ordered, 0.95) * 1e6},
        "algbw_gb_s": algbw, "busbw_gb_s": algbw * 2 * (world_size - 1) / world_size,
        "wrong": sum(int(one["wrong"]) for one in wrong.values()), "wrong_ranks": sorted(int(rank) for rank in wrong),
    }  # fmt: skip
