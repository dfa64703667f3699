"""tests/bench/nodes_scale.py, with few nodes: what it measures, it measures of findings that are right."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from envdoctor import engine, load
from envdoctor.cli import saved
from envdoctor.columns import Facts
from envdoctor.model import Missing
from tests.bench.nodes_scale import ODD, faults, measure, places, write


def test_every_odd_node_is_named_and_nothing_else_is_loud(tmp_path: Path) -> None:
    mean = write(tmp_path, 32)
    told = measure(tmp_path)
    assert (told["nodes"], len(places(32)), len(ODD)) == (32, 9, 9)
    assert 50_000 < mean < 200_000
    assert faults(told, 32) == []


def test_a_fault_that_is_not_named_and_one_that_is_not_there_are_told() -> None:
    assert len(faults({"findings": [], "crashed": ["x"]}, 32)) == 10
    loud = [["shm-too-small", None, "error", ["gpu0000"], 1], ["disk-full", None, "note", ["gpu0000"], 1]]
    assert "error shm-too-small (None) on gpu0000: 1 nodes" in faults({"findings": loud, "crashed": []}, 32)


REASONS = ("not-here", "no-rights", "not-asked", "failed")


def thinned(nodes: Mapping[str, Facts], seed: int) -> dict[str, Facts]:
    """The nodes, a part of what each knows gone."""
    chance = random.Random(seed)
    return {
        node: {
            kind: fact if chance.random() < 0.7 else Missing(kind.__name__, chance.choice(REASONS), "made up")
            for kind, fact in facts.items()
            if chance.random() < 0.9
        }
        for node, facts in nodes.items()
    }


@pytest.mark.parametrize("seed", range(6))
def test_a_node_among_others_is_told_what_it_is_told_alone(tmp_path: Path, seed: int) -> None:
    write(tmp_path, 18)
    loaded = load.load([load.bundled()])
    nodes: dict[str, Facts] = {snapshot.node.name: snapshot.facts for snapshot in saved.read([tmp_path])}
    nodes = thinned(nodes, seed) if seed else nodes
    checks = [check for check in loaded.checks if all(need.kind != "per-node" for need in engine.needs(check.judge))]
    together = engine.run(checks, nodes)
    alone = [engine.run(checks, {node: facts}) for node, facts in nodes.items()]
    assert len(nodes) == 18 and any(outcome.findings for outcome in together)
    for outcome, *each in zip(together, *alone, strict=True):
        assert list(outcome.findings) == [finding for one in each for finding in one.findings], outcome.check.name
        assert {node for _, skipped in outcome.skipped_on for node in skipped} == {
            node for one in each for _, skipped in one.skipped_on for node in skipped
        }
