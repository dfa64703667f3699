"""`envdoctor bench`: measurements. One command per verb; what a verb needs is imported when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli import bench_allreduce, bench_links, options
from envdoctor.cli.options import (
    Colour,
    ColourOption,
    Format,
    JsonOption,
    LangOption,
    OutputOption,
    PythonOption,
    QuietOption,
    TimeoutOption,
)

if TYPE_CHECKING:
    from envdoctor.bench.sites import Patient
    from envdoctor.transport.target import Target

app = typer.Typer(
    help="Measure all-reduce over GPUs and nodes, the links between nodes, or package mirrors.", no_args_is_help=True
)
app.command("allreduce")(bench_allreduce.allreduce)
app.command("links")(bench_links.links)
PIP_S = 10.0  # what the target's pip may take to say how it is set up; it is not part of the measurement


def _mirrors(incomplete: str) -> list[str]:
    """Names of mirrors that start like this, for the shell's completion."""
    from envdoctor.knowledge import mirrors

    return [name for name in (*mirrors.WITH_OPTION, mirrors.OFFICIAL) if name.startswith(incomplete)]


@app.command("mirrors")
def mirrors(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|URL]...",
            autocompletion=_mirrors,
            help="Only these: tuna ustc aliyun tencent huawei bfsu sjtug nju official ..., or index URLs.",
        ),
    ] = None,
    urls: Annotated[list[str] | None, typer.Option("--url", metavar="URL", help="Also this index.")] = None,
    python: PythonOption = "",
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
    quiet: QuietOption = False,
    timeout: TimeoutOption = 8.0,
) -> int:
    """Say which package mirror is the fastest here, asked as pip asks: all at once, a few MB from each.

    Exit code: 0 at least one is usable, 1 none is, 2 an unknown name.
    """
    form = Format.json if json else Format.text
    options.refuse(output)
    style = options.style(form, lang, color, quiet, 0, output is not None)
    redactor = options.redactor(None)
    from envdoctor.bench import sites
    from envdoctor.render.mirror_bar import Bar
    from envdoctor.transport.target import choose

    target = choose(python)
    sites.refuse(names or ())
    with Bar(style.language, wanted=not quiet) as bar:
        of = _ask_pip(target)
        asked = sites.sites(of, names or (), urls or ())
        from envdoctor.bench.mirrors import measure

        survey = measure(of, asked, timeout, bar.step)
    if json:
        from envdoctor.render import mirrors_json

        options.write(mirrors_json.document(survey, of, redactor, style.language), output)
    else:
        from envdoctor.render import mirrors as report

        options.write(report.render(survey, of, style, redactor), output)
    return 0 if survey.fastest is not None else 1


def _ask_pip(target: Target) -> Patient:
    """What the target's pip says of itself; this process imports what it will measure with meanwhile."""
    import importlib
    import threading

    from envdoctor import decode
    from envdoctor.bench import sites
    from envdoctor.transport import local

    module = "envdoctor.bench.mirrors"
    threading.Thread(target=importlib.import_module, args=(module,), daemon=True).start()
    answer, _ = local.examine_target(target, local.Request(limit_s=PIP_S, only=sites.SECTIONS))
    return sites.patient({name: decode.fact(name, value) for name, value in answer.values.items()})
