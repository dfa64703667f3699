"""Ranks that fail together: which of them failed first, and of what."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context

# What other ranks say once one of them is gone.
ECHOES = (
    "nccl-closed", "nccl-remote", "nccl-abort", "nccl-unique-id", "peer-closed-store", "gloo-io", "watchdog",
    "heartbeat", "ib-completion", "nccl-connect", "nccl-proxy", "store-dump", "watchdog-other",
)  # fmt: skip


def out_of_memory(seen: Sighting, context: Context) -> Sighting:
    """One rank's memory is a job's matter where others report that it is gone."""
    full = {rank for one in context.sightings if one.signature == seen.signature for rank in one.ranks}
    others = [one for one in context.sightings if one.signature in ECHOES and (not one.ranks or set(one.ranks) - full)]
    return replace(seen, code="rank-out-of-memory") if others and len(full) <= 1 else seen


# What torch says of every failure of its class.
CLASSES = ("nccl-system-error", "nccl-internal", "nccl-cuda-error", "nccl-invalid-usage")


def echo(seen: Sighting, context: Context) -> Sighting:
    """torch repeats NCCL's result code, which names a class of causes: a line that names the cause goes before it."""
    named = (one for one in context.sightings if one.kind != "noise" and one.code and one.severity != "note")
    others = any(one.code != seen.code and one.signature not in CLASSES for one in named)
    return replace(seen, severity="note") if others else seen
