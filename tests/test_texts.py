"""envdoctor/texts.py: what a text told, and a machine with its log."""

from __future__ import annotations

from envdoctor import facts, texts
from envdoctor.facts.host import Host
from envdoctor.facts.log import Log
from envdoctor.model import Missing, Node
from envdoctor.snapshot import Snapshot
from tests.readers.texts import read

ERROR_803 = "Error 803: system has unsupported display driver / cuda driver combination\n"


def test_what_a_text_does_not_tell_was_not_asked() -> None:
    sections = texts.snapshot(read("epoch 1\n")).sections
    assert set(sections) == set(facts.KINDS)
    unknown = [fact for name, fact in sections.items() if name != "log"]
    assert all(isinstance(fact, Missing) and fact.reason == "not-asked" for fact in unknown)
    assert isinstance(sections["log"], Log)


def test_a_machine_settles_what_its_log_means() -> None:
    reading = read(ERROR_803)
    assert [seen.code for seen in reading.log.sightings] == ["driver-library-mismatch"]
    machine = Snapshot(Node("gpu-a01"), "", "", {"host": Host(container="docker")})
    (joined,) = texts.joined([machine], reading)
    log = joined.sections["log"]
    assert isinstance(log, Log)
    assert [seen.code for seen in log.sightings] == ["cuda-compat-mismatch"]
