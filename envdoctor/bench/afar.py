"""Agents on hosts that are reached over OpenSSH or by srun, and nothing of ours installed there."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envdoctor import decode
from envdoctor.bench import spread
from envdoctor.bench.conducting import Ended, Start
from envdoctor.bench.launching import Part
from envdoctor.bench.places import LIMIT_S, Looked
from envdoctor.facts.reached import Reach, Reached
from envdoctor.model import Node
from envdoctor.patient import boot
from envdoctor.transport import commands, local, ssh
from envdoctor.transport.hosts import Host
from envdoctor.transport.target import Target
from envdoctor.transport.visits import Way, examine

# Variables that a training script would be started with on every node; a login shell does not know them.
CARRIED = ("NCCL_", "GLOO_", "TORCH_", "TP_", "OMP_NUM_THREADS", "PET_RDZV_")
SILENT_S = float(ssh.CUT_S)  # an agent that hears nothing of the doctor for so long ends itself


@dataclass(frozen=True)
class Wish:
    """What the user says about all hosts: ranks on each (0: one per GPU), the port of rank 0 (0: any)."""

    nproc: int = 0
    port: int = 0


class Afar:
    """One agent on each host, started here; a `Places`."""

    far = True

    def __init__(
        self, hosts: Sequence[Host], wish: Wish, target: Target, environ: Mapping[str, str], way: Way = ssh
    ) -> None:
        self.part = Part(
            index=0, members=len(hosts), nproc=wish.nproc or 1, master_addr="", master_port=wish.port,
            launcher=way.TITLE, given_by=way.OPTION,
        )  # fmt: skip
        self.mine: int | None = 0
        self._hosts = tuple(hosts)
        self._way = way
        self._wish = wish
        self._target = target
        self._environ = carried(environ)
        self._meeting = spread.Meeting(len(hosts), wish.port, hosts[0].name if len(hosts) > 1 else "127.0.0.1")
        self._ended: dict[int, Ended] = {}
        self._found: dict[int, dict[str, object]] = {number: {} for number in range(len(hosts))}
        self._looking: threading.Thread | None = None
        self._known: tuple[Looked, ...] = ()

    # The agents

    def starts(self, request: Mapping[str, Any]) -> Sequence[Start]:
        line = commands.start(self._target.python, boot.COMMAND)
        found = []
        for index, host in enumerate(self._hosts):
            own = {
                **request, "index": index, "local_rank": None, "nproc": self._wish.nproc or host.slots,
                "environ": self._environ, "meet": True, "pulse_s": SILENT_S,
            }  # fmt: skip
            found.append(Start(self._way.argv(host, line), own, name=host.name, pulse=True))
        return found

    def index_of(self, start: int) -> int:
        return start

    def hear(self, start: int, record: Mapping[str, Any]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        """What is to be said, and to which start, after this record."""
        return [(int(word["to"]), word) for word in self._meeting.take(record)]

    def over(self, start: int, ended: Ended) -> None:
        """An agent has ended."""
        self._ended[start] = ended
        self._meeting.over(start)

    def left_s(self) -> float | None:
        """For how long the agents are still heard, seconds; None for as long as they like."""
        return self._meeting.left_s()

    def met(self) -> bool:
        """Whether all have said their first word."""
        return len(self._meeting.heard) == len(self._hosts)

    def told(self) -> Mapping[str, object]:
        """How each host was reached."""
        return {"reached": Reached(tuple(self._reach(number) for number in range(len(self._hosts))))}

    def _reach(self, number: int) -> Reach:
        host, ended = self._hosts[number], self._ended.get(number, Ended())
        return self._way.reach(host, ended.status, ended.said, ended.noise, number in self._meeting.heard)

    # What the machines look like

    def known(self, looked: Sequence[Looked]) -> None:
        """Take these for what the machines look like."""
        self._known = tuple(looked)

    def look(self, names: Sequence[str]) -> None:
        if self._known:
            return
        self._looking = threading.Thread(target=self._look, args=(self._hosts, tuple(names)), daemon=True)
        self._looking.start()

    def _look(self, hosts: Sequence[Host], names: tuple[str, ...]) -> None:
        """Have the patient look at these, the first of all hosts; what it finds is added as it comes."""
        request = local.Request(limit_s=LIMIT_S, only=names, port=self._wish.port)

        def take(number: int, record: Mapping[str, Any]) -> None:
            name = str(record.get("fact", ""))
            if name in names:
                self._found[number][name] = decode.fact(name, record.get("value"))

        visits = examine(hosts, self._way, self._target.python, request, self._environ, take)
        for number, visit in enumerate(visits):
            missing = local.settle(visit.answer)
            self._found[number].update({name: missing[name] for name in names if name in missing})

    def looked(self, afterwards: Sequence[str]) -> Sequence[Looked]:
        if self._known:
            return self._known
        if self._looking is not None:
            self._looking.join(LIMIT_S / 2)
        if afterwards and 0 in self._meeting.heard:
            self._look(self._hosts[:1], tuple(afterwards))
        return [
            Looked(
                Node(name=host.name, address=host.name, python=self._python(number), python_why=self._why(number)),
                dict(self._found[number]),
                number,
            )
            for number, host in enumerate(self._hosts)
            if number == 0 or number in self._meeting.heard
        ]

    def _python(self, number: int) -> str:
        return str(self._meeting.heard.get(number, {}).get("python") or self._target.python)

    def _why(self, number: int) -> str:
        return self._target.why if self._python(number) == self._target.python else "path"


def carried(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that go to every node with the benchmark."""
    return {name: value for name, value in environ.items() if name.startswith(CARRIED)}
