"""Simulated fabrics of up to thousands of machines, and whom `bench links` blames on them.

    python -m tests.bench.fabrics [--runs N] [--nodes 33,64,...]

The real rounds (`envdoctor.bench.rounds`), the real answers (`envdoctor.bench.blame`) and the real judgement run; only
what a stream carries is worked out: max-min fairness over the machines' interfaces, the paths and the uplinks of the
leaf switches, all that send at the same time sharing them, and noise on top. The spine above the leaves blocks nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from envdoctor.bench import blame, rounds
from envdoctor.bench.launching import Part
from envdoctor.bench.observed import Observed
from envdoctor.facts import links as judged
from envdoctor.facts.allreduce import AllreduceResult

Flow = tuple[int, int]
SIZES = (33, 64, 100, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Fabric:
    """Machines behind leaf switches. Rates are shares of what a healthy interface carries.

    Attributes:
        leaf: machines on a leaf switch; 0 for one switch that blocks nothing.
        oversubscribed: what the machines of a leaf could send, over what its uplink carries.
        mixed: machines lie on leaves in no order, else one leaf after the other.
        slow: what a machine carries, or its interface on one rail: (machine, rail or None) -> share.
        sends_only: machines of `slow` that receive as fast as others.
        paths: (from, to) -> share.
        uplinks: leaf -> share of what its uplink should carry; of one rail or of all (None).
        trunks: (leaf, leaf) -> what one to the other may carry together, in interfaces.
        noise: a measurement is off by so much at most, either way.
    """

    count: int
    leaf: int = 0
    oversubscribed: float = 1.0
    mixed: bool = False
    rails: int = 1
    slow: Mapping[tuple[int, int | None], float] = field(default_factory=dict)
    sends_only: frozenset[int] = frozenset()
    paths: Mapping[Flow, float] = field(default_factory=dict)
    uplinks: Mapping[tuple[int, int | None], float] = field(default_factory=dict)
    trunks: Mapping[tuple[int, int], float] = field(default_factory=dict)
    noise: float = 0.1
    seed: int = 0

    def leaves(self) -> list[int]:
        """The leaf of each machine."""
        found = [place // self.leaf if self.leaf else 0 for place in range(self.count)]
        if self.mixed:
            random.Random(self.seed).shuffle(found)
        return found

    def of_leaf(self, leaf: int) -> set[int]:
        return {place for place, own in enumerate(self.leaves()) if own == leaf}


def carried(fabric: Fabric, leaves: Sequence[int], flows: Sequence[Flow], rail: int) -> dict[Flow, float]:
    """What each of the flows carries that are there at the same time, a machine sending at most one: max-min."""
    own: dict[Flow, float] = {}
    shared: dict[Flow, list[tuple[str, int, int]]] = {}
    room: dict[tuple[str, int, int], float] = {}
    for a, b in flows:
        ends = [fabric.slow.get((a, key), 1.0) for key in (None, rail)]
        if b not in fabric.sends_only:
            ends += [fabric.slow.get((b, key), 1.0) for key in (None, rail)]
        own[a, b] = min(*ends, fabric.paths.get((a, b), 1.0))
        shared[a, b] = []
        if fabric.leaf and leaves[a] != leaves[b]:
            for way, leaf in (("up", leaves[a]), ("down", leaves[b])):
                share = min(fabric.uplinks.get((leaf, key), 1.0) for key in (None, rail))
                room[way, leaf, 0] = share * fabric.leaf / fabric.oversubscribed
                shared[a, b].append((way, leaf, 0))
            trunk = fabric.trunks.get((leaves[a], leaves[b]))
            if trunk is not None:
                room["trunk", leaves[a], leaves[b]] = trunk
                shared[a, b].append(("trunk", leaves[a], leaves[b]))
    found: dict[Flow, float] = {}
    users: dict[tuple[str, int, int], set[Flow]] = {}
    for flow, keys in shared.items():
        for key in keys:
            users.setdefault(key, set()).add(flow)

    def settle(flow: Flow, rate: float) -> None:
        found[flow] = rate
        for key in shared[flow]:
            room[key] -= rate
            users[key].discard(flow)

    waiting = sorted(flows, key=lambda flow: -own[flow])
    while True:
        fair, full = min(
            ((room[key] / len(by), key) for key, by in users.items() if by), default=(float("inf"), ("", 0, 0))
        )  # fmt: skip
        settled = len(found)
        # What asks for less than a fair share takes nothing from that of the others.
        while waiting and (waiting[-1] in found or own[waiting[-1]] <= fair):
            flow = waiting.pop()
            if flow not in found:
                settle(flow, own[flow])
        if not waiting:
            return found
        if len(found) == settled:
            for flow in list(users[full]):
                settle(flow, fair)


class Simulated:
    """Stands for the coordinator: whom it is told to have measured, it works out."""

    def __init__(self, fabric: Fabric, budget_s: float, round_s: float) -> None:
        self.fabric = fabric
        self.luck = random.Random(fabric.seed + 1)
        self.request: dict[str, Any] = dict(REQUEST, budget_s=budget_s)
        self.observed = Observed(Part(0, fabric.count), "tcp", "float32", "links")
        self.hellos: list[dict[str, Any]] = [
            {
                "index": place, "name": f"node{place:04}", "host": f"node{place:04}", "nproc": 1, "port": 1000,
                "address": f"10.9.{place // 250}.{place % 250 + 1}",
                "rails": [[f"eth{rail}", f"10.{rail}.{place // 250}.{place % 250 + 1}"] for rail in range(fabric.rails)]
                if fabric.rails > 1 else [],
            }
            for place in range(fabric.count)
        ]  # fmt: skip
        for hello in self.hellos:
            self.observed.take({"node": hello["index"], "hello": hello})
        self.leaves = fabric.leaves()
        self.round_s = round_s
        self.rtt_s = 1e-4  # the longest between two machines
        self.now = 0.0
        self.rounds = 0
        self.asked = 0
        self.answer_bytes = 0
        self.answer_s = 0.0

    def monotonic(self) -> float:
        """The clock of the simulation."""
        return self.now

    def roll(self) -> list[dict[str, Any]]:
        return self.hellos

    def tell(self, record: dict[str, Any]) -> None:
        self.observed.take(record)

    def ask(self, question: str) -> Mapping[str, Any]:
        self.asked += 1
        began = time.process_time()
        told = json.dumps(blame.answer(question, self.observed.result))
        self.answer_s = max(self.answer_s, time.process_time() - began)
        self.answer_bytes = max(self.answer_bytes, len(told))
        answer = json.loads(told)
        assert isinstance(answer, dict)
        return answer

    def together(
        self, rung: str, arguments: Callable[[dict[str, Any]], dict[str, Any] | None], limit_s: float
    ) -> dict[int, dict[str, Any]]:
        self.rounds += 1
        self.now += self.round_s
        told = {place: arguments(hello) for place, hello in enumerate(self.hellos)}
        flows = [(a, int(b)) for a, one in told.items() if one is not None for b in one["peers"]]
        rail = next((int(one.get("rail") or 0) for one in told.values() if one is not None), 0)
        rates = carried(self.fabric, self.leaves, flows, rail)
        answers: dict[int, dict[str, Any]] = {}
        for (a, b), rate in rates.items():
            off = 1 + self.fabric.noise * self.luck.uniform(-1, 1)
            answers[a] = {"peers": {str(b): {"gb_s": rate * off, "busy": 0.05, "rtt_us": 80}}}
        return answers


REQUEST: dict[str, Any] = {"blame": True, "whole": judged.ALL_PAIRS}


@dataclass(frozen=True)
class Came:
    """What came of a run: seconds by its own clock, rounds and questions, bytes of the longest answer, and seconds of
    CPU that it took."""

    result: AllreduceResult
    seconds: float
    rounds: int
    asked: int
    answer_bytes: int
    answer_s: float


def links(fabric: Fabric, budget_s: float = 60.0, round_s: float = 0.55) -> Came:
    """A whole `bench links` on a fabric, of which each round takes so many seconds."""
    simulated = Simulated(fabric, budget_s, round_s)
    with mock.patch.object(rounds, "time", simulated):
        for _ in rounds.links(simulated):  # type: ignore[arg-type]
            pass
    result = replace(simulated.observed.result, stage="done", world_size=fabric.count)
    return Came(result, simulated.now, simulated.rounds, simulated.asked, simulated.answer_bytes, simulated.answer_s)


# A culprit for comparisons: what it is, the machines concerned, and the rail of several.
Named = tuple[str, tuple[int, ...], int | None]


def named(result: AllreduceResult) -> set[Named]:
    """Who is blamed."""
    told = set()
    for one in judged.blamed(result.pairs):
        if one.group:
            told.add(("group", one.group, one.rail))
        elif one.b is not None:
            told.add(("path", tuple(sorted((one.a, one.b))), one.rail))
        elif one.a < 0:
            told.add(("rail", (), one.rail))
        else:
            told.add(("node", (one.a,), one.rail))
    return told


@dataclass(frozen=True)
class Case:
    """A fabric with something wrong with it, and who is to be named."""

    fabric: Fabric
    culprits: frozenset[Named] = frozenset()


def leaf_of(count: int) -> int:
    """A usual size of leaves for so many machines: 32, smaller where there would be fewer than four."""
    return 32 if count >= 128 else 8


def healthy(count: int, seed: int) -> Case:
    return Case(Fabric(count, seed=seed))


def oversubscribed(count: int, seed: int) -> Case:
    return Case(Fabric(count, leaf_of(count), 4.0, seed=seed))


def oversubscribed_odd_leaves(count: int, seed: int) -> Case:
    return Case(Fabric(count, 11 if count < 128 else 23, 3.0, seed=seed))


def oversubscribed_mixed(count: int, seed: int) -> Case:
    return Case(Fabric(count, leaf_of(count), 4.0, mixed=True, seed=seed))


def two_halves(count: int, seed: int) -> Case:
    return Case(Fabric(count, (count + 1) // 2, 4.0, seed=seed))


def slow_nodes(number: int, oversubscription: float = 1.0) -> Callable[[int, int], Case]:
    def made(count: int, seed: int) -> Case:
        slow = random.Random(seed).sample(range(count), number)
        culprits = frozenset(("node", (one,), None) for one in slow)
        fabric = Fabric(count, leaf_of(count), oversubscription, slow={(one, None): 0.3 for one in slow}, seed=seed)
        return Case(fabric, culprits)

    return made


def slow_sender(count: int, seed: int) -> Case:
    slow = random.Random(seed).randrange(count)
    fabric = Fabric(count, leaf_of(count), slow={(slow, None): 0.3}, sends_only=frozenset([slow]), seed=seed)
    return Case(fabric, frozenset([("node", (slow,), None)]))


def slow_nic(count: int, seed: int) -> Case:
    luck = random.Random(seed)
    slow, rail = luck.randrange(count), luck.randrange(2)
    return Case(
        Fabric(count, leaf_of(count), rails=2, slow={(slow, rail): 0.3}, seed=seed),
        frozenset([("node", (slow,), rail)]),
    )


def path_case(count: int, seed: int, a: int, b: int, oversubscription: float) -> Case:
    culprit = ("path", tuple(sorted((a, b))), None)
    paths = {(a, b): 0.15, (b, a): 0.15}
    return Case(Fabric(count, leaf_of(count), oversubscription, paths=paths, seed=seed), frozenset([culprit]))


def ring_path(count: int, seed: int) -> Case:
    a = random.Random(seed).randrange(count)
    return path_case(count, seed, a, (a + 1) % count, 1.0)


def ring_path_oversubscribed(count: int, seed: int) -> Case:
    a = random.Random(seed).randrange(count)
    return path_case(count, seed, a, (a + 1) % count, 4.0)


def any_path(count: int, seed: int) -> Case:
    a, b = random.Random(seed).sample(range(count), 2)
    return path_case(count, seed, a, b, 1.0)


def one_way(count: int, seed: int) -> Case:
    a = random.Random(seed).randrange(count)
    b = (a + 1) % count
    fabric = Fabric(count, leaf_of(count), paths={(a, b): 0.2}, seed=seed)
    return Case(fabric, frozenset([("path", tuple(sorted((a, b))), None)]))


def slow_uplink(
    share: float, oversubscription: float = 1.0, mixed: bool = False, number: int = 1
) -> Callable[[int, int], Case]:
    def made(count: int, seed: int) -> Case:
        size = leaf_of(count)
        # A third of the machines may be slow at most.
        slow = random.Random(seed).sample(range(count // size), max(1, min(number, count // size // 6)))
        uplinks: dict[tuple[int, int | None], float] = {(leaf, None): share for leaf in slow}
        fabric = Fabric(count, size, oversubscription, mixed, uplinks=uplinks, seed=seed)
        return Case(fabric, frozenset(("group", tuple(sorted(fabric.of_leaf(leaf))), None) for leaf in slow))

    return made


def slow_trunk(count: int, seed: int) -> Case:
    """Between two leaves, for all their machines together; one stream alone is as fast as any."""
    size = leaf_of(count)
    a, b = random.Random(seed).sample(range(count // size), 2)
    return Case(Fabric(count, size, trunks={(a, b): size / 8, (b, a): size / 8}, seed=seed))


def slow_uplink_of_a_rail(count: int, seed: int) -> Case:
    size = leaf_of(count)
    leaf = random.Random(seed).randrange(count // size)
    fabric = Fabric(count, size, 1.0, rails=2, uplinks={(leaf, 1): 0.25}, seed=seed)
    return Case(fabric, frozenset([("group", tuple(sorted(fabric.of_leaf(leaf))), 1)]))


CASES: dict[str, Callable[[int, int], Case]] = {
    "healthy": healthy,
    "healthy, uplinks 4:1": oversubscribed,
    "healthy, uplinks 3:1, leaves of 11 or 23": oversubscribed_odd_leaves,
    "healthy, uplinks 4:1, machines in no order": oversubscribed_mixed,
    "healthy, two halves 4:1": two_halves,
    "one slow node": slow_nodes(1),
    "three slow nodes": slow_nodes(3),
    "one slow node, uplinks 4:1": slow_nodes(1, 4.0),
    "a node that sends slowly": slow_sender,
    "one slow NIC of two": slow_nic,
    "a slow path in the ring": ring_path,
    "a slow path in the ring, uplinks 4:1": ring_path_oversubscribed,
    "a slow path in the ring, one way": one_way,
    "a slow path anywhere": any_path,
    "a slow uplink (a quarter)": slow_uplink(0.25),
    "a slow uplink (a quarter), uplinks 4:1": slow_uplink(0.25, 4.0),
    "a slow uplink (a tenth), machines in no order": slow_uplink(0.1, mixed=True),
    "two slow uplinks (a quarter)": slow_uplink(0.25, number=2),
    "a slow uplink of one rail of two": slow_uplink_of_a_rail,
    "a slow trunk between two leaves": slow_trunk,
}


# What may stay unfound: a slow path that no round has, and one that is slow only while many machines share it.
BEYOND = ("a slow path anywhere", "a slow trunk between two leaves")


def main() -> None:
    parser = argparse.ArgumentParser(description="whom `bench links` blames on simulated fabrics")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nodes", default=",".join(map(str, SIZES)))
    options = parser.parse_args()
    sizes = [int(size) for size in options.nodes.split(",")]
    print(f"right of {options.runs} runs; wrong: names somebody else; most rounds, longest thought (seconds of CPU)")
    print(f"{'':48}" + "".join(f"{size:>16}" for size in sizes))
    for name, make in CASES.items():
        print(f"{name:48}", end="", flush=True)
        for size in sizes:
            right = wrong = most = 0
            longest = 0.0
            for seed in range(options.runs):
                case = make(size, seed)
                came = links(case.fabric)
                told = named(came.result)
                right += told == case.culprits
                wrong += bool(told - case.culprits)
                most, longest = max(most, came.rounds), max(longest, came.answer_s)
            said = f"{right}" + (f" wrong {wrong}" if wrong else "") + f" {most}r {longest:.1f}s"
            print(f"{said:>16}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
