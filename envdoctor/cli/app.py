"""The verbs together, and what happens to arguments that make no sense."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from envdoctor import __version__
from envdoctor.cli import bench, check, diff, explain, fix, listing, snapshot
from envdoctor.cli.ending import WrongUsage

# Plain help: rich's costs 60 ms and breaks lines in pipes. Exceptions are handled in envdoctor.cli.main.
app = typer.Typer(
    name="envdoctor",
    help="Says what is wrong with a PyTorch training environment, why, and the one command that mends it.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("check")(check.check)
app.command("explain")(explain.explain)
app.command("fix", context_settings=fix.CONTEXT, add_help_option=False)(fix.fix)
app.command("list")(listing.list_checks)
app.add_typer(bench.app, name="bench")
app.command("snapshot")(snapshot.snapshot)
app.command("diff")(diff.diff)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"envdoctor {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run a command line, return its exit code. Raises WrongUsage for arguments that typer refuses."""
    try:
        code = app(arguments, prog_name="envdoctor", standalone_mode=False)
    except Exception as error:
        # typer's usage errors: their class has moved between releases, their interface has not.
        show = getattr(error, "show", None)
        if show is None or not hasattr(error, "exit_code"):
            raise
        show(file=sys.stderr)
        raise WrongUsage(error.format_message() if hasattr(error, "format_message") else str(error)) from error
    if code == 130:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
