"""The command line: one module per verb. Only this package imports typer."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the console script. Ends the process with the exit code of the contract."""
    from envdoctor.errors import EnvdoctorError

    try:
        code = _run()
    except EnvdoctorError as error:
        print(f"envdoctor: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("envdoctor: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone; what it wanted it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        print(f"envdoctor: {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
        code = 3
    raise SystemExit(code)


def _run() -> int:
    from envdoctor.cli.app import run

    code = run(sys.argv[1:])
    sys.stdout.flush()
    return code
