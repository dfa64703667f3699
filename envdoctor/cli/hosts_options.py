"""`--hosts` and `--slurm`: which machines take part, and how this one reaches them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.errors import UsageError

if TYPE_CHECKING:
    from envdoctor.bench.afar import Afar
    from envdoctor.bench.launching import Given, Part
    from envdoctor.render import Style
    from envdoctor.transport.target import Target
    from envdoctor.transport.visits import Way

HostsOption = Annotated[
    str | None,
    typer.Option("--hosts", metavar="SPEC", help="Start it on these over ssh: a,b,c or node[01-16] or @FILE."),
]
SlurmOption = Annotated[bool, typer.Option("--slurm", help="Start it on every node of this Slurm allocation.")]


def afar(spec: str | None, slurm: bool, given: Given, target: Target, environ: Mapping[str, str]) -> Afar | None:
    """The hosts that --hosts names or --slurm finds, as the places of a run; None where neither is given.

    Raises:
        UsageError: no list of hosts, no allocation, or an option that says the same in another way.
    """
    if spec is None and not slurm:
        return None
    if spec is not None and slurm:
        raise UsageError(
            "--hosts and --slurm both say where to start; leave one of the two out",
            "--hosts 与 --slurm 都指定了在哪里启动，请去掉其一",
        )
    from envdoctor.bench.afar import Afar, Wish
    from envdoctor.bench.launching import ranks_of
    from envdoctor.transport import srun, ssh
    from envdoctor.transport.hosts import hosts

    way: Way = srun if slurm else ssh
    for option, value in (
        ("--nnodes", given.nnodes),
        ("--node-rank", given.node_rank),
        ("--master-addr", given.master_addr or None),
    ):
        if value is not None:
            raise UsageError(
                f"{way.OPTION} starts every node and finds rank 0 by itself; leave {option} out",
                f"{way.OPTION} 会自行启动所有节点并确定 rank 0，请去掉 {option}",
            )
    port = 0 if given.master_port is None else given.master_port
    if not 0 <= port <= 65535:
        raise UsageError(
            f"--master-port {port}: a port is a whole number from 1 to 65535",
            f"--master-port {port}：端口应为 1 到 65535 的整数",
        )
    found = hosts(spec) if spec is not None else srun.nodes(environ)
    return Afar(found, Wish(ranks_of(given), port), target, environ, way)


def hint_at_nodes(part: Part, environ: Mapping[str, str], style: Style) -> None:
    """Say that there are other nodes, where a shell of an allocation measures its own machine alone."""
    from envdoctor.facts.environment import Environment
    from envdoctor.facts.launch import launches, node_count
    from envdoctor.model import Text

    if part.members > 1 or part.launcher or style.verbosity < 0:
        return
    nodes = node_count(tuple(one for one in launches(Environment(dict(environ))) if one.launcher == "slurm-job"))
    if nodes is not None and nodes > 1:
        said = Text(
            "envdoctor: this measures one machine; --slurm measures the {nodes} nodes of the allocation together",
            "envdoctor：这里只测量本机；--slurm 会一起测量分配到的 {nodes} 个节点",
        )
        sys.stderr.write(said.say(style.language, {"nodes": nodes}) + "\n")
