"""Processes that ended: what killed them, by what the text tells of the machine."""

from __future__ import annotations

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
