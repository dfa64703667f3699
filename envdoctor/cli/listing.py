"""`envdoctor list`: the topics, and the codes each can report."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from envdoctor.cli import options
from envdoctor.cli.options import ChecksOption, Colour, ColourOption, Format, JsonOption, LangOption, OutputOption


def list_checks(
    topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="Only this topic.")] = None,
    checks: ChecksOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
) -> int:
    """List the topics and the problems each can find."""
    from envdoctor import judgement, load
    from envdoctor.render import explanation

    loaded = load.everything(checks or [])
    files = judgement.chosen(loaded, [topic] if topic else [])[0]
    style = options.style(Format.json if json else Format.text, lang, color, False, 0, output is not None)
    if json:
        options.write(json_module.dumps(explanation.listing(files, style.language), indent=1) + "\n", output)
    else:
        options.write(explanation.render_listing(files, style), output)
    return 0
