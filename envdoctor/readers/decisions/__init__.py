"""Rules that a single line cannot settle, one module per field of knowledge.

A function `rule(seen: Sighting, context: Context) -> Sighting | None` is named by a row's `decide` ("module.rule"). It
returns the sighting with another code, severity or kind, unchanged, or None where the rest of the text shows that the
line is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envdoctor.facts.log import Sighting


@dataclass(frozen=True)
class Context:
    """All that was read.

    Attributes:
        sightings: of all texts, in the order of time, before any rule was applied.
        sections: section name -> fact.
    """

    sightings: tuple[Sighting, ...] = ()
    sections: Mapping[str, object] = field(default_factory=dict)

    def saw(self, *ids: str) -> Sighting | None:
        """The first sighting of one of these rows."""
        return next((seen for seen in self.sightings if seen.signature in ids), None)


def value(seen: Sighting, name: str) -> str:
    """A value that the line names; "" if it does not name it."""
    return next((one.value for one in seen.values if one.name == name), "")
