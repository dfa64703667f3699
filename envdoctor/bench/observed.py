"""Puts together what agents say into the one fact that is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from envdoctor.bench.conducting import Ended
from envdoctor.bench.launching import Part
from envdoctor.facts.allreduce import AllreduceResult, Counter, Failure, Member, Pair, Size, Way
from envdoctor.facts.link_fit import SLOW
from envdoctor.transport.commands import apart

Record = Mapping[str, Any]
MOST_SAID = 2000  # letters of another program's words


class Observed:
    """Takes the records of all agents; `result` is what is known so far."""

    def __init__(self, part: Part, backend: str, dtype: str, op: str = "allreduce") -> None:
        self._part = part
        self._members: dict[int, Member] = {}
        self._processors: dict[int, tuple[str, int]] = {}  # the kernel, and a bit for each processor it may use
        self._failures: list[Failure] = []
        self._ways: dict[tuple[int, int, int], Way] = {}
        self._at_rest: dict[tuple[int, int], int | None] = {}  # round trips, microseconds, while nothing else is sent
        self._pairs: dict[tuple[int, int, int, str], Pair] = {}
        self._counted: dict[int, Record] = {}  # what each machine had counted at first
        self._result = AllreduceResult(
            op=op,
            backend=backend,
            dtype=dtype,
            own=part.index,
            expected_members=part.members,
            per=part.per,
            launcher=part.launcher,
            started=part.started,
            master_addr=part.master_addr,
            master_port=part.master_port,
        )

    @property
    def result(self) -> AllreduceResult:
        members = tuple(self._members[index] for index in sorted(self._members))
        stage = self._result.stage
        failures = _without_echoes(self._failures)
        if not stage and failures:
            stage = failures[0].rung
        if not stage:
            own = self._members.get(self._part.index)
            stage = own.rung if own else ""
        each = self._part.nproc
        ranks = [
            rank
            for index in self._result.missing
            for rank in ([index] if self._part.per == "process" else range(index * each, (index + 1) * each))
        ]
        return replace(
            self._result,
            stage=stage,
            members=members,
            failures=failures,
            missing_ranks=tuple(ranks),
            ways=tuple(self._ways.values()),
            pairs=tuple(self._pairs.values()),
            oversubscribed=self._crowded(),
        )

    def _crowded(self) -> bool:
        """Whether some kernel runs more ranks than it has processors for them: containers share its processors."""
        ranks: dict[str, int] = {}
        cpus: dict[str, int] = {}
        for index, member in self._members.items():
            kernel, own = self._processors.get(index, ("", 0))
            kernel = kernel or member.host or member.node
            ranks[kernel] = ranks.get(kernel, 0) + len(member.ranks)
            cpus[kernel] = cpus.get(kernel, 0) | own
        return any(cpus[kernel] and count > bin(cpus[kernel]).count("1") for kernel, count in ranks.items())

    def take(self, record: Record) -> None:
        """A record of an agent; one that is not understood is left out."""
        try:
            self._take(record)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
            pass  # who says it may be anybody

    def _take(self, record: Record) -> None:
        index = record.get("node")
        if not isinstance(index, int):
            return
        values = record.get("values")
        values = values if isinstance(values, dict) else {}
        if isinstance(hello := record.get("hello"), dict):
            self._meet(index, hello)
        elif "begin" in record:
            self._change(index, rung=str(record["begin"]))
        elif "end" in record:
            self._ended(index, str(record["end"]), values)
        elif "failed" in record:
            self._change(index, rung=str(record["failed"]), **_torch_of(values))
            self._fail(
                {"rung": record["failed"], "node": index, "how": record.get("how"), "values": record.get("values")}
            )
        elif isinstance(row := record.get("size"), dict):
            self._result = replace(self._result, sizes=(*self._result.sizes, _size(row)))
        elif isinstance(pair := record.get("pair"), dict) and pair.keys() >= {"a", "b", "gb_s", "busy"}:
            self._measured(pair)
        elif "cut_short" in record:
            self._result = replace(self._result, cut_short=True)
        elif "left_out" in record:
            self._result = replace(self._result, left_out=(*self._result.left_out, int(record["left_out"])))
        elif isinstance(suspects := record.get("suspects"), list):
            self._result = replace(self._result, suspects=tuple(int(rank) for rank in suspects))
        elif isinstance(address := record.get("meeting"), str):
            self._result = replace(self._result, master_addr=address[:256])
        elif "backend" in record:
            self._result = replace(self._result, backend=str(record["backend"]))
        elif isinstance(stop := record.get("stop"), dict):
            self._stopped(stop)

    def gone(self, index: int, ended: Ended, name: str = "") -> None:
        """An agent ended without having said how: it was killed, or did not start. `name` is its host's, as given."""
        member = self._members.get(index, Member(index))
        how = "lost" if member.rung else "not-started"
        said = (apart(ended.said)[0].strip() or ended.noise)[-MOST_SAID:]
        self._failures.append(
            Failure(member.rung or "start", index, member.node or name, how, said=said, status=ended.status)
        )

    def _meet(self, index: int, hello: Record) -> None:
        nproc = max(1, int(hello.get("nproc") or 1))
        first = hello.get("first_rank")
        first = int(first) if isinstance(first, int) else index * (nproc if self._part.per == "node" else 1)
        known = self._members.get(index, Member(index))
        self._processors[index] = (str(hello.get("kernel") or "")[:64], _mask(hello.get("cpus")))
        self._members[index] = replace(
            known,
            node=_name(hello.get("name")),
            host=_name(hello.get("host")),
            address=str(hello.get("address") or known.address)[:64],
            ranks=tuple(range(first, first + min(nproc, 4096))),
            python=str(hello.get("python") or "")[:4096],
            python_version=str(hello.get("python_version") or "")[:64],
            cores=hello.get("cores") if isinstance(hello.get("cores"), int) else None,
            mtus={str(name): int(mtu) for name, mtu in (hello.get("mtus") or {}).items()},
            nics=tuple(str(rail[0])[:64] for rail in hello.get("rails") or ()),
        )

    def _change(self, index: int, **changes: Any) -> None:
        self._members[index] = replace(self._members.get(index, Member(index)), **changes)

    def _ended(self, index: int, rung: str, values: Record) -> None:
        if rung == "join" and isinstance(values.get("agents"), list):
            for hello in values["agents"]:
                self._meet(int(hello["index"]), hello)
            self._result = replace(self._result, world_size=int(values.get("world_size") or 0))
        elif rung == "bind" and not self._result.master_port and isinstance(values.get("port"), int):
            self._result = replace(self._result, master_port=values["port"])
        elif rung == "torch":
            self._change(
                index,
                torch=str(values.get("torch") or ""),
                cuda=values.get("cuda"),
                nccl=str(values.get("nccl") or ""),
            )
        elif rung == "gloo" and isinstance(values.get("gloo"), list):
            self._change(index, gloo=tuple(_name(word)[:64] for word in values["gloo"][:2]))
        elif rung == "nccl":
            self._change(index, device=str(values.get("device") or ""))
        elif rung == "count" and isinstance(values.get("counters"), dict):
            self._count(index, values["counters"])
        elif rung == "dial":
            for other, us in (values.get("rtt_us") or {}).items():
                self._at_rest[index, int(other)] = _whole(us)
        elif rung in ("bulk", "stream"):
            for other, told in (values.get("peers") or {}).items():
                self._way(replace(_way(index, other, told), rail=int(values.get("rail") or 0)))

    def _count(self, index: int, now: Record) -> None:
        before = self._counted.setdefault(index, now)
        moved = []
        for key, value in now.items():
            kind, device, name = [*str(key).split("|"), "", ""][:3]
            by = value - before.get(key, value) if isinstance(value, int) else 0
            if by > 0:  # one that went back was reset meanwhile
                moved.append(Counter(index, kind[:64], device[:64], name[:64], by))
        others = tuple(one for one in self._result.counters if one.member != index)
        self._result = replace(self._result, counters=(*others, *moved))

    def _way(self, way: Way) -> None:
        known = self._ways.get((way.a, way.b, way.rail))
        if way.rail == 0:  # they were dialled over one interface only
            way = replace(way, rtt_us=_shorter(self._at_rest.get((way.a, way.b)), way.rtt_us))
        # The bulk comes first, the stream that shows the rate later; both are of one way.
        if known is not None:
            way = replace(known, gb_s=way.gb_s, busy=way.busy, rtt_us=_shorter(known.rtt_us, way.rtt_us))
        self._ways[way.a, way.b, way.rail] = way

    def _measured(self, told: Record) -> None:
        """A stream of a pair; of several the best counts, for what disturbs only slows down, and of those that carried
        about as much the one that waited least, for what it did without was not needed. What others send at the same
        time is no disturbance but what is asked for, so each kind of round counts for itself."""
        gb_s, busy = _number(told["gb_s"]), _number(told["busy"])
        if gb_s is None or busy is None:
            return
        new = Pair(
            int(told["a"]), int(told["b"]), gb_s, busy, _whole(told.get("rtt_us")),
            rail=int(told.get("rail") or 0), kind=str(told.get("kind") or "")[:16],
        )  # fmt: skip
        known = self._pairs.get((new.a, new.b, new.rail, new.kind))
        if known is not None:
            worse, best = sorted((known, new), key=lambda one: one.gb_s)
            alike = worse.gb_s >= SLOW * best.gb_s
            busy = min(worse.busy, best.busy) if alike else best.busy
            new = replace(best, times=known.times + 1, busy=busy, rtt_us=_shorter(known.rtt_us, new.rtt_us))
        self._pairs[new.a, new.b, new.rail, new.kind] = new

    def _fail(self, cause: Record) -> None:
        failure = failure_of(cause, self._members)
        if failure not in self._failures:
            self._failures.append(failure)

    def _stopped(self, stop: Record) -> None:
        for hello in stop.get("agents") or []:
            if isinstance(hello, dict) and isinstance(hello.get("index"), int):
                self._meet(hello["index"], hello)
        for cause in stop.get("causes") or []:
            if isinstance(cause, dict):
                self._fail(cause)
        self._result = replace(
            self._result,
            concluded=True,
            stage=str(stop.get("stage") or ""),
            missing=tuple(index for index in stop.get("missing") or () if isinstance(index, int)),
            lost=tuple(index for index in stop.get("lost") or () if isinstance(index, int)),
        )


def _shorter(one: int | None, other: int | None) -> int | None:
    """The shorter of two round trips: what disturbs only makes them longer."""
    return one if other is None else other if one is None else min(one, other)


def _name(told: object) -> str:
    """On one line: names stand in commands that people copy."""
    return " ".join(str(told or "").split())[:256]


def _number(told: object) -> float | None:
    """What is measured is neither negative nor infinite; None for what is no such number."""
    return float(told) if isinstance(told, (int, float)) and 0 <= told < math.inf else None


def _whole(told: object) -> int | None:
    return told if isinstance(told, int) and told >= 0 else None


def _mask(told: object) -> int:
    """The processors of a hello, a bit each; 0 where it does not tell."""
    try:
        return int(str(told)[:4096], 16)
    except ValueError:
        return 0


def _without_echoes(failures: list[Failure]) -> tuple[Failure, ...]:
    """A member whose process was seen to die is not lost besides, and one that has spoken did not keep silent."""
    kept: list[Failure] = []
    for failure in failures:
        others = [other.how for other in failures if other is not failure and other.member == failure.member]
        if failure.how in ("lost", "unheard", "cut") and "died" in others:
            continue
        if failure.how == "lost" and "unheard" in others:
            continue
        if failure.how == "no-answer" and others:
            continue
        kept.append(failure)
    return tuple(kept)


def _way(a: int, b: object, told: Record) -> Way:
    gb_s = _number(told.get("gb_s"))
    return Way(
        a,
        int(str(b)),
        str(told.get("outcome") or ""),
        _whole(told.get("sent")),
        _whole(told.get("unacknowledged")),
        _whole(told.get("mss")),
        _whole(told.get("mtu")),
        gb_s,
        _number(told.get("busy")) if gb_s is not None else None,
        _whole(told.get("rtt_us")),
    )


def failure_of(cause: Record, members: Mapping[int, Member]) -> Failure:
    """A failure as an agent or the coordinator tells it."""
    values = cause.get("values")
    values = values if isinstance(values, dict) else {}
    index = cause.get("node")
    index = index if isinstance(index, int) else int(values.get("index", -1))
    member = members.get(index, Member(index))
    places = values.get("places") or ([values["place"]] if "place" in values else [])
    peers = values.get("peers") if isinstance(values.get("peers"), dict) else {}
    return Failure(
        rung=str(cause.get("rung") or ""),
        member=index,
        node=str(values.get("name") or member.node or "")[:256],
        how=str(cause.get("how") or ""),
        address=str(values.get("address") or "")[:256],
        host=str(values.get("host") or "")[:256],
        port=values.get("port"),
        ranks=tuple(member.ranks[place] for place in places if place < len(member.ranks)),
        error=str(values.get("error") or "")[:MOST_SAID],
        kind=str(values.get("kind") or "")[:256],
        place=str(values.get("at") or "")[:256],
        said=str(values.get("said") or "")[-MOST_SAID:],
        signal=str(values.get("signal") or ""),
        status=values.get("status"),
        elsewhere=str(values.get("elsewhere") or ""),
        other=str(values.get("first") or ""),
        other_address=str(values.get("first_address") or ""),
        given=values.get("agents"),
        expected=values.get("expected"),
        absent=bool(values.get("absent")),
        seconds=values.get("seconds"),
        ways=tuple(
            _way(index, other, told if isinstance(told, dict) else {"outcome": told})
            for other, told in (peers or {}).items()
        ),
    )


def _torch_of(values: Record) -> dict[str, str]:
    """The version of a torch that cannot do what it is asked for."""
    return {"torch": _name(values["torch"])[:64]} if values.get("torch") else {}


def _size(row: Record) -> Size:
    times = row["time_us"]
    return Size(
        int(row["bytes"]),
        int(row["iterations"]),
        float(times["median"]),
        float(times["p5"]),
        float(times["p95"]),
        float(row["algbw_gb_s"]),
        float(row["busbw_gb_s"]),
        int(row["wrong"]),
        tuple(int(rank) for rank in row.get("wrong_ranks") or ()),
    )
