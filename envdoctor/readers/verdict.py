"""Settles what was seen: rules that need the whole text, what is harmless, and what follows from what.

The first cause in time wins: an error that another rank or an earlier line explains is its consequence.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.knowledge import signatures
from envdoctor.readers.decisions import Context

Rule = Callable[[Sighting, Context], Sighting | None]


def settled(sightings: Sequence[Sighting], sections: Mapping[str, object]) -> tuple[Sighting, ...]:
    """The sightings that tell something, in the order of time, each with the problem it follows from."""
    ordered = _in_time(sightings)
    context = Context(ordered, sections)
    decided = [seen for one in ordered if (seen := _decided(one, context)) is not None and seen.kind != "noise"]
    return tuple(replace(seen, because_of=_cause(seen, decided)) for seen in decided)


def _in_time(sightings: Sequence[Sighting]) -> tuple[Sighting, ...]:
    """The sightings by their stamps where all have one, else in the order in which they were read; counted anew."""
    stamped = all(seen.when is not None for seen in sightings)
    ordered = sorted(sightings, key=lambda seen: ((seen.when or 0.0) if stamped else 0.0, seen.order))
    return tuple(replace(seen, order=number) for number, seen in enumerate(ordered))


def _decided(seen: Sighting, context: Context) -> Sighting | None:
    row = signatures.by_id().get(seen.signature) or signatures.told().get(seen.signature)
    if row is None or not row.decide:
        return seen
    module, _, function = row.decide.rpartition(".")
    rule: Rule = getattr(importlib.import_module(f"envdoctor.readers.decisions.{module}"), function)
    return rule(seen, context)


def _cause(seen: Sighting, all_seen: Sequence[Sighting]) -> str:
    """The code of the problem that explains this sighting; "" where none was seen.

    A row may name its causes; a symptom without one follows from the first error on any rank that is none itself, else
    from the first line before it that the catalogue takes for a likely cause.
    """
    row = signatures.by_id().get(seen.signature)
    named = row.consequence_of if row is not None else ()
    for wanted in named:
        for other in all_seen:
            if other is not seen and wanted in (other.signature, other.code) and other.code != seen.code:
                return other.code
    if seen.kind != "symptom":
        return seen.because_of
    causes = [other for other in all_seen if other.kind == "root" and other.code not in ("", seen.code)]
    certain = (other.code for other in causes if other.severity == "error")
    likely = (other.code for other in causes if _leads_to(other, seen))
    return next(certain, "") or next(likely, "")


def _leads_to(other: Sighting, seen: Sighting) -> bool:
    """Whether a warning may explain a symptom: a line of the same log, before it; not what a script is advised of."""
    return (
        other.severity == "warning"
        and other.order < seen.order
        and other.place.file == seen.place.file
        and other.signature in signatures.by_id()
    )
