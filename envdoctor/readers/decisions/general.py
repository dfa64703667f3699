"""What holds whatever the text is about."""

from __future__ import annotations

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context


def unrecognised(seen: Sighting, context: Context) -> Sighting | None:
    """The first error that no row knows is worth a word where nothing else was recognised."""
    telling = (one for one in context.sightings if one.code and one.kind != "noise" and one.severity != "note")
    if any(other.signature != seen.signature for other in telling):
        return None
    first = context.saw(seen.signature)
    return seen if first is seen else None


def not_of_an_index(seen: Sighting, context: Context) -> Sighting | None:
    """A name that pip, conda or uv could not resolve is an index's, not a node's: their own row tells of that line."""
    same_line = (other for other in context.sightings if other.place == seen.place and other is not seen)
    return None if any(other.code.startswith(("pip-", "conda-", "uv-")) for other in same_line) else seen
