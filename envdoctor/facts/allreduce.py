"""What `envdoctor bench allreduce` saw: who came, where it ended and why, and how fast it was.

A measurement is a fact like any other: ordinary checks judge it, now or later from the file that holds it.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Literal

# The rungs in their order, and what is below torch: envdoctor/bench/rungs.py holds their deadlines.
RUNGS = (
    "resolve", "route", "bind", "connect", "join", "dial", "bulk", "torch", "store", "gloo", "nccl", "first", "rest",
    "count", "stream", "large", "sweep", "locate",
)  # fmt: skip
DONE = "done"
# Kinds of a failure on "torch" where it came in and cannot do it: checks/torch.py tells of them.
UNFIT = ("undistributed", "no-nccl", "no-gpu")
LARGE = 1 << 20  # bytes; below this the time is that of the messages, and of what a rate limit lets pass at first


@dataclass(frozen=True)
class Member:
    """One that took part: a node, or a rank where a launcher started every rank by itself.

    Attributes:
        index: its number among all of them; node: the name it gives itself. host: what tells machines apart.
        address: where the others find it.
        ranks: those that it starts.
        rung: the last one it began. cores: those its processes may use.
        mtus: interface -> bytes. nics: those over which its data is spread, where these are several.
        gloo: interface and "address/bits" that gloo there gives to the other ranks; empty where it is not known.
        cuda: GPUs that torch sees. nccl: its version, empty without.
    """

    index: int = 0
    node: str = ""
    host: str = ""
    address: str = ""
    ranks: tuple[int, ...] = ()
    rung: str = ""
    python: str = ""
    python_version: str = ""
    torch: str = ""
    nccl: str = ""
    cuda: int | None = None
    device: str = ""
    cores: int | None = None
    mtus: dict[str, int] | None = None
    nics: tuple[str, ...] = ()
    gloo: tuple[str, ...] = ()


@dataclass(frozen=True)
class Way:
    """The way from a member to another, as a TCP rung found it.

    Attributes:
        outcome: "connected" or "ok"; "refused", "filtered" (refused by an ICMP message, the word of a firewall),
            "timeout", "mute" (connects and says nothing), "stalled", or the name of an error.
        sent, unacknowledged: bytes, of a bulk. mss: bytes of data in a segment. mtu: of the path, as the kernel knows.
        gb_s: 1e9 bytes a second, of a stream while every member sends to the next; None for other ways.
        busy: processors that sending and receiving kept busy during that stream, 1.0 for one.
        rtt_us: the shortest round trip the kernel saw.
        rail: number of the interface at both ends, of `Member.nics`; 0 where there is but one.
    """

    a: int = 0
    b: int = 0
    outcome: str = ""
    sent: int | None = None
    unacknowledged: int | None = None
    mss: int | None = None
    mtu: int | None = None
    gb_s: float | None = None
    busy: float | None = None
    rtt_us: int | None = None
    rail: int = 0


@dataclass(frozen=True)
class Pair:
    """What a stream from a member to another carried while that one sent back, the best of `times` measurements.

    Attributes:
        gb_s: 1e9 bytes a second, 0 where it stalled.
        busy: processors that it kept busy or waited for, on the busier end of that measurement.
        rail: number of the interface at both ends, of `Member.nics`; 0 where there is but one.
        kind: what else was sent in that round: "ring", "near", "far" (`envdoctor.bench.rounds`), "among" (suspects with
            each other), "apart" (all suspects at once with others), "few" (hardly anything); "" where every pair meets.
    """

    a: int = 0
    b: int = 0
    gb_s: float = 0.0
    busy: float = 0.0
    rtt_us: int | None = None
    times: int = 1
    rail: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Counter:
    """What a machine counted while it was measured.

    Attributes:
        kind: "tcp", "nic", "rdma" or "gpu". device: an interface, a port "mlx5_0/1", the number of a GPU; empty of TCP.
        name: as the kernel, the driver or envdoctor/bench/counters.py calls it. by: how far it moved, always upwards.
    """

    member: int = 0
    kind: str = ""
    device: str = ""
    name: str = ""
    by: int = 0


@dataclass(frozen=True)
class Failure:
    """Where a member stopped, and how. What it does not know stays empty.

    Attributes:
        member: its index, -1 where that is in doubt.
        how: by rung, resolve: "unresolvable", "resolver-silent"; route: "no-route", "interface-missing"; bind:
            "not-here", "bind"; connect: an outcome as of `Way`; join: "duplicate", "world-size"; dial: "unreached";
            bulk: "stalled"; from torch on: "raised", "died", "silent" (no answer within the deadline); on any: "lost"
            (its connection ended), "unheard" (nothing came over it any more, for `seconds`), "no-answer" (it is there
            and does not get ahead), "cut" (the connection to rank 0 ended, or was silent for `seconds`).
        ranks: those concerned. error, kind, place: words and class of an exception, and the file:line it came from.
        said: last words of a process.
        elsewhere: after silence, the outcome on another port of the same host.
        other: the name of the one it contradicts. given, expected: the numbers that contradict.
    """

    rung: str = ""
    member: int = -1
    node: str = ""
    how: str = ""
    address: str = ""
    host: str = ""
    port: int | None = None
    ranks: tuple[int, ...] = ()
    error: str = ""
    kind: str = ""
    place: str = ""
    said: str = ""
    signal: str = ""
    status: int | None = None
    elsewhere: str = ""
    other: str = ""
    other_address: str = ""
    given: int | None = None
    expected: int | None = None
    absent: bool = False
    seconds: float | None = None
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Size:
    """A row of the table.

    Attributes:
        bytes: of each rank's buffer. median_us, p5_us, p95_us: of the longest time over the ranks of each iteration.
        algbw_gb_s: bytes over the median; busbw_gb_s: that times 2(n-1)/n. 1e9 bytes a second.
        wrong: elements that differ from the exact sum, over all ranks; wrong_ranks: the ranks that hold such.
    """

    bytes: int = 0
    iterations: int = 0
    median_us: float = 0.0
    p5_us: float = 0.0
    p95_us: float = 0.0
    algbw_gb_s: float = 0.0
    busbw_gb_s: float = 0.0
    wrong: int = 0
    wrong_ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class AllreduceResult:
    """A run of the benchmark, as this node knows it; the node of rank 0 knows most.

    Attributes:
        own: index of the member that tells. expected_members: how many there were to be.
        per: "node" or "process", what a member is. launcher: who started them, for people.
        started: nodes, and how many members the launcher starts on each; empty where it does not say.
        world_size: 0 until all have come.
        stage: "done", or the rung on which it ended.
        missing: indices of members that never came; missing_ranks: their ranks.
        lost: members that went away.
        ways: TCP between the members.
        pairs: streams between two machines at a time, where the links were measured.
        cut_short: the budget ended before all pairs were measured.
        counters: those that moved from before the first measurement to after the last.
        left_out: sizes, in bytes, that would have taken too long.
        baseline: the sizes of an earlier run to compare with. baseline_backend, baseline_dtype,
            baseline_world_size: how that one was made; empty and 0 where nothing is compared.
        suspects: ranks whose data is bad, as far as it could be located.
        expected_busbw_gb_s: what the topology allows, None if nothing tells. expected_by, expected_values:
            why, as a sentence of `envdoctor.knowledge.fabric` and what it holds.
        concluded: whether the coordinator, who hears all, has told how it ended.
        oversubscribed: more ranks than cores on a machine, or on several that share one kernel: speed says nothing
            then.
    """

    op: str = "allreduce"
    backend: str = ""
    dtype: str = ""
    own: int = 0
    expected_members: int = 1
    per: str = "node"
    launcher: str = ""
    started: tuple[tuple[str, int], ...] = ()
    master_addr: str = ""
    master_port: int | None = None
    world_size: int = 0
    stage: str = ""
    members: tuple[Member, ...] = ()
    failures: tuple[Failure, ...] = ()
    missing: tuple[int, ...] = ()
    missing_ranks: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    ways: tuple[Way, ...] = ()
    pairs: tuple[Pair, ...] = ()
    cut_short: bool = False
    counters: tuple[Counter, ...] = ()
    sizes: tuple[Size, ...] = ()
    baseline: tuple[Size, ...] = ()
    baseline_backend: str = ""
    baseline_dtype: str = ""
    baseline_world_size: int = 0
    left_out: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    expected_busbw_gb_s: float | None = None
    expected_by: str = ""
    expected_values: dict[str, str | float | int | None] = field(default_factory=dict)
    oversubscribed: bool = False
    concluded: bool = False

    @property
    def done(self) -> bool:
        return self.stage == DONE

    @property
    def best(self) -> Size | None:
        """The size with the highest bus bandwidth, of the large ones where there are any."""
        large = [size for size in self.sizes if size.bytes >= LARGE]
        return max(large or self.sizes, key=lambda size: size.busbw_gb_s, default=None)

    def member(self, index: int) -> Member | None:
        return next((member for member in self.members if member.index == index), None)

    def named(self, index: int) -> str:
        """The name of a member's node for people: its own name, else its number."""
        found = self.member(index)
        return found.node if found and found.node else f"node {index}" if self.per == "node" else f"rank {index}"

    def nic(self, index: int, rail: int | None) -> str:
        """The interface of a member on a rail; empty where it has but one, or for rail None."""
        found = self.member(index)
        return found.nics[rail] if found and rail is not None and rail < len(found.nics) else ""

    def outliers(self, field: Literal["torch", "nccl"]) -> tuple[tuple[Member, Member], ...]:
        """Each node's first member whose version differs from the usual one, with the first that has the usual one.

        The version that most members have is the usual one; among equals, that of the first.
        """
        told = [member for member in self.members if getattr(member, field)]
        counted = collections.Counter(getattr(member, field) for member in told)
        if len(counted) < 2:
            return ()
        usual = counted.most_common(1)[0][0]
        first = next(member for member in told if getattr(member, field) == usual)
        strange: dict[str, Member] = {}
        for member in told:
            if getattr(member, field) != usual:
                strange.setdefault(member.host or member.node, member)
        return tuple((member, first) for member in strange.values())

    @property
    def awaited(self) -> tuple[str, ...]:
        """Nodes on which the launcher starts more members than have come."""
        come = collections.Counter(member.node.partition(".")[0] for member in self.members)
        return tuple(name for name, count in self.started if come[name.partition(".")[0]] < count)

    @property
    def departed(self) -> frozenset[int]:
        """Members that went away while others were at work: nobody listens there any longer."""
        left = {
            failure.member for failure in self.failures if failure.how in ("lost", "unheard", "died", "not-started")
        }
        return frozenset(left | {0 for failure in self.failures if failure.how == "cut"})

    def on(self, *rungs: str) -> tuple[Failure, ...]:
        """The failures on these rungs."""
        return tuple(failure for failure in self.failures if failure.rung in rungs)
