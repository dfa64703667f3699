"""The command line: one module per verb. Only this package imports typer."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Entry point of the console script. Ends the process with the exit code of the contract."""
    # A process may be started with its streams closed; what would be written there is not wanted.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    try:
        code = _run()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone; what it wanted it has.
        code = 0
    except (Exception, KeyboardInterrupt) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is ended: what is left to say is said
        from envdoctor.cli import ending

        code = ending.exit_code(error, sys.argv[1:])
    _let_go()
    raise SystemExit(code)


def _run() -> int:
    from envdoctor.cli.app import run

    code = run(sys.argv[1:])
    sys.stdout.flush()
    return code


def _let_go() -> None:
    """Have the interpreter's own last flush not fail on a stream that has failed already."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
