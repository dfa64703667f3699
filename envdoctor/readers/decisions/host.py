"""Processes that ended: what killed them, by what the text tells of the machine."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context
from envdoctor.readers.decisions.container import container


def worker_ended(seen: Sighting, context: Context) -> Sighting:
    """`Killed` is the kernel's word for want of memory; of a worker that is gone nothing is certain, and in a container
    whose /dev/shm nobody has enlarged that is the first thing to look at."""
    if "signal: Killed" in seen.quote:
        return seen
    shared = container(context) and not context.saw("shm-given", "shm-bus", "bus-error")
    return replace(seen, code="shm-too-small" if shared else seen.code, severity="warning")


def cache(seen: Sighting, context: Context) -> Sighting:
    """huggingface_hub only says so and goes on without, as does whoever writes no name of an exception before it."""
    del context
    return seen if re.search(r"Error: \[Errno 13\]", seen.quote) else replace(seen, severity="warning")


# The kernel answers the same where its own tables are full: watches, namespaces, groups, keys, mounts.
TABLES = re.compile(
    r"inotify|file watch|watch limit|watcher|namespace|nsenter|unshare|cgroup|epoll|add_key|keyctl|keyring|\bbpf\b",
    re.IGNORECASE,
)
# A file may be called anything; those of the kernel's own lie here.
PATHS = re.compile(r"(?<![\w/.~-])[\w.~-]*/(?!sys/fs/)[^\s'\"]*")


def no_space(seen: Sighting, context: Context) -> Sighting | None:
    """ENOSPC tells of a disk only where the line names no limit of the kernel that is counted in something else."""
    del context
    return None if TABLES.search(PATHS.sub(" ", seen.quote)) else seen
