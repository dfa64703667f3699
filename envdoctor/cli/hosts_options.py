"""`--hosts`: which machines take part, and how this one reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.errors import UsageError

if TYPE_CHECKING:
    from envdoctor.bench.launching import Given
    from envdoctor.bench.over_ssh import OverSsh
    from envdoctor.transport.target import Target

HostsOption = Annotated[
    str | None,
    typer.Option("--hosts", metavar="SPEC", help="Start it on these over ssh: a,b,c or node[01-16] or @FILE."),
]


def over_ssh(spec: str, given: Given, target: Target, environ: Mapping[str, str]) -> OverSsh:
    """The hosts that --hosts names, as the places of a run.

    Raises:
        UsageError: no host list, or an option that says the same in another way.
    """
    from envdoctor.bench.launching import ranks_of
    from envdoctor.bench.over_ssh import OverSsh, Wish
    from envdoctor.transport.hosts import hosts

    for option, value in (
        ("--nnodes", given.nnodes),
        ("--node-rank", given.node_rank),
        ("--master-addr", given.master_addr or None),
    ):
        if value is not None:
            raise UsageError(f"--hosts starts every node and finds rank 0 by itself; leave {option} out")
    port = 0 if given.master_port is None else given.master_port
    if not 0 <= port <= 65535:
        raise UsageError(f"--master-port {port}: a port is a whole number from 1 to 65535")
    return OverSsh(hosts(spec), Wish(ranks_of(given), port), target, environ)
