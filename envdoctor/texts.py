"""What texts told, as a snapshot that the checks can judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from envdoctor import facts
from envdoctor.examination import MADE_BY, now
from envdoctor.facts.python import Python
from envdoctor.model import Missing, Node, Why
from envdoctor.readers import verdict
from envdoctor.readers.scan import Reading
from envdoctor.snapshot import Snapshot

UNTOLD = "the text does not tell"
MOST_NAMED = 3


def snapshot(reading: Reading) -> Snapshot:
    """A snapshot of whatever machine the texts come from. What they do not tell was not asked: it is no absence."""
    sections: dict[str, object] = {
        name: reading.sections.get(name, Missing(name, Why.NOT_ASKED.value, UNTOLD)) for name in facts.KINDS
    }
    sections["log"] = reading.log
    python = sections["python"]
    node = Node(name=_named(reading.log.files), python_version=python.version if isinstance(python, Python) else "")
    return Snapshot(node, now(), MADE_BY, sections)


def _named(files: Sequence[str]) -> str:
    """The files, in any language; of a thousand the first ones and how many they are."""
    more = f", ... ({len(files)})" if len(files) > MOST_NAMED else ""
    return ", ".join(files[:MOST_NAMED]) + more


def joined(machines: Sequence[Snapshot], reading: Reading) -> list[Snapshot]:
    """The machines' snapshots with their log: what was observed is believed, the log adds what happened.

    What a line means is settled by the facts of the machine, where they are known. A log belongs to the job and not to
    a node: the first snapshot holds it.
    """
    first, *others = machines
    known = {name: fact for name, fact in first.sections.items() if not isinstance(fact, Missing)}
    log = replace(reading.log, sightings=verdict.settled(reading.seen, {**reading.sections, **known}))
    of_texts = {name: reading.sections[name] for name in facts.OF_TEXTS if name in reading.sections}
    return [replace(first, sections={**first.sections, **of_texts, "log": log}), *others]
