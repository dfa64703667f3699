"""The options that name other machines to examine, and their examination."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli.options import not_empty
from envdoctor.errors import UsageError

if TYPE_CHECKING:
    from envdoctor.bench.connectivity import Startable
    from envdoctor.cli.examine import Examined, Question
    from envdoctor.load import Loaded
    from envdoctor.model import Language
    from envdoctor.render import Style
    from envdoctor.snapshot import Snapshot
    from envdoctor.transport.hosts import Host
    from envdoctor.transport.target import Target
    from envdoctor.transport.visits import Way

HostsOption = Annotated[
    str,
    typer.Option(
        "--hosts",
        metavar="SPEC",
        callback=not_empty,
        help="Examine these over ssh: a,b,c or node[01-16] or @FILE.",
    ),
]
SlurmOption = Annotated[bool, typer.Option("--slurm", help="Examine every node of this Slurm allocation.")]
DockerOption = Annotated[
    str,
    typer.Option(
        "--docker",
        metavar="NAMES",
        callback=not_empty,
        help="Examine these running containers, of docker or podman.",
    ),
]
KubectlOption = Annotated[
    str,
    typer.Option(
        "--kubectl",
        metavar="PODS",
        callback=not_empty,
        help="Examine these pods: [NAMESPACE/]POD[:CONTAINER],...",
    ),
]


@dataclass(frozen=True)
class Elsewhere:
    """Which other machines, as the command line has it; all empty for this one."""

    hosts: str = ""
    slurm: bool = False
    docker: str = ""
    kubectl: str = ""

    @property
    def options(self) -> list[str]:
        """The options that were used."""
        given = {"--hosts": self.hosts, "--slurm": self.slurm, "--docker": self.docker, "--kubectl": self.kubectl}
        return [option for option, value in given.items() if value]

    def __bool__(self) -> bool:
        return bool(self.options)

    def refuse(self, **others: object) -> None:
        """Refuse what contradicts them.

        Args:
            others: options that say what is to be judged, "from_" for --from.

        Raises:
            UsageError: two options name what is to be examined, or this is no machine to do it from.
        """
        if not self:
            return
        if len(self.options) > 1:
            raise UsageError(
                f"{' and '.join(self.options)} both name what is to be examined; leave one out",
                f"{' 与 '.join(self.options)} 都指定了检查对象，请去掉其一",
            )
        for name, value in others.items():
            if value:
                option = "--" + name.rstrip("_")
                raise UsageError(
                    f"{self.options[0]} examines other machines and {option} judges what is written down; "
                    "leave one out",
                    f"{self.options[0]} 检查其他机器，{option} 判断已保存的内容，请去掉其一",
                )
        if os.name != "posix":
            raise UsageError(
                f"{self.options[0]} works from Linux and macOS; "
                "write snapshots on those machines and judge them with --from",
                f"{self.options[0]} 只能在 Linux 与 macOS 上使用；请在那些机器上写快照，再用 --from 判断",
            )

    def route(self) -> Route:
        """The machines, and the way to them.

        Raises:
            UsageError: they cannot be named like that, or are not reached from here.
        """
        from envdoctor.transport import containers, srun, ssh
        from envdoctor.transport.hosts import hosts

        if self.slurm:
            return Route(srun.nodes(os.environ), srun)
        if self.docker:
            return Route(containers.DOCKER.places(self.docker), containers.DOCKER)
        if self.kubectl:
            return Route(containers.KUBECTL.places(self.kubectl), containers.KUBECTL)
        return Route(hosts(self.hosts), ssh)


@dataclass(frozen=True)
class Route:
    """Machines and the way to them."""

    hosts: tuple[Host, ...]
    way: Way

    def places(self, numbers: Sequence[int], target: Target, environ: Mapping[str, str]) -> Startable:
        """Those of them with these numbers, as the places of a benchmark."""
        from envdoctor.bench.afar import Afar, Wish

        return Afar([self.hosts[number] for number in numbers], Wish(1), target, environ, self.way)


def snapshots(route: Route, question: Question, language: Language) -> list[Snapshot]:
    """Examine the machines, without judging them.

    Raises:
        UsageError: what leads there is not installed here.
    """
    from envdoctor import examination
    from envdoctor.cli.nodes_bar import NodesBar
    from envdoctor.transport import local

    request = local.Request(
        limit_s=question.timeout, quick=question.quick, offline=question.offline, port=question.port
    )
    with NodesBar(language, [host.name for host in route.hosts], question.quiet) as bar:
        return examination.of_hosts(
            route.hosts, route.way, _target(question.python), request, question.asked, bar.record
        )


def _target(python: str) -> Target:
    """The Python to examine there. A path may lead nowhere here."""
    from envdoctor.transport.target import Target, choose

    if os.path.isabs(python) and not os.path.lexists(python):
        return Target(python, "asked")
    return choose(python)


def examine(elsewhere: Elsewhere, question: Question, checks: list[Path], style: Style) -> Examined:
    """Examine the machines and, unless the question is to be answered quickly or about single topics, have them
    exchange eight bytes.

    Raises:
        UsageError: they cannot be named like that, or are not reached from here.
    """
    from envdoctor import judgement, load
    from envdoctor.cli.examine import Examined

    loaded = load.everything(checks)
    judgement.chosen(loaded, question.names)
    route = elsewhere.route()
    told = snapshots(route, question, style.language)
    if not question.quick and _of_benches(loaded, question.names):
        told = _tried(route, told, question, style)
    return Examined(loaded, told)


def _of_benches(loaded: Loaded, names: Sequence[str]) -> bool:
    """Whether what was asked for takes a benchmark: a check looks at what only that gives."""
    from envdoctor import engine, judgement
    from envdoctor.facts.allreduce import AllreduceResult

    _, checks = judgement.chosen(loaded, names)
    return not names or any(need.fact is AllreduceResult for one in checks for need in engine.needs(one.judge))


def _say_what_was_not_tried(told: Sequence[Snapshot], language: Language) -> None:
    """That nothing will be exchanged: a host that is not reached is a finding, one without torch is none."""
    from envdoctor.bench import connectivity
    from envdoctor.model import Text

    able, reached = (sum(map(which, told)) for which in (connectivity.able, connectivity.reached))
    if able < 2 <= reached:
        said = Text(
            "no data was exchanged between the nodes: of {reached} reached, {able:one has|none have} torch",
            "节点之间未交换数据：已连通 {reached} 个节点，其中有 torch 的为 {able} 个",
        ).say(language, {"reached": reached, "able": able})
        print(f"envdoctor{'：' if language == 'zh' else ': '}{said}", file=sys.stderr)


def _tried(route: Route, told: list[Snapshot], question: Question, style: Style) -> list[Snapshot]:
    from envdoctor.bench import connectivity
    from envdoctor.cli.nodes_bar import NodesBar

    if not question.quiet:
        _say_what_was_not_tried(told, style.language)
    target = _target(question.python)
    with NodesBar(style.language, [], question.quiet) as bar:
        return connectivity.tried(told, lambda numbers: route.places(numbers, target, os.environ), bar.rung)
