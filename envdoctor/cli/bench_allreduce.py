"""`envdoctor bench allreduce`: how fast the nodes sum together, how fast they should, and where it stops if it does."""

from __future__ import annotations

import enum
import sys
import time
from pathlib import Path
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


class Backend(str, enum.Enum):
    auto = "auto"
    nccl = "nccl"
    gloo = "gloo"


class Dtype(str, enum.Enum):
    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"
    float16 = "float16"
    int32 = "int32"
    int64 = "int64"


def allreduce(
    nnodes: NodesOption = None,
    node_rank: NodeRankOption = None,
    master_addr: MasterAddrOption = "",
    master_port: MasterPortOption = None,
    nproc_per_node: Annotated[
        int | None,
        typer.Option("--nproc-per-node", metavar="K", help="Processes here; by default one per GPU."),
    ] = None,
    hosts: HostsOption = None,
    slurm: SlurmOption = False,
    backend: Annotated[Backend, typer.Option("--backend", help="auto is NCCL where every rank has a GPU.")] = (
        Backend.auto
    ),
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="FROM:TO", help="Bytes per rank, in steps of 4; K, M, G are 1024s.")
    ] = "8:64M",
    dtype: Annotated[Dtype, typer.Option("--dtype", help="What is summed.")] = Dtype.float32,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Compare with the result that -o FILE wrote.")
    ] = None,
    asserted: Annotated[
        list[str] | None,
        typer.Option("--assert", metavar="EXPR", help="Exit 1 unless it holds: min-busbw=70%, max-latency=80 ..."),
    ] = None,
    budget: Annotated[
        float,
        typer.Option("--budget", metavar="SECONDS", min=1.0, max=3600.0, help="To look for who is slow, if it is."),
    ] = 60.0,
    no_blame: Annotated[bool, typer.Option("--no-blame", help="Do not look for the node that is slow.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also if a GPU is in use or nodes do not fit together.")
    ] = False,
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
    """Climb from the resolver to a full all-reduce, name the rung that fails, else say how fast it is and should be.

    Alone it measures this machine. --hosts starts it on several over ssh, --slurm on the nodes of an allocation, with
    nothing installed there but Python and torch. Else start it on each (--nnodes, --node-rank, --master-addr), or with
    torchrun --no-python, srun or mpirun.
    --timeout is how long the nodes wait for each other.

    Exit code: 0 no problem, 1 problems found, 2 wrong usage, 3 the doctor could not do its job.
    """
    began = time.monotonic()
    form = Format.json if json else Format.text
    options.refuse(output)
    style = options.style(form, lang, color, quiet, verbose, form is Format.json and output is not None)
    redactor = options.redactor(redact_key)
    import os

    from envdoctor import load
    from envdoctor.bench import baseline as baseline_file
    from envdoctor.bench import busy, demands, launching, refusal, running
    from envdoctor.bench.places import Here
    from envdoctor.bench.sizes import sizes as sizes_of
    from envdoctor.cli.bench_table import Table
    from envdoctor.transport.target import choose

    asked = demands.parse(asserted or ())
    before = baseline_file.read(baseline) if baseline is not None else None
    given = launching.Given(nnodes, node_rank, master_addr, master_port, nproc_per_node)
    gpus = launching.visible_gpus(os.environ)
    wanted = running.Wanted(
        backend=backend.value, dtype=dtype.value, sizes=sizes_of(sizes), join_s=timeout, baseline=before,
        budget_s=budget, blame=not no_blame,
    )  # fmt: skip
    target = choose(python)
    places: Places
    if (elsewhere := afar(hosts, slurm, given, target, os.environ)) is not None:
        places = elsewhere
    else:
        places = Here(launching.part(given, os.environ, gpus), target)
        if gpus and not force and backend is not Backend.gloo:
            busy.refuse(target)
    end_with_launcher(places.part)
    hint_at_nodes(places.part, os.environ, style)
    with Table(places.part, style, redactor, live=form is Format.text, quiet=quiet) as table:
        refuse = refusal.never if force or elsewhere is None else refusal.of(load.everything(), backend.value)
        ran = running.run(places, wanted, table.take, refuse=refuse)
    if told_elsewhere(ran.result):
        return 0
    report = report_on(ran, redactor, began)
    held = demands.judge(asked, ran.result) if ran.result.own == 0 else ()
    if form is Format.json:
        from envdoctor.render import bench_json

        options.write(bench_json.render(ran.result, report, ran.snapshots, style, redactor, held), output)
    else:
        from envdoctor.render import bench

        options.write(bench.ending(ran.result, report, style, redactor, table.printed), None)
        if output is not None:
            from envdoctor.render import bench_json

            options.write(bench_json.render(ran.result, report, ran.snapshots, style, redactor, held), output)
        for one in held:
            if not one.held:
                sys.stderr.write(f"envdoctor: {demands.failed(one)}\n")
    if asked and ran.result.own != 0 and not quiet:
        first = redactor.text(ran.result.named(0))
        sys.stderr.write(f"envdoctor: --assert is judged by {first}, which knows how fast it was\n")
    if ran.refused and not quiet:
        sys.stderr.write(f"envdoctor: not measured for {', '.join(ran.refused)}; --force measures all the same\n")
    code = exit_code(ran.result, report)
    return code or (1 if any(not one.held for one in held) else 0)
