"""Breaks every system call of an apply and of an undo in turn: `python -m tests.bench.faults [--every N]`.

Each call that touches a target, a temporary file or the journal is killed (SIGKILL), and made to fail with EIO and with
ENOSPC, in a run of its own under strace. After each, every file is whole, old or new; what the program said is true;
and an undo without faults gives back every byte, mode, link and folder and leaves nothing beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from envdoctor import plan as plans
from envdoctor.errors import EnvdoctorError
from envdoctor.journal import Journal
from envdoctor.model import Text
from envdoctor.remedy import EditFile, Fix, Plan, RunCommand, said
from tests import ROOT

KINDS = ("signal=KILL", "error=EIO", "error=ENOSPC")
PHASE = "getppid"  # a call that nothing else makes: it marks where the work begins and ends
CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)")
# What a run may say that leaves everything as it was.
AS_IT_WAS = re.compile(r"everything is as it was|nothing was (changed|done|undone)|so the fix was not")


@dataclass(frozen=True)
class Point:
    """The `number`th call of `syscall` in the working process."""

    syscall: str
    number: int
    line: str


@dataclass
class Tally:
    """What came of all runs."""

    runs: int = 0
    lived: int = 0
    faults: list[str] = field(default_factory=list)


def make(home: Path) -> None:
    """The files of a user, as they are before."""
    (home / "dotfiles").mkdir(parents=True)
    (home / "existing").write_bytes(b"# mine\n[global]\ntimeout = 60\n")
    (home / "windows").write_bytes("路径 = 值\r\n\r\nlast line without an end".encode("gb18030"))
    (home / "windows").chmod(0o600)
    (home / "dotfiles" / "rc").write_bytes(b"alias ll='ls -l'\n")
    (home / "linked").symlink_to("dotfiles/rc")
    (home / "removed").write_bytes(b"old settings\n")
    (home / "removed").chmod(0o640)
    for name in ("existing", "windows", "dotfiles/rc", "removed"):
        os.utime(home / name, ns=(10**18, 10**18 + 7))


def plan_for(home: Path) -> Plan:
    """Edits of an existing file, one with CRLF, one behind a link, one in new folders, a removal; and a command."""

    def edit(name: str, after: bytes | None) -> EditFile:
        place = home / name
        return EditFile(str(place), place.read_bytes() if place.exists() else None, after)

    edits = (
        edit("existing", b"# mine\n[global]\ntimeout = 60\nindex-url = https://mirror\n"),
        edit("windows", b"new\r\nlast line without an end"),
        edit("linked", b"alias ll='ls -l'\n# >>> envdoctor >>>\nexport A=1\n# <<< envdoctor <<<\n"),
        edit("new/folders/made", b"made\n"),
        edit("removed", None),
    )
    flag = str(home / "flag")
    command = RunCommand(("touch", flag), said("a flag", "标志"), undo=("rm", "-f", flag))
    return Plan(said("a change", "修改"), edits, (command,))


FIX = Fix("try", Text("a try", "尝试"), lambda: Plan(said("x", "x")))


def work(home: Path, what: str) -> None:
    """Apply or undo in a process of its own, whose counts of system calls begin at nothing."""
    journal = Journal(home / "state" / "fixes")
    plan = plan_for(home)
    entry = journal.last() if what == "undo" else None
    # What is imported on the way is no part of what is tried.
    from envdoctor import examination

    examination.now()
    if child := os.fork():
        status = os.waitpid(child, 0)[1]
        os._exit(99 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
    told = "done"
    os.getppid()
    try:
        if entry is None:
            applied = plans.apply(plan, FIX, journal)
            told = "done" if applied.failed is None else "taken back"
        else:
            plans.undo(entry, journal)
    except EnvdoctorError as error:
        told = f"{type(error).__name__}: {error}"
    os.getppid()
    os.write(1, told.encode())
    os._exit(0)


def tree(home: Path) -> dict[str, tuple[object, ...]]:
    """Every file, link and folder of a home, but for the journal: name -> kind, mode, bytes or target, time."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, names, files in os.walk(home):
        if "state" in names:
            names.remove("state")
        for name in [*names, *files]:
            place = Path(folder) / name
            state = place.lstat()
            if place.is_symlink():
                found[str(place.relative_to(home))] = ("link", str(place.readlink()))
            elif stat.S_ISREG(state.st_mode):
                told = ("file", stat.S_IMODE(state.st_mode), place.read_bytes(), state.st_mtime_ns)
                found[str(place.relative_to(home))] = told
            else:
                found[str(place.relative_to(home))] = ("folder", stat.S_IMODE(state.st_mode))
    return found


def run(home: Path, what: str, tracing: list[str]) -> tuple[int, str]:
    """Run `work` under strace; its exit status and what it said."""
    command = ["strace", "-f", "-qq", *tracing, sys.executable, "-m", "tests.bench.faults", "--work", what, str(home)]
    # No byte-code file is written on the way: the calls are the same in every run.
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout if done.returncode in (0, 99, -9) else done.stdout + done.stderr


def prepared(home: Path, what: str) -> tuple[dict[str, tuple[object, ...]], dict[str, tuple[object, ...]]]:
    """Make a home ready for a run; the tree as it is to be in the end, and as a clean run leaves it."""
    shutil.rmtree(home, ignore_errors=True)
    make(home)
    old = tree(home)
    plans.apply(plan_for(home), FIX, Journal(home / "state" / "fixes"))
    new = tree(home)
    if what == "apply":
        shutil.rmtree(home)
        make(home)
        assert tree(home) == old
    return old, new


def points(home: Path, what: str) -> list[Point]:
    """The calls of an undisturbed run that touch the home, in order."""
    prepared(home, what)
    log = home.parent / f"{home.name}.strace"
    status, told = run(home, what, ["-y", "-s", "4096", "-e", f"trace=%file,%desc,{PHASE}", "-o", str(log)])
    assert (status, told) == (0, "done"), told
    counts: dict[tuple[str, str], int] = {}
    found: list[Point] = []
    worker = ""
    for line in log.read_text(errors="replace").splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        pid, name = match["pid"], match["name"]
        if name == PHASE:
            if worker:
                return found
            worker = pid
            continue
        counts[pid, name] = counts.get((pid, name), 0) + 1
        if pid == worker and str(home) in match["rest"]:
            found.append(Point(name, counts[pid, name], line[:160]))
    raise AssertionError("the run had no end")


def check(home: Path, what: str, point: Point, kind: str) -> str:
    """Break one call of one run; what is wrong afterwards, "" if nothing is."""
    old, new = prepared(home, what)
    trace = ["-o", "/dev/null", "-e", f"trace={point.syscall}"]
    inject = f"inject={point.syscall}:{kind}:when={point.number}"
    status, told = run(home, what, [*trace, "-e", inject])
    killed = status in (99, -9)  # the worker, or strace which ends as it did
    if killed != (kind == "signal=KILL") and told != "taken back":
        return f"it ended with status {status}: {told[-500:]}"
    now = tree(home)
    wrong = [name for name in {*old, *new} if not _whole(now, old, new, name)]
    if wrong:
        return f"neither old nor new: {wrong} ({told})"
    if status == 0:
        if told == "done" and _bytes(now) != _bytes(new if what == "apply" else old):
            return "it said that it was done"
        if AS_IT_WAS.search(told) and _bytes(now) != _bytes(old if what == "apply" else new):
            return f"it said {told!r}"
        if told != "done" and ":" in told and str(home) not in told and "undo" not in told:
            return f"it named neither a file nor a way out: {told!r}"
    return _recovered(home, old, times=killed)


def _whole(now: dict[str, tuple[object, ...]], old: dict[str, tuple[object, ...]], new: dict[str, tuple[object, ...]],
           name: str) -> bool:  # fmt: skip
    if now.get(name, (0,))[0] != "file":
        return now.get(name) in (old.get(name), new.get(name))
    return now[name][2] in [other[name][2] for other in (old, new) if name in other]


def _bytes(told: dict[str, tuple[object, ...]]) -> dict[str, object]:
    return {name: value[2] for name, value in told.items() if value[0] == "file" and ".envdoctor-" not in name}


def _recovered(home: Path, old: dict[str, tuple[object, ...]], times: bool) -> str:
    """Undo what is left to undo. A system that refuses to set a time does not keep a file from coming back."""
    journal = Journal(home / "state" / "fixes")
    for entry in [entry for entry in journal.entries() if entry.undoable]:
        plans.undo(entry, journal)
    if journal.unreadable():
        return f"unreadable: {journal.unreadable()}"
    with journal.locked():
        left = [name for name in os.listdir(journal.folder) if name.startswith(".")]
    if left:
        return f"left in the journal: {left}"
    now = tree(home)
    if not times:
        now, old = ({name: value[:3] for name, value in told.items()} for told in (now, old))
    if now != old:
        names = sorted(name for name in {*now, *old} if now.get(name) != old.get(name))
        return f"not as before after an undo: {[(name, old.get(name), now.get(name)) for name in names]}"
    return ""


def all_runs(what: str, every: int = 1, kinds: tuple[str, ...] = KINDS, workers: int = 2) -> Tally:
    """Break every `every`th call, each in every way."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        # One name length for all: the calls are the same whatever the worker.
        known = points(Path(scratch) / "home0", what)[::every]
        chosen = [(number, point, kind) for number, point in enumerate(known) for kind in kinds]

        def one(worker: int) -> Iterator[str]:
            for number, point, kind in chosen[worker::workers]:
                wrong = check(Path(scratch) / f"home{worker}", what, point, kind)
                if wrong:
                    yield f"{what} {number} {point.syscall} #{point.number} {kind}: {wrong}\n    {point.line}"

        with ThreadPoolExecutor(workers) as pool:
            for told in pool.map(lambda worker: list(one(worker)), range(workers)):
                tally.faults += told
        tally.runs = len(chosen)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--every", type=int, default=1, help="break only every Nth call")
    parser.add_argument("--apply", action="store_true", help="only those of an apply")
    parser.add_argument("--undo", action="store_true", help="only those of an undo")
    parser.add_argument("--work", nargs=2, metavar=("WHAT", "HOME"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(Path(given.work[1]), given.work[0])
    failed = False
    for what in ("apply", "undo"):
        if (given.apply or given.undo) and not getattr(given, what):
            continue
        tally = all_runs(what, given.every)
        print(
            "\n".join(tally.faults) or f"{what}: {tally.runs} runs, each with one call broken: no file lost or damaged"
        )
        failed = failed or bool(tally.faults)
        print(json.dumps({"what": what, "runs": tally.runs, "faults": len(tally.faults)}))
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
