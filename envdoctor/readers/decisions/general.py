"""What holds whatever the text is about."""

from __future__ import annotations

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context


def unrecognised(seen: Sighting, context: Context) -> Sighting | None:
    """The first error that no row knows is worth a word where nothing else was recognised."""
    if any(other.signature != seen.signature for other in context.sightings):
        return None
    first = context.saw(seen.signature)
    return seen if first is seen else None
