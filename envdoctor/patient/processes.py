"""The process table, as /proc has it: who descends from whom, who moves, who sleeps where."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Set, Tuple

    Process = Tuple[int, int, int, int]


def table() -> "Dict[int, Process]":
    """Every process: its parent, group, session and CPU ticks. Empty where /proc does not tell."""
    found: "Dict[int, Process]" = {}
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return found
    for pid in pids:
        try:
            with open("/proc/" + pid + "/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            found[int(pid)] = (int(fields[1]), int(fields[2]), int(fields[3]), int(fields[11]) + int(fields[12]))
        except (OSError, IndexError, ValueError):
            continue
    return found


def family(pid: int, table: "Dict[int, Process]") -> "Set[int]":
    """The descendants of a process and the members of its session, without itself."""
    by_parent: "Dict[int, List[int]]" = {}
    for other, (parent, _, _, _) in table.items():
        by_parent.setdefault(parent, []).append(other)
    found = {other for other, (_, _, session, _) in table.items() if session == pid}
    waiting = [pid] + list(found)
    while waiting:
        for other in by_parent.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    found.discard(pid)
    return found


def counters(pids: "Set[int]", table: "Dict[int, Process]") -> "Tuple[int, ...]":
    """CPU ticks and bytes moved by these processes, and how many they are; () where /proc does not tell."""
    if not table:
        return ()
    here = [pid for pid in pids if pid in table]
    moved = 0
    for pid in here:
        try:
            with open("/proc/%d/io" % pid, "rb") as io:
                moved += sum(int(line.split()[1]) for line in io.read().splitlines()[:4])
        except (OSError, IndexError, ValueError):
            continue
    return (sum(table[pid][3] for pid in here), moved, len(here))


def wait_channel(pid: int) -> str:
    """Where in the kernel a process sleeps; "" if it runs or the kernel does not tell."""
    try:
        with open("/proc/%d/wchan" % pid) as wchan:
            return wchan.read(200).strip().strip("0")
    except OSError:
        return ""
