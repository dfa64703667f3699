"""How much memory a process may still take here: what the machine has, and what its control group leaves.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

PROC, CGROUP = "/proc", "/sys/fs/cgroup"
MOST = 1 << 60  # bytes; stands for no limit
# Limit, use, statistics and the name of what the kernel gives back there, of the control groups version 2 and 1. A
# container sees its own group at the root.
GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def free() -> int:
    """Bytes that may be had without swapping; MOST where nothing tells."""
    kilobytes = table("%s/meminfo" % PROC).get("MemAvailable:")
    known = [MOST if kilobytes is None else kilobytes * 1024]
    known += [left for left in map(left_by, range(len(GROUPS))) if left is not None]
    return max(0, min(known))


def left_by(version: int) -> "Optional[int]":
    """What a control group leaves, None where there is none or it sets no limit. Cached files count as free."""
    limit_file, use_file, statistics, cached = GROUPS[version]
    limit, use = number("%s/%s" % (CGROUP, limit_file)), number("%s/%s" % (CGROUP, use_file))
    if limit is None or use is None or limit >= MOST:
        return None
    return limit - use + table("%s/%s" % (CGROUP, statistics)).get(cached, 0)


def number(path: str) -> "Optional[int]":
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None  # "max" as well


def table(path: str) -> "Dict[str, int]":
    """Names and numbers, a pair on each line."""
    found = {}
    try:
        with open(path) as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and words[1].isdigit():
                    found[words[0]] = int(words[1])
    except OSError:
        pass
    return found
