"""Imports: which package does not fit, by the module or library that the line names."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context, value

PAIRS = {"torchvision": "torchvision-mismatch", "torchaudio": "torchaudio-mismatch"}


def pair(seen: Sighting, context: Context) -> Sighting:
    """torchvision and torchaudio have codes of their own; others are extensions."""
    del context
    return replace(seen, code=PAIRS.get(value(seen, "other").lower(), seen.code))


def dll(seen: Sighting, context: Context) -> Sighting:
    """torch's own module names the matter; of another package's it is one cause of several."""
    del context
    return seen if value(seen, "module") == "_C" else replace(seen, severity="warning")
