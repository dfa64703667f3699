"""Reads the reports that torch, vLLM, accelerate and transformers make of an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envdoctor.facts.log import Sighting
from envdoctor.readers.passage import Passage


class CollectEnv:
    def needles(self) -> Mapping[str, int]:
        return {}

    def read(self, passage: Passage) -> None:
        return

    def facts(self) -> Mapping[str, object]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return []
