"""What the agents climb together once all are there: the rungs in order, and what each node is told on them.

Streamed to every node; Python 3.8 syntax, standard library only.
"""

from __future__ import annotations

import importlib

from envdoctor.bench import rungs, ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

    from envdoctor.bench.coordinator import Coordinator

    Record = Dict[str, Any]

# What is climbed above the first collective: "module:function" of this package, a generator over the coordinator.
PROGRAMS = {"allreduce": ("schedule:sweep",)}
RATE_LIMIT_S = 10.0
SLOWEST_GB_S = 1e-4  # below this a sweep makes no sense: 64 MiB would take eleven minutes
SIZE_S = 0.5  # seconds for the iterations of one size
LONGEST_S = 6.0  # one size with its fewest iterations may take this long; larger sizes are left out then
FEWEST = 3


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
    yield processes(all_)
    yield collectives(all_)
    for name in PROGRAMS[str(all_.request["op"])]:
        module, _, function = name.partition(":")
        yield from getattr(importlib.import_module("envdoctor.bench." + module), function)(all_)


def paths(all_: "Coordinator", machines: "List[Record]") -> str:
    """TCP between the machines: every pair both ways, a bulk, and what a socket carries while all send at once."""
    places = {int(hello["index"]): place for place, hello in enumerate(machines)}

    def targets(hello: "Record", distances: "Optional[int]" = None) -> "Optional[Record]":
        place = places.get(int(hello["index"]))
        if place is None:
            return None
        others = [(place + 1) % len(machines)] if distances else peers_of(place, len(machines))
        chosen = [machines[other] for other in others]
        return {"peers": {str(one["index"]): [one["address"], one["port"]] for one in chosen}}

    all_.together("dial", targets)
    all_.together("bulk", lambda hello: dict(targets(hello) or {}, size=ways.BULK) if targets(hello) else None)
    all_.together(
        "bulk", lambda hello: dict(targets(hello, 1) or {}, seconds=ways.RATE_S) if targets(hello, 1) else None,
        RATE_LIMIT_S,
    )  # fmt: skip
    return "bulk"


def processes(all_: "Coordinator") -> str:
    """Torch in every rank, and the store they meet at."""
    all_.together("torch", lambda hello: {"first_rank": hello["first_rank"], "world_size": all_.world_size})
    # Rank 0 opens the store before the others look for it.
    if not all_.request.get("store_is_there"):
        all_.together("store", lambda hello: {"open": True} if hello["index"] == 0 else None)
    all_.together("store", everyone(open=False))
    return "store"


def collectives(all_: "Coordinator") -> str:
    """The first collectives, each larger than the one before."""
    backends = all_.together("gloo", everyone())
    backend = all_.request.get("backend") or "auto"
    if backend == "auto":
        backend = "nccl" if all(one.get("nccl") for one in backends.values()) else "gloo"
    all_.tell({"backend": backend, "node": 0})
    if backend == "nccl":
        all_.together("nccl", everyone())
    all_.together("first", everyone(bytes=8))
    return "first"


def sweep(all_: "Coordinator") -> "Iterator[str]":
    """One size after the other; a size that would take too long at the rate of the last one is left out.

    64 MiB, or the largest size asked for below it, goes first, alone: what only stalls with large messages is named
    before minutes are spent on small ones.
    """
    sizes = sorted(int(size) for size in all_.request["sizes"])
    per_byte = 0.0
    largest = max([size for size in sizes if size <= 64 << 20] or sizes[:1])
    # A probe of 1 MiB tells how long the large one will take.
    for rung, size in (("large", min(largest, 1 << 20)), ("large", largest)):
        expected_s = per_byte * size
        if expected_s > LONGEST_S:
            break
        told = all_.together(rung, everyone(bytes=size, iterations=1), rungs.LIMITS[rung])
        yield rung
        seconds = max(float(one.get("seconds") or 0.0) for one in told.values())
        per_byte = max(seconds / size, 1e-13)
    for size in sizes:
        if per_byte * size * FEWEST > LONGEST_S and size != sizes[0]:
            all_.tell({"left_out": size, "node": 0})
            continue
        told = all_.together("sweep", everyone(bytes=size, seconds=SIZE_S, fewest=FEWEST), rungs.LIMITS["sweep"])
        row = next((one["row"] for one in told.values() if one.get("row")), None)
        if row is not None:
            all_.tell({"size": row, "node": 0})
            if size >= 1 << 20:
                per_byte = float(row["time_us"]["median"]) / 1e6 / size
        yield "sweep"
