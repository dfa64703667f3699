"""From a question to snapshots: choose the Python, run the patient, decode what comes back."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from envdoctor import __version__, decode, facts
from envdoctor.errors import ExaminationError
from envdoctor.facts.asked import Asked
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.model import Node
from envdoctor.snapshot import Snapshot
from envdoctor.transport import local
from envdoctor.transport.target import Target

if TYPE_CHECKING:
    from envdoctor.transport import hosts as reached_hosts
    from envdoctor.transport.visits import OnRecord, Visit, Way

MADE_BY = f"envdoctor {__version__}"


def now() -> str:
    """The time, UTC, as the JSON documents have it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def of_this_machine(
    target: Target, request: local.Request, asked: Asked, on_record: Callable[[dict[str, Any]], None] | None = None
) -> Snapshot:
    """Examine this machine and the target Python on it.

    Raises:
        ExaminationError: neither the target nor this Python could say anything.
    """
    answer, failure = local.examine_target(target, request, on_record)
    if not answer.values:
        raise ExaminationError(
            f"nothing could be learned: {target.python} did not run ({failure or answer.failure or 'no reason given'})",
            f"未能得到任何信息：{target.python} 没有运行（{failure or answer.failure or '原因不明'}）",
        )
    sections: dict[str, object] = {
        name: decode.fact(name, value) for name, value in answer.values.items() if name in facts.KINDS
    }
    sections.update(local.settle(answer))
    sections["asked"] = asked
    return Snapshot(node_of(Node(python=target.python, python_why=target.why), sections), now(), MADE_BY, sections)


def of_hosts(
    hosts: Sequence[reached_hosts.Host],
    way: Way,
    target: Target,
    request: local.Request,
    asked: Asked,
    on_record: OnRecord,
) -> list[Snapshot]:
    """Examine every host, as `envdoctor.transport.visits.examine` does, with the target's path where that is there.

    Returns:
        One snapshot for each, in their order. That of a host that was not reached holds nothing but why.
    """
    from envdoctor.transport import visits

    return [
        _visited(visit, target, asked)
        for visit in visits.examine(hosts, way, target.python, request, on_record=on_record)
    ]


def _visited(visit: Visit, target: Target, asked: Asked) -> Snapshot:
    from envdoctor.facts.reached import Reached

    sections: dict[str, object] = {
        name: decode.fact(name, value) for name, value in visit.answer.values.items() if name in facts.KINDS
    }
    sections.update(local.settle(visit.answer))
    sections["asked"] = asked
    sections["reached"] = Reached((visit.reach,))
    if visit.clock is not None:
        sections["clock"] = visit.clock
    why = target.why if visit.python == target.python else "there"
    node = Node(visit.host.name, visit.host.name, visit.python, python_why=why if visit.python else "")
    return Snapshot(node_of(node, sections), now(), MADE_BY, sections)


def node_of(node: Node, sections: Mapping[str, object]) -> Node:
    """The node with the name and the Python version that its facts give it."""
    host, python = sections.get("host"), sections.get("python")
    return replace(
        node,
        name=(host.name if isinstance(host, Host) else "") or node.name or platform.node(),
        python_version=python.version if isinstance(python, Python) else "",
    )
