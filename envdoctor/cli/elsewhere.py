"""The options that name other machines to examine, and their examination."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envdoctor.errors import UsageError

if TYPE_CHECKING:
    from envdoctor.bench.connectivity import Startable
    from envdoctor.cli.examine import Examined, Question
    from envdoctor.render import Style
    from envdoctor.snapshot import Snapshot
    from envdoctor.transport.hosts import Host
    from envdoctor.transport.target import Target
    from envdoctor.transport.visits import Way

HostsOption = Annotated[
    str,
    typer.Option("--hosts", metavar="SPEC", help="Examine these over ssh: a,b,c or node[01-16] or @FILE."),
]


@dataclass(frozen=True)
class Elsewhere:
    """Which other machines, as the command line has it; all empty for this one."""

    hosts: str = ""

    def __bool__(self) -> bool:
        return bool(self.hosts)

    def refuse(self, source: object, log: object) -> None:
        """Raise UsageError where another option says what is to be judged."""
        for option, value in (("--from", source), ("--log", log)):
            if self and value:
                raise UsageError(
                    f"{self.option} examines other machines and {option} judges what is written down; leave one out"
                )

    @property
    def option(self) -> str:
        """The option that was used."""
        return "--hosts"

    def resolved(self) -> Route:
        """The machines, and the way to them.

        Raises:
            UsageError: they cannot be named like that.
        """
        from envdoctor.transport import ssh
        from envdoctor.transport.hosts import hosts

        if os.name != "posix":
            raise UsageError(
                "--hosts works from Linux and macOS; here, write snapshots there and judge them with --from"
            )
        return Route(hosts(self.hosts), ssh)


@dataclass(frozen=True)
class Route:
    """Machines and the way to them."""

    hosts: tuple[Host, ...]
    way: Way

    def places(self, numbers: Sequence[int], target: Target, environ: Mapping[str, str]) -> Startable:
        """Those of them with these numbers, as the places of a benchmark."""
        from envdoctor.bench.over_ssh import OverSsh, Wish

        return OverSsh([self.hosts[number] for number in numbers], Wish(1), target, environ)


def snapshots(elsewhere: Elsewhere, question: Question, style: Style) -> list[Snapshot]:
    """Examine the machines, without judging them.

    Raises:
        UsageError: they cannot be named like that.
    """
    from envdoctor import examination
    from envdoctor.cli.nodes_bar import NodesBar
    from envdoctor.transport import local
    from envdoctor.transport.target import choose

    route = elsewhere.resolved()
    request = local.Request(
        limit_s=question.timeout, quick=question.quick, offline=question.offline, port=question.port
    )
    with NodesBar(style.language, [host.name for host in route.hosts], question.quiet) as bar:
        return examination.of_hosts(
            route.hosts, route.way, choose(question.python), request, question.asked, bar.record
        )


def examine(elsewhere: Elsewhere, question: Question, checks: list[Path], style: Style) -> Examined:
    """Examine the machines and, unless the question is to be answered quickly or about single topics, have them
    exchange eight bytes.

    Raises:
        UsageError: they cannot be named like that.
    """
    from envdoctor import judgement, load
    from envdoctor.cli.examine import Examined

    loaded = load.everything(checks)
    judgement.chosen(loaded, question.names)
    told = snapshots(elsewhere, question, style)
    if not question.quick and _of_benches(loaded, question.names):
        told = _tried(elsewhere.resolved(), told, question, style)
    return Examined(loaded, told)


def _of_benches(loaded: Any, names: Sequence[str]) -> bool:
    """Whether what was asked for takes a benchmark."""
    from envdoctor import judgement

    return not names or any(file.topic.bench for file in judgement.chosen(loaded, names)[0])


def _tried(route: Route, told: list[Snapshot], question: Question, style: Style) -> list[Snapshot]:
    from envdoctor.bench import connectivity
    from envdoctor.cli.nodes_bar import NodesBar
    from envdoctor.transport.target import choose

    target = choose(question.python)
    with NodesBar(style.language, [], question.quiet) as bar:
        return connectivity.tried(told, lambda numbers: route.places(numbers, target, os.environ), bar.rung)
