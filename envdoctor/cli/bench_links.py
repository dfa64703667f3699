"""`envdoctor bench links`: which machine or which path between two of them holds back the others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli import options
from envdoctor.cli.bench_nodes import (
    MasterAddrOption,
    MasterPortOption,
    NodeRankOption,
    NodesOption,
    end_with_launcher,
    exit_code,
    report_on,
    told_elsewhere,
)
from envdoctor.cli.hosts_options import HostsOption, SlurmOption, afar, hint_at_nodes
from envdoctor.cli.options import (
    Colour,
    ColourOption,
    Format,
    JsonOption,
    KeyOption,
    LangOption,
    OutputOption,
    PythonOption,
    QuietOption,
    TimeoutOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from envdoctor.bench.places import Places


def links(
    nnodes: NodesOption = None,
    node_rank: NodeRankOption = None,
    master_addr: MasterAddrOption = "",
    master_port: MasterPortOption = None,
    hosts: HostsOption = None,
    slurm: SlurmOption = False,
    budget: Annotated[
        float, typer.Option("--budget", metavar="SECONDS", min=1.0, max=3600.0, help="Measure no longer than this.")
    ] = 60.0,
    python: PythonOption = "",
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    timeout: TimeoutOption = 60.0,
    redact_key: KeyOption = None,
) -> int:
    """Measure TCP between every pair of nodes, and say which node or which path is slower than the others.

    --hosts starts it on several over ssh, --slurm on the nodes of an allocation, with nothing installed there but
    Python; else start it on each node (--nnodes, --node-rank, --master-addr). It needs no torch. Of more than 32 nodes
    each is measured with 31 others. --timeout is how long the nodes wait for each other.

    Exit code: 0 no problem, 1 problems found, 2 wrong usage, 3 the doctor could not do its job.
    """
    began = time.monotonic()
    form = Format.json if json else Format.text
    options.refuse(output)
    style = options.style(form, lang, color, quiet, verbose, form is Format.json and output is not None)
    redactor = options.redactor(redact_key)
    import os

    from envdoctor.bench import launching, running
    from envdoctor.bench.places import Here
    from envdoctor.cli.bench_table import Table
    from envdoctor.render import bench_json, bench_links
    from envdoctor.transport.target import choose

    given = launching.Given(nnodes, node_rank, master_addr, master_port, 1)
    target = choose(python)
    places: Places
    if (elsewhere := afar(hosts, slurm, given, target, os.environ)) is not None:
        places = elsewhere
    else:
        places = Here(launching.part(given, os.environ, 0), target)
    wanted = running.Wanted(op="links", backend="tcp", join_s=timeout, budget_s=budget)
    end_with_launcher(places.part)
    hint_at_nodes(places.part, os.environ, style)
    with Table(places.part, style, redactor, live=False, quiet=quiet, verb="links") as table:
        ran = running.run(places, wanted, table.take)
    if told_elsewhere(ran.result):
        return 0
    report = report_on(ran, redactor, began)
    document = bench_json.render(ran.result, report, ran.snapshots, style, redactor)
    if form is Format.json:
        options.write(document, output)
    else:
        options.write(bench_links.ending(ran.result, report, style, redactor), None)
        if output is not None:
            options.write(document, output)
    return exit_code(ran.result, report)
