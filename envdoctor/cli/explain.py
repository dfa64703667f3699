"""`envdoctor explain CODE`: everything there is to say about a problem."""

from __future__ import annotations

from typing import Annotated

import typer

from envdoctor.cli import options
from envdoctor.cli.check import _names
from envdoctor.cli.options import ChecksOption, Colour, ColourOption, Format, JsonOption, LangOption, OutputOption


def explain(
    code: Annotated[
        str, typer.Argument(metavar="CODE", autocompletion=_names, help="A code from a report, such as driver-too-old.")
    ],
    checks: ChecksOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
) -> int:
    """Say what a problem is, what follows from it, how to see it by hand and how to mend it."""
    from envdoctor import load
    from envdoctor.errors import UsageError
    from envdoctor.judgement import nearest
    from envdoctor.render import explanation

    loaded = load.everything(checks or [])
    problem = loaded.problems.get(code)
    if problem is None:
        raise UsageError(f"{code!r} is no finding code{nearest(code, loaded)}; `envdoctor list` shows them all")
    form = Format.json if json else Format.text
    style = options.style(form, lang, color, False, 0, output is not None)
    options.write(explanation.render(problem, loaded.topic_of(code), form is Format.json, style), output)
    return 0
