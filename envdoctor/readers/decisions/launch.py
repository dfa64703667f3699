"""Launchers: what one of their lines means beside the rest of the text."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.log import Sighting, Value
from envdoctor.readers.decisions import Context, value


def restarted(seen: Sighting, context: Context) -> Sighting | None:
    """torchrun counts the attempts that are left: one restart may have helped, two are a loop. Told once."""
    rounds = [other for other in context.sightings if other.signature == seen.signature]
    if rounds[0] is not seen:
        return None
    again = len({value(other, "left") for other in rounds}) > 1
    return replace(seen, severity="error" if again else "warning", times=sum(other.times for other in rounds))


def counted(seen: Sighting, context: Context) -> Sighting | None:
    """A line's processes per node against the GPUs that nvidia-smi lists in the same text, if it does."""
    gpus = context.sections.get("gpu")
    count = gpus.count if isinstance(gpus, Gpus) else 0
    processes = int(value(seen, "processes") or 0)
    if not count or processes <= count:
        return None
    told = (*seen.values, Value("gpus", str(count)))
    # The list may be another node's: an error only where a rank has missed its GPU as well.
    missed = any(other.code == "nproc-exceeds-gpus" and other is not seen for other in context.sightings)
    return replace(seen, kind="root", severity="error" if missed else "warning", values=told)


def refused(seen: Sighting, context: Context) -> Sighting | None:
    """Slurm ends every refusal with the same general words; where it said before what it refuses, those tell nothing of
    GPUs."""
    return None if context.saw("slurm-request") else seen


# How a process ends that raised an exception, or whose arguments were refused: its own output says which.
OWN_END = ("1", "2")


def failed(seen: Sighting, context: Context) -> Sighting:
    """torchrun tells which worker ended; of an exception its own output tells, which may be the program's alone."""
    del context
    return replace(seen, severity="note") if value(seen, "exitcode") in ("", *OWN_END) else seen
