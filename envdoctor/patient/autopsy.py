"""A failed `import torch` tried again with one thing changed at a time, to prove what it was."""

import os
import sys
import time

from . import children, fresh, python
from .broken_python import venv_of
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from .child import Child
    from .sections import Ask

LIMIT_S = 30.0  # for all trials together; an import of torch takes 1 to 10 s, they run side by side
LOADER = ("LD_LIBRARY_PATH", "LD_PRELOAD")
VARIABLES = LOADER + ("PYTHONPATH", "PYTHONHOME")
IMPORT = "-c 'import torch'"


class Trial(object):
    """One trial: what it changes, how a user would type it, and the interpreter's flags and environment for it."""

    def __init__(self, change: str, was: str, command: str, flags: "List[str]", without: "Tuple[str, ...]") -> None:
        self.change = change
        self.was = was
        self.command = command
        self.flags = flags
        self.without = without

    def told(self, child: "Child") -> "Dict[str, Any]":
        """What came of it."""
        fact = next((record["value"] for record in child.answers if "fact" in record), None)
        works = None if child.stopped and not fact else bool(fact and not fact.get("error"))
        error = ""
        if fact and fact.get("error"):
            error = (fact["error"] + ": " + fact["message"].partition("\n")[0]).strip(": ")
        elif not works:
            error = next((r["detail"] for r in child.answers if "missing" in r), "") or ": ".join(
                children.outcome(child)
            )
        return {"change": self.change, "was": self.was, "command": self.command, "works": works,
                "error": error.partition("\n")[0][:500]}  # fmt: skip


def trials() -> "List[Trial]":
    """The changes that can matter here: only what is set, or lies on the path, is left out."""
    name = os.path.basename(sys.executable)
    found = [
        Trial(variable, os.environ[variable], "env -u %s %s %s" % (variable, name, IMPORT), [], (variable,))
        for variable in VARIABLES
        if os.environ.get(variable)
    ]
    user = python.user_site(venv_of(sys.prefix))
    if user:
        found.append(Trial("user-site", user, "%s -s %s" % (name, IMPORT), ["-s"], ()))
    here = python.working_directory()
    if here and holds_modules(here):
        found.append(Trial("cwd", here, "cd / && %s %s" % (sys.executable, IMPORT), [], ()))
    unset = " ".join("-u " + variable for variable in LOADER if os.environ.get(variable))
    command = "%s -I %s" % (name, IMPORT)
    found.append(Trial("all", "", "env %s %s" % (unset, command) if unset else command, ["-I"], VARIABLES))
    return found


def holds_modules(folder: str) -> bool:
    """Whether anything in the folder can be imported."""
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                name = entry.name
                if name.endswith(python.suffixes()) or (entry.is_dir() and name.isidentifier()):
                    return True
                if count > 2000:
                    break
    except OSError:
        pass
    return False


def import_autopsy(ask: "Ask") -> "Dict[str, Any]":
    reason = failed(ask)
    if not reason:
        raise NotHere("the import of torch did not fail")
    limit_s = min(LIMIT_S, ask.until - time.monotonic() - 0.5)
    if limit_s < 1.0:
        raise NotHere("no time was left to try the import again")
    running = []
    by_child = {}
    for trial in trials():
        env = {name: value for name, value in os.environ.items() if name not in trial.without}
        request = {"only": ["torch-import"], "trial": trial.change}
        argv = [sys.executable] + trial.flags + ["-c", fresh.code("torch_import", request)]
        child = children.execute(argv, limit_s, env, fresh.given())
        child.patience_s = 10.0
        running.append(child)
        by_child[child.pid] = trial
    told = {}

    def ended(child: "Child") -> None:
        told[child.pid] = by_child[child.pid].told(child)

    for _ in children.follow(running, time.monotonic() + limit_s, ended):
        pass
    return {"trials": [told[pid] for pid in by_child if pid in told]}


def failed(ask: "Ask") -> str:
    """How the import of torch failed, "" if it did not, or in a way that no other condition will tell more of."""
    fact = ask.facts.get("torch-import")
    if fact is not None:
        return str(fact.get("error", ""))
    reason, detail = ask.missing.get("torch-import", ("", ""))
    return detail or reason if reason in ("crashed", "failed") else ""
