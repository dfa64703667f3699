"""The start of a job: what a rank that waits, a refused connection or a malformed address means beside the rest."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context, value
from envdoctor.readers.decisions.nccl import of

# What a name or an address that cannot be used leads to.
UNREACHED = ("gai", "gloo-own-name", "store-timeout", "store-refused", "rdzv-connection", "old-refused")
# What ranks say that a proxy between them cuts off.
CUT_OFF = ("peer-closed-store", "gloo-io", "gloo-mesh", "gloo-connect", "store-wait", "nccl-recv", "nccl-closed")


def _goes_on_after(seen: Sighting, context: Context) -> bool:
    """Whether the job got past this: it trains, or NCCL has connected its ranks, and nothing ends it later."""
    progress = [one for one in context.sightings if one.signature == "goes-on" and one.order > seen.order]
    told = of(context)
    failed = any(
        one.kind != "noise" and one.severity == "error" and one.order > seen.order for one in context.sightings
    )
    return bool(progress or told.connected or told.complete) and not failed


def refused(seen: Sighting, context: Context) -> Sighting:
    """c10d asks again until rank 0 listens: a refusal matters where none of the tries after it succeeds."""
    return replace(seen, severity="note") if _goes_on_after(seen, context) else seen


def fallback(seen: Sighting, context: Context) -> Sighting:
    """Loopback serves the ranks of one host: it hurts where others must connect, which then fails."""
    failing = any(one.kind != "noise" and one.severity != "note" and one is not seen for one in context.sightings)
    several = of(context).several_nodes or len({one.place.node for one in context.sightings if one.place.node}) > 1
    return seen if failing or several else replace(seen, severity="note")


def barrier(seen: Sighting, context: Context) -> Sighting:
    """More at the barrier than the job has processes: they are those of another run, which a left-over file keeps."""
    want, have = int(value(seen, "want")), int(value(seen, "have"))
    if have <= want:
        return seen
    if context.saw("file-store", "file-init"):
        return replace(seen, code="stale-init-file")
    return replace(seen, code="rendezvous-shared")


def barrier_waits(seen: Sighting, context: Context) -> Sighting | None:
    """A rank tells every ten seconds that it waits: the last of these lines counts, and only where nothing follows."""
    lines = [one for one in context.sightings if one.signature == seen.signature]
    ended = context.saw("store-barrier", "store-clients", "store-timeout", "goes-on")
    return None if lines[-1] is not seen or ended or of(context).begun else replace(seen, kind="root")


def unused(seen: Sighting, context: Context) -> None:
    """Tells of itself only what other rules ask for."""
    del seen, context


def address(seen: Sighting, context: Context) -> Sighting:
    """Certain to be the cause where the address could then not be used."""
    return replace(seen, severity="error") if context.saw(*UNREACHED) else seen


def announced(seen: Sighting, context: Context) -> Sighting | None:
    """Every rank announces itself once: twice some and never others shows nodes that do not know of each other."""
    lines = [one for one in context.sightings if one.signature == seen.signature]
    size = max(int(value(one, "size")) for one in lines)
    times: dict[int, int] = {}
    for one in lines:
        rank = int(value(one, "rank"))
        times[rank] = times.get(rank, 0) + one.times
    if lines[0] is not seen or len(times) >= size or context.saw("goes-on"):
        return None
    return replace(seen, kind="root", severity="error") if max(times.values()) > 1 else None


def mesh(seen: Sighting, context: Context) -> Sighting | None:
    """A proxy's own lines are of interest where a connection broke."""
    first = context.saw(seen.signature)
    return replace(seen, kind="root") if first is seen and context.saw(*CUT_OFF) else None
