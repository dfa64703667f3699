"""What new shells of the user's have in their environment: real ones, started as a terminal and sshd start them."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from . import environment, reading, shell_files
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from .sections import Ask

    Modes = Tuple[Tuple[str, List[str]], ...]

LIMIT_S = 10.0  # for each; a start-up file that sets up conda on a network file system was seen to take 4 s
# What login(1), sshd and a terminal give a shell. All else must come from start-up files.
GIVEN = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "XDG_CONFIG_HOME", "ZDOTDIR", "TZ")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
EVERY_MODE = (("interactive", ["-i"]), ("login", ["-l", "-i"]), ("command", []))  # type: Modes
MODES = {name: EVERY_MODE for name in ("bash", "zsh", "fish")}  # type: Dict[str, Modes]
MODES.update({name: (("login", ["-l"]),) for name in ("sh", "dash", "ash", "ksh", "mksh")})
# Its output goes into a file, because start-up files print.
TELL = (
    "import json, os; e = os.environ; f = open(e['ENVDOCTOR_OUT'], 'w');"
    "json.dump({k: v for k, v in e.items() if k not in ('ENVDOCTOR_OUT', 'ENVDOCTOR_PYTHON', 'ENVDOCTOR_TELL')}, f);"
    "f.close()"
)
# What bash says where it has no terminal, which is none of the user's faults.
NO_TERMINAL = re.compile(r"no job control in this shell|cannot set terminal process group")
# Words that bash, zsh, fish and sh read alike.
COMMAND = '"$ENVDOCTOR_PYTHON" -I -S -c "$ENVDOCTOR_TELL"'


# What `conda activate` does with an environment's own scripts.
ACTIVATE = 'for f in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do . "$f"; done; '
ACTIVATE_IN_FISH = "for f in $CONDA_PREFIX/etc/conda/activate.d/*.fish; source $f; end; "


def given_environment() -> "Dict[str, str]":
    """The environment of a shell before it has read any file."""
    found = {name: os.environ[name] for name in GIVEN if name in os.environ}
    if re.search(r"^[^#\n]*\bZDOTDIR=", reading.text(os.path.join(shell_files.home(), ".zshenv")) or "", re.M):
        found.pop("ZDOTDIR", None)
    found.update({"PATH": PATH, "TERM": "dumb", "HOME": shell_files.home()})
    return found


def activate_scripts() -> "List[str]":
    """Names of the scripts that envdoctor has put into the conda environment under examination."""
    folder = os.path.join(sys.prefix, "etc/conda/activate.d")
    return [name for name in reading.names(folder) if name.startswith("envdoctor-")]


def wanted_names() -> "List[str]":
    """Variables that envdoctor's block sets in some start-up file."""
    return [
        line["name"]
        for file in shell_files.start_up_files()
        for line in file["lines"]
        if line.get("ours") and line.get("name")
    ]


def answer(program: str, mode: str, options: "List[str]", names: "List[str]", folder: str) -> "Dict[str, Any]":
    """Start one shell and have it tell its environment."""
    out = os.path.join(folder, mode)
    env = given_environment()
    command = COMMAND
    if mode == "activated":
        env["CONDA_PREFIX"] = sys.prefix
        command = (ACTIVATE_IN_FISH if os.path.basename(program) == "fish" else ACTIVATE) + COMMAND
    env.update({"ENVDOCTOR_OUT": out, "ENVDOCTOR_PYTHON": sys.executable, "ENVDOCTOR_TELL": TELL})
    began = time.monotonic()
    if mode == "command":
        # A socket for input is how bash knows that a remote shell daemon has started it.
        env["SSH_CLIENT"] = "127.0.0.1 22 22"
        ours, theirs = socket.socketpair()
        try:
            said = reading.run([program] + options + ["-c", command], LIMIT_S, env, stdin=theirs.fileno())
        finally:
            ours.close()
            theirs.close()
    else:
        said = reading.run([program] + options + ["-c", command], LIMIT_S, env, stdin=subprocess.DEVNULL)
    told = {"mode": mode, "seconds": round(time.monotonic() - began, 3)}  # type: Dict[str, Any]
    try:
        with open(out, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        words = ([line for line in said.err.strip().splitlines() if not NO_TERMINAL.search(line)] or [""])[-1][:200]
        ended = "no answer in %g s" % LIMIT_S if said.failure == "timeout" else "it ended with status %s" % said.status
        told["error"] = ended + (": " + words if words else "")
        return told
    told["names"] = sorted(found)
    told["variables"] = {
        name: value[:65536]
        for name, value in sorted(found.items())
        if (name in names or name in environment.NAMES or name.startswith(environment.PREFIXES))
        and not environment.SECRET.search(name)
    }
    return told


def new_shells(ask: "Ask") -> "Dict[str, Any]":
    """One shell of each kind, all at once."""
    shell, path = shell_files.shell_named(), os.environ.get("SHELL", "")
    if shell not in MODES:
        shell, path = os.path.basename(shell_files.login_shell()), shell_files.login_shell()
    if shell not in MODES:
        raise NotHere("%s is no shell whose start-up files are known" % (shell or "nothing"))
    modes = MODES[shell]
    if activate_scripts():
        modes += (("activated", []),)
    program = path if path.startswith("/") and os.access(path, os.X_OK) else shell_files.on_path(shell)
    if not program:
        raise NotHere("there is no " + shell)
    names = wanted_names()
    folder = tempfile.mkdtemp(prefix="envdoctor-")
    found = {}  # type: Dict[str, Dict[str, Any]]
    try:
        threads = [
            threading.Thread(
                target=lambda mode=mode, options=options: found.update(
                    {mode: answer(program, mode, options, names, folder)}
                )
            )
            for mode, options in modes
        ]
        for thread in threads:
            thread.daemon = True
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S + 2)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shells = [found.get(mode) or {"mode": mode, "error": "no answer"} for mode, _ in modes]
    return {"shell": shell, "program": program, "shells": shells}
