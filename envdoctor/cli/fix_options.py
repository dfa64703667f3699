"""A fix's own options on the command line, made from the keyword-only parameters of its maker."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envdoctor.cli.ending import WrongUsage

if TYPE_CHECKING:
    from envdoctor.model import Language
    from envdoctor.remedy import Fix

COMMON = "--diff --yes --offline --python PATH|ENV --json --lang en|zh; `envdoctor fix --help` says more"


def parse(fix: Fix, arguments: Sequence[str], language: Language = "en") -> dict[str, Any]:
    """The options of a fix as its maker takes them.

    Raises:
        WrongUsage: the arguments make no sense; what is wrong is on standard error.
    """
    given: dict[str, Any] = {}
    _run(_command(fix, given, language), arguments, fix)
    return given


def show_help(fix: Fix, language: Language) -> None:
    """Print what a fix does and its options."""
    _run(_command(fix, {}, language), ["--help"], fix)


def _command(fix: Fix, given: dict[str, Any], language: Language) -> typer.Typer:
    from envdoctor import mending

    def take(**options: Any) -> None:
        given.update({name: tuple(value) if isinstance(value, list) else value for name, value in options.items()})

    wanted = []
    for name, parameter in mending.parameters(fix).items():
        told = fix.options.get(name)
        help_text = told.help.say(language) if told else None
        default, kind = parameter.default, parameter.annotation
        if kind == tuple[str, ...]:
            default, kind = list(default), list[str]
        if told and told.argument:
            noted: Any = typer.Argument(metavar=told.metavar or None, help=help_text)
        else:
            flag = f"--{name.replace('_', '-')}"
            noted = typer.Option(
                flag, metavar=(told.metavar or None) if told else None, help=help_text, show_default=False
            )
        wanted.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, noted])
        )
    # typer reads the options of a function from its signature and its annotations.
    take.__signature__ = inspect.Signature(wanted)  # type: ignore[attr-defined]
    take.__annotations__ = {one.name: one.annotation for one in wanted}
    app = typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )  # fmt: skip
    app.command(help=fix.about.say(language), epilog=f"Besides: {COMMON}.")(take)
    return app


def _run(app: typer.Typer, arguments: Sequence[str], fix: Fix) -> None:
    try:
        app(list(arguments), prog_name=f"envdoctor fix {fix.name}", standalone_mode=False)
    except Exception as error:
        # As in envdoctor.cli.app: the class of typer's usage errors has moved, their interface has not.
        show = getattr(error, "show", None)
        if show is None or not hasattr(error, "exit_code"):
            raise
        show(file=sys.stderr)
        raise WrongUsage(error.format_message() if hasattr(error, "format_message") else str(error)) from error
