"""Where the agents of a run are started, and how those places are looked at.

A place that is reached in another way (OpenSSH, srun ...) is another class with the methods of `Places`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from envdoctor import decode
from envdoctor.bench.conducting import Ended, Start, python
from envdoctor.bench.launching import Part
from envdoctor.model import Missing, Node
from envdoctor.transport import local
from envdoctor.transport.target import Target

LIMIT_S = 8.0  # seconds that looking at a machine may take beside a benchmark


@dataclass(frozen=True)
class Looked:
    """What the patient saw at one place: the node as it was reached, its sections by name, its index in the run."""

    node: Node
    sections: Mapping[str, object]
    member: int


class Places(Protocol):
    """All places of a run.

    Attributes:
        part: the part this process takes; where it only conducts, that of the member with rank 0.
        mine: number of the start beside which rank 0 runs, if it is among those started here; else None.
        far: they are reached over a network, so one that does not start is a finding and not an error of ours.
    """

    part: Part
    mine: int | None
    far: bool

    def starts(self, request: Mapping[str, Any]) -> Sequence[Start]:
        """The agents to start. `request` is what all have in common, see `envdoctor.bench.agent.Agent`."""

    def index_of(self, start: int) -> int:
        """Which member a start is, for one that says nothing."""

    def hear(self, start: int, record: Mapping[str, Any]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        """What is to be said, and to which start, after this record of one."""

    def over(self, start: int, ended: Ended) -> None:
        """A start has ended."""

    def left_s(self) -> float | None:
        """For how long the starts are still heard, seconds; None for as long as they like."""

    def met(self) -> bool:
        """Whether all have said their first word."""

    def told(self) -> Mapping[str, object]:
        """Facts about how the places were reached, by section."""

    def look(self, names: Sequence[str]) -> None:
        """Begin to look at every place, in the background: sections of the patient."""

    def looked(self, afterwards: Sequence[str]) -> Sequence[Looked]:
        """What was seen, the place of this process's part first; `afterwards` are looked at now."""


class Here:
    """One agent on this machine, in the Python under examination."""

    far = False

    def __init__(self, part: Part, target: Target) -> None:
        self.part = part
        self.mine: int | None = 0 if part.index == 0 else None
        self._target = target
        self._environ = {**os.environ, **variables(part)}
        self._found: dict[str, object] = {}
        self._thread: threading.Thread | None = None

    def starts(self, request: Mapping[str, Any]) -> Sequence[Start]:
        own = self.part
        here = {
            "index": own.index, "nproc": own.nproc, "local_rank": own.local_rank,
            "store_is_there": own.store_is_there,
        }  # fmt: skip
        return [Start(python(self._target.python), {**request, **here})]

    def index_of(self, start: int) -> int:
        return self.part.index

    def hear(self, start: int, record: Mapping[str, Any]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        return ()

    def over(self, start: int, ended: Ended) -> None:
        pass

    def left_s(self) -> float | None:
        return None

    def met(self) -> bool:
        return True

    def told(self) -> Mapping[str, object]:
        return {}

    def look(self, names: Sequence[str]) -> None:
        self._thread = threading.Thread(target=self._look, args=(tuple(names),), daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None  # no thread may start
            self._look(tuple(names))

    def _look(self, names: tuple[str, ...]) -> None:
        port = self.part.master_port
        request = local.Request(limit_s=LIMIT_S, only=names, port=port, environ=self._environ)
        answer, _ = local.examine_target(self._target, request)
        missing: Mapping[str, Missing] = local.settle(answer)
        self._found.update({name: decode.fact(name, value) for name, value in answer.values.items() if name in names})
        self._found.update({name: missing[name] for name in names if name in missing})

    def looked(self, afterwards: Sequence[str]) -> Sequence[Looked]:
        if afterwards:
            self._look(tuple(afterwards))
        if self._thread is not None:
            self._thread.join(LIMIT_S / 2)
        return [
            Looked(Node(python=self._target.python, python_why=self._target.why), dict(self._found), self.part.index)
        ]


def variables(part: Part) -> Mapping[str, str]:
    """The variables a training script would see in this place, for the checks: they know what those mean."""
    if part.members == 1 or part.per == "process":
        return {}
    return {
        "MASTER_ADDR": part.master_addr,
        "MASTER_PORT": str(part.master_port),
        "NODE_RANK": str(part.index),
        "NNODES": str(part.members),
    }
