"""tests/bench/nodes_scale.py, with few nodes: what it measures, it measures of findings that are right."""

from __future__ import annotations

from pathlib import Path

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
