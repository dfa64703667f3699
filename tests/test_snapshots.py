"""envdoctor/snapshots.py"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envdoctor import snapshot
from envdoctor.errors import UsageError
from envdoctor.facts.gpu import Gpus
from envdoctor.model import Missing, Node
from envdoctor.snapshots import read_files
from tests.bench.nodes_scale import as_node, skeleton


def written(folder: Path, *documents: object) -> list[Path]:
    files = [folder / f"{number}.json" for number in range(len(documents))]
    for file, document in zip(files, documents, strict=True):
        file.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return files


def test_they_read_as_one_by_one_and_share_what_they_have_in_common(tmp_path: Path) -> None:
    base = skeleton()
    files = written(tmp_path, *(as_node(base, number) for number in range(3)))
    read = [one for _, one in read_files(files)]
    assert read == [snapshot.read(file) for file in files]
    first, second, third = (one.sections for one in read)
    assert first["libraries"] is second["libraries"] is third["libraries"]
    assert first["gpu"] != second["gpu"], "each GPU has its own UUID"
    assert first["torch-import"] is not second["torch-import"]
    assert first["torch-import"].arch_list is second["torch-import"].arch_list  # type: ignore[attr-defined]
    assert first["conda-config"] is second["conda-config"], "also what is missing"


@pytest.mark.parametrize(
    "facts",
    [
        '{"gpu": {"count": "eight"}}',
        '{"gpu": [1]}',
        '{"gpu": {"count": 123456789012345678901}}',
        '{"gpu": {"count": 8, "count": 7, "unknown": [1]}}',
        '{"gpu": {"gpus": [{"name": "\\udc80"}]}}',
        '{"gpu": {"count": 1e999}}',
        '{"gpu": {"count": NaN}}',
        '{"nics": {"addresses": [{"address": "no"}]}}',
        '{"gpu": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"made-up": 1}',
        "[]",
        "7",
    ],
    ids=lambda facts: facts[:40],
)
@pytest.mark.parametrize("rest", ['"missing": {"gpu": {"reason": "hung"}}', '"node": 7', '"made_by": 1e999', ""])
def test_whatever_comes_is_taken_as_one_by_one(tmp_path: Path, facts: str, rest: str) -> None:
    text = '{"schema": "envdoctor/snapshot/1", "facts": ' + facts + (", " + rest if rest else "") + "}"
    (file,) = written(tmp_path, text)
    try:
        wanted: object = snapshot.read(file)
    except UsageError as error:
        wanted = str(error)
    try:
        ((_, found),) = read_files([file])
    except UsageError as error:
        assert str(error) == wanted
    else:
        assert found == wanted


@pytest.mark.parametrize("text", ["", "{", '{"schema": "other"}', '{"schema": "envdoctor/snapshot/2"}', "\xff"])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"no snapshot|upgrade"):
        list(read_files(written(tmp_path, text)))


def test_the_snapshots_of_a_benchmark_come_one_by_one(tmp_path: Path) -> None:
    one = snapshot.to_json(snapshot.Snapshot(Node("a"), "", "", {"gpu": Gpus(count=8)}))
    (file,) = written(tmp_path, {"schema": "envdoctor/bench/1", "snapshots": [one, one]})
    told = [each.sections["gpu"] for _, each in read_files([file])]
    assert told == [Gpus(count=8)] * 2


def test_one_that_hides_behind_a_shared_word_is_still_refused(tmp_path: Path) -> None:
    """What was read of one file says nothing of another whose bytes differ."""
    base = {"schema": "envdoctor/snapshot/1", "facts": {"gpu": {"count": 8}}}
    files = written(tmp_path, base, {**base, "facts": {"gpu": {"count": "8"}}})
    first, second = (each.sections["gpu"] for _, each in read_files(files))
    assert first == Gpus(count=8)
    assert isinstance(second, Missing) and second.reason == "invalid"
