"""Launchers: what one of their lines means beside the others."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context, value


def restarted(seen: Sighting, context: Context) -> Sighting | None:
    """torchrun counts the attempts that are left: one restart may have helped, two are a loop. Told once."""
    rounds = [other for other in context.sightings if other.signature == seen.signature]
    if rounds[0] is not seen:
        return None
    again = len({value(other, "left") for other in rounds}) > 1
    return replace(seen, severity="error" if again else "warning", times=sum(other.times for other in rounds))
