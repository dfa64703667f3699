"""A whole run: agents are started and heard, the machine is looked at beside them, and facts come out of it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from envdoctor import decode, examination, facts
from envdoctor.bench import rungs
from envdoctor.bench.conducting import Conduct, Start, python
from envdoctor.bench.launching import Part
from envdoctor.bench.observed import Observed
from envdoctor.errors import ExaminationError
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.asked import Asked
from envdoctor.load import Loaded
from envdoctor.model import Missing, Node, Why
from envdoctor.snapshot import Snapshot
from envdoctor.transport import local
from envdoctor.transport.target import Target

# What explains a rung that failed: cheap, and read while the ranks import torch.
BESIDE = ("host", "environment", "python", "host-names", "nics", "nccl", "name-resolution", "cpu", "torch-install")
# Looked at once a rung has failed for which it may name the culprit.
AFTERWARDS = {"bind": ("rendezvous-port",)}
TOPICS = ("launch", "names", "addressing", "network", "rendezvous", "torch")


@dataclass(frozen=True)
class Wanted:
    """What is to be measured.

    Attributes:
        backend: "auto", "nccl" or "gloo". sizes: bytes of each rank's buffer. join_s: how long the others may take.
        force: measure although a GPU is in use.
    """

    op: str = "allreduce"
    backend: str = "auto"
    dtype: str = "float32"
    sizes: tuple[int, ...] = ()
    join_s: float = 60.0
    force: bool = False


@dataclass(frozen=True)
class Ran:
    """What came of it. The first snapshot holds the result and is of this node."""

    result: AllreduceResult
    snapshots: tuple[Snapshot, ...] = field(default_factory=tuple)


def request_of(part: Part, wanted: Wanted) -> dict[str, Any]:
    """What an agent is asked, see `envdoctor.bench.agent.Agent`."""
    return {
        "index": part.index, "agents": part.members, "per": part.per, "op": wanted.op, "nproc": part.nproc,
        "local_rank": part.local_rank, "master_addr": part.master_addr, "master_port": part.master_port,
        "store_is_there": part.store_is_there, "backend": wanted.backend, "dtype": wanted.dtype,
        "sizes": list(wanted.sizes), "join_s": wanted.join_s,
    }  # fmt: skip


def longest_s(wanted: Wanted) -> float:
    """No run takes longer, seconds: the deadlines of all rungs, one after the other."""
    fixed = sum(limit for rung, limit in rungs.LIMITS.items() if rung not in ("connect", "join", "sweep"))
    return fixed + 2 * wanted.join_s + len(wanted.sizes) * rungs.LIMITS["sweep"] + 60.0


def run(part: Part, wanted: Wanted, target: Target, on_change: Callable[[AllreduceResult], None]) -> Ran:
    """Measure, from this process's part.

    Args:
        on_change: called with what is known whenever that has grown.

    Raises:
        ExaminationError: the target Python did not run.
    """
    observed = Observed(part, wanted.backend, wanted.dtype)
    start = Start(python(target.python), request_of(part, wanted))
    beside = _Beside(target, part)

    def take(_: int, record: dict[str, Any]) -> None:
        observed.take(record)
        if "size" in record or record.get("end") == "join":
            on_change(observed.result)

    with Conduct([start], secrets.token_hex(12)) as conduct:
        beside.start()
        conduct.follow(take, time.monotonic() + longest_s(wanted))
    ended = conduct.ended.get(0)
    result = observed.result
    if ended is not None and (ended.status or not result.stage):
        if not result.members:
            said = ended.said or ended.noise or f"exit status {ended.status}"
            raise ExaminationError(f"the benchmark did not start in {target.python}: {said[-500:]}")
        if not result.done:
            observed.gone(part.index, ended)
            result = observed.result
    own = next((failure for failure in result.failures if failure.member in (part.index, -1)), None)
    sections = beside.sections(AFTERWARDS.get(own.rung, ()) if own is not None else ())
    sections["allreduce"] = result
    node = examination.node_of(Node(python=target.python, python_why=target.why), sections)
    return Ran(result, (Snapshot(node, examination.now(), examination.MADE_BY, sections),))


def topics(loaded: Loaded, result: AllreduceResult) -> list[str]:
    """The topics that speak: those about benchmarks and, where a rung failed, those that may know why."""
    bench = [file.topic.name for file in loaded.files if file.topic.bench]
    known = {file.topic.name for file in loaded.files}
    return list(dict.fromkeys(bench + [name for name in TOPICS if name in known and not result.done]))


class _Beside:
    """Looks at this machine while the agents are at work."""

    def __init__(self, target: Target, part: Part) -> None:
        self._target = target
        self._environ = {**os.environ, **_variables(part)}
        self._port = part.master_port
        self._found: dict[str, object] = {}
        self._thread = threading.Thread(target=self._look, args=(BESIDE,), daemon=True)

    def start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError:
            self._look(BESIDE)

    def _look(self, names: tuple[str, ...]) -> None:
        request = local.Request(limit_s=8.0, only=names, port=self._port, environ=self._environ)
        answer, _ = local.examine_target(self._target, request)
        self._found.update({name: decode.fact(name, value) for name, value in answer.values.items()})
        missing = local.settle(answer)
        self._found.update({name: missing[name] for name in names if name in missing})

    def sections(self, afterwards: tuple[str, ...]) -> dict[str, object]:
        if afterwards:
            self._look(afterwards)
        if self._thread.ident is not None:
            self._thread.join(4.0)
        unasked = {name: Missing(name, Why.NOT_ASKED.value, "a benchmark does not look at it") for name in facts.KINDS}
        known = {name: fact for name, fact in self._found.items() if name in facts.KINDS}
        return {**unasked, **known, "asked": Asked(topics=("allreduce",), port=self._port)}


def _variables(part: Part) -> Mapping[str, str]:
    """The variables a training script would see in this place, for the checks: they know what those mean."""
    if part.members == 1 or part.per == "process":
        return {}
    return {
        "MASTER_ADDR": part.master_addr,
        "MASTER_PORT": str(part.master_port),
        "NODE_RANK": str(part.index),
        "NNODES": str(part.members),
    }
