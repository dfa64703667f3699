"""The command line that starts one of our programs in a host's Python, whatever shell reads it there."""

from __future__ import annotations

import re

from envdoctor.errors import UsageError
from envdoctor.facts.reached import Reach
from envdoctor.transport.hosts import Host

# Read by /bin/sh: $1 is the Python meant, $2 the program, and what follows its arguments. A Python that is named by the
# environment or by its path is taken as it is: where it is broken, that is to be found. `python` may be Python 2.
# No single quote, backslash, exclamation mark or line break may stand here: a login shell, csh or fish too, reads it.
# What it looks at is said first: that may be on a file system that does not answer.
TRIES = "envdoctor tries "
CHOOSE = (
    f'c=$2; t() {{ echo "{TRIES}$1" >&2; }}; '
    'for p in "$1" ${VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python"} ${CONDA_PREFIX:+"$CONDA_PREFIX/bin/python"}; do '
    't "$p"; if test -x "$p" -a -f "$p"; then exec "$p" -I -c "$c"; fi; done; '
    't "PATH=$PATH"; for n in python python3; do p=$(command -v $n) || continue; t "$p"; '
    '"$p" -c "import sys; sys.exit(sys.version_info < (3, 6))" </dev/null >/dev/null 2>&1 && exec "$p" -I -c "$c"; '
    "done; "
    'echo "envdoctor: no Python: neither $1 nor python or python3 (3.6 or newer) on PATH=$PATH" >&2; exit 127'
)
# Takes the place of CHOOSE where $1, what that tried last, does not start: any other Python can look from outside.
# Those of the system come first: to look through PATH may be what hangs.
STAND_IN = (
    f'c=$2; t() {{ echo "{TRIES}$1" >&2; }}; '
    'r() { test "$1" = "$b" && return; t "$1"; test -x "$1" || return; '
    '"$1" -c "import sys; sys.exit(sys.version_info < (3, 6))" </dev/null >/dev/null 2>&1 && exec "$1" -I -c "$c"; }; '
    "b=$1; for p in /usr/bin/python3 /usr/local/bin/python3 /usr/libexec/platform-python; do r $p; done; "
    't "PATH=$PATH"; for n in python3 python; do p=$(command -v $n) && r "$p"; done; '
    'echo "envdoctor: no Python: neither $1 nor another starts" >&2; exit 127'
)
NO_PYTHON = 127  # the exit status of CHOOSE where there is none; a shell's own where a command is not found
MOST_SAID = 600  # letters of the last words that are kept
# csh reads "!" and line breaks even within quotes, fish reads "\" there.
UNQUOTABLE = re.compile(r"[!\\\n\r\0]")


def quoted(word: str) -> str:
    """A word as sh, bash, zsh, csh, tcsh and fish read it, each for itself.

    Raises:
        ValueError: it holds what those shells read in different ways.
    """
    if UNQUOTABLE.search(word):
        raise ValueError(word)
    return "'" + word.replace("'", "'\\''") + "'"


def start(python: str, program: str) -> str:
    """The line that runs `program` under -I in `python`, or where that is not, in the host's own.

    There the order is that of `envdoctor.transport.target`: the active venv, the active conda environment, `python` and
    `python3` on PATH.

    Raises:
        UsageError: the path of the Python cannot be handed to every shell.
    """
    try:
        path = quoted(python)
    except ValueError:
        raise UsageError(
            f"--python {python!r}: a path with an exclamation mark, a backslash or a line break cannot be named on "
            f"other hosts",
            f"--python {python!r}：路径含有感叹号、反斜杠或换行，无法在其他主机上指定",
        ) from None
    return f"exec /bin/sh -c {quoted(CHOOSE)} sh {path} {quoted(program)}"


def stand_in(broken: str, program: str) -> str | None:
    """The line that runs `program` in another Python than one that does not start, None where it cannot be written."""
    try:
        return f"exec /bin/sh -c {quoted(STAND_IN)} sh {quoted(broken)} {quoted(program)}"
    except ValueError:
        return None


def apart(said: str) -> tuple[str, str]:
    """What was said on standard error without our own words, and what of them came last: what was tried, "" if none."""
    lines = said.splitlines(keepends=True)
    tried = [line[len(TRIES) :].strip() for line in lines if line.startswith(TRIES)]
    return "".join(line for line in lines if not line.startswith(TRIES)), tried[-1] if tried else ""


def lacked_python(status: int | None, said: str) -> bool:
    """Whether CHOOSE has ended for want of a Python."""
    return status == NO_PYTHON and "envdoctor: no Python" in said


def reached(
    host: Host, way: str, outcome: str, words: str, noise: str, status: int | None, heard: bool, tried: str
) -> Reach:
    """What became of the line of `start` on a host.

    Args:
        words: the last ones of what led there; where they are empty and another program ran, its `noise` tells which.
        tried: what the line said last that it tries.
    """
    if outcome in ("invalid", "not-executed") and not words:
        words = noise.strip()[-MOST_SAID:]
    return Reach(
        host.name,
        way,
        outcome,
        "" if heard and status == 0 else words,
        status,
        host.user,
        host.port,
        "" if heard else tried,
    )
