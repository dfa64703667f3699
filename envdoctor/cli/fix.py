"""`envdoctor fix`: mend what is wrong, prove it, take it back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from envdoctor.cli import options
from envdoctor.cli.options import (
    ChecksOption,
    Colour,
    ColourOption,
    Format,
    JsonOption,
    LangOption,
    OfflineOption,
    OutputOption,
    PythonOption,
    QuietOption,
    TimeoutOption,
    VerboseOption,
)


def _names(incomplete: str) -> list[str]:
    """Fixes and codes that start like this, for the shell's completion."""
    from envdoctor import load

    loaded = load.everything()
    return [name for name in [*loaded.fixes, *loaded.problems] if name.startswith(incomplete)]


def fix(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|CODE]", autocompletion=_names, help="A fix, or a code from a report."),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="All fixes and what they mend.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Only show; exit code 1 if something would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take a fix back: the last one, the last of NAME, or the one with an id.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="What was applied and taken back.")] = False,
    python: PythonOption = "",
    offline: OfflineOption = False,
    checks: ChecksOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    timeout: TimeoutOption = 60.0,
    wants_help: Annotated[
        bool, typer.Option("--help", "-h", help="Show this message, or a fix's own options.")
    ] = False,
) -> int:
    """Mend what is wrong: show the change, ask, apply it, look again; --undo takes it back to the byte.

    Without a name: what the last check found that can be mended. `envdoctor fix NAME --help` shows a fix's options.
    """
    from envdoctor.cli import fix_session
    from envdoctor.errors import UsageError

    form = Format.json if json else Format.text
    language = options.language(lang, form)
    extra = list(context.args)
    if wants_help and (name is None or name.startswith("-")):
        print(context.get_help())
        return 0
    if name is not None and name.startswith("-"):
        raise UsageError(
            f"{name} stands before the name of a fix; write `envdoctor fix NAME {name} ...`",
            f"{name} 写在了修复名之前；应写作 `envdoctor fix NAME {name} ...`",
        )
    options.refuse(output)
    style = options.style(form, lang, color, quiet, verbose, output is not None)
    session = fix_session.Session(
        name=name or "", extra=tuple(extra), diff=diff, yes=yes, python=python, offline=offline, timeout=timeout,
        checks=tuple(checks or ()), json=json, output=output, style=style, redactor=options.redactor(None), quiet=quiet,
    )  # fmt: skip
    if wants_help:
        return session.help(language)
    lists = [flag for flag, given in (("--list", show_list), ("--undo", undo), ("--history", history)) if given]
    if len(lists) > 1:
        raise UsageError(
            f"{' and '.join(lists)} exclude each other; see `envdoctor fix --help`",
            f"{' 与 '.join(lists)} 不能同时使用；参见 `envdoctor fix --help`",
        )
    if lists or name is None:
        if extra:
            raise UsageError(
                f"{extra[0]!r} is one argument too many here; see `envdoctor fix --help`",
                f"多余的参数 {extra[0]!r}；参见 `envdoctor fix --help`",
            )
        if history:
            return session.history()
        if undo:
            return session.undo()
        return session.list() if show_list else session.found_last()
    return session.mend()


# What belongs to a fix is not known before the check files are loaded: it is parsed once the fix is.
CONTEXT: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}
