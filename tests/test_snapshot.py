"""envdoctor/snapshot.py and decode.py: snapshots come from anywhere."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode, facts, snapshot
from envdoctor.errors import UsageError
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.nics import Address, Nics
from envdoctor.model import Missing, Node


def a_snapshot() -> snapshot.Snapshot:
    sections: dict[str, object] = {name: Missing(name, "not-asked", "a test does not need it") for name in facts.KINDS}
    sections["host"] = Host(name="gpu-a01", cpus=8, scheduler=Scheduler("slurm", "42"), modules=("cuda/12.4",))
    return snapshot.Snapshot(
        Node("gpu-a01", python="/usr/bin/python3"), "2026-11-20T12:00:00Z", "envdoctor 0.1.0", sections
    )


def as_bytes(**changes: Any) -> bytes:
    return json.dumps({**snapshot.to_json(a_snapshot()), **changes}).encode()


def test_what_is_written_reads_back() -> None:
    assert snapshot.parse(as_bytes(), "a.json") == a_snapshot()


def test_unknown_fields_are_dropped_and_absent_ones_take_their_default() -> None:
    document = snapshot.to_json(a_snapshot())
    document["facts"] = {"host": {"name": "old", "colour": "red"}, "oracle": {}}
    read = snapshot.parse(json.dumps(document).encode(), "a.json")
    assert read.sections["host"] == Host(name="old")
    assert "oracle" not in read.sections


def test_a_section_the_file_lacks_is_missing_and_says_so() -> None:
    read = snapshot.parse(as_bytes(facts={}, missing={}), "dir/a.json")
    assert read.sections["host"] == Missing("host", "not-asked", "a.json does not hold it")


def test_a_value_that_does_not_fit_is_missing_and_says_so() -> None:
    read = snapshot.parse(as_bytes(facts={"host": {"cpus": "many"}}), "a.json")
    wrong = read.sections["host"]
    assert isinstance(wrong, Missing)
    assert wrong.reason == "invalid"
    assert "cpus" in wrong.detail


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "truncated or no JSON"),
        (as_bytes()[:200], "truncated or no JSON"),
        (b"\xff\xfe\x00", "truncated or no JSON"),
        (b"[" * 100_000, "no snapshot"),
        (b"Traceback (most recent call last):", "`envdoctor explain bad.json` reads logs"),
        (b"[rank0]: RuntimeError: NCCL error", "`envdoctor explain bad.json` reads logs"),
        (b"[]", "its schema is not"),
        (b'{"schema": 3}', "its schema is not"),
        (b'{"schema": "envdoctor/report/1"}', "its schema is not"),
        (as_bytes(schema="envdoctor/snapshot/2", made_by="envdoctor 9"), "upgrade envdoctor"),
        (as_bytes(facts=[1]), "must be objects"),
    ],
)
def test_what_is_no_snapshot_is_refused_in_one_sentence(data: bytes, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        snapshot.parse(data, "bad.json")
    assert "bad.json" in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_deep_nesting_inside_a_fact_is_invalid() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    read = snapshot.parse(as_bytes(facts={"host": {"name": deep}}), "a.json")
    assert isinstance(read.sections["host"], Missing)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UsageError, match="too large"):
        snapshot.read(huge)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the snapshot .*absent.json"):
        snapshot.read(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="cannot read"):
        snapshot.read(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["schema", "facts", "missing", "node", "taken_at", "made_by"]), json_values))
def test_any_json_is_a_snapshot_or_a_usage_error(document: dict[str, Any]) -> None:
    try:
        read = snapshot.parse(json.dumps({"schema": snapshot.SCHEMA, **document}).encode(), "x.json")
    except UsageError:
        return
    assert set(read.sections) == set(facts.KINDS)


@given(st.sampled_from(sorted(facts.KINDS)), json_values)
def test_a_fact_is_decoded_or_missing(name: str, value: Any) -> None:
    found = decode.fact(name, value)
    assert isinstance(found, (facts.kind(name), Missing))


def test_numbers_that_are_none_and_integers_no_machine_counts_to_are_refused() -> None:
    for value in ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400):
        with pytest.raises(UsageError, match="is no snapshot"):
            snapshot.parse(as_bytes(facts={"host": {"cpus": "X"}}).replace(b'"X"', value.encode()), "a.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX")
def test_what_is_no_file_is_read_with_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "SILENT_S", 0.2)
    monkeypatch.setattr(snapshot, "LARGEST", 1 << 20)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(UsageError, match="is no snapshot"):
        snapshot.read(fifo)  # nobody writes
    keep = os.open(fifo, os.O_RDWR)
    with pytest.raises(UsageError, match="nothing comes out"):
        snapshot.read(fifo)
    os.write(keep, as_bytes())
    writer = os.open(fifo, os.O_WRONLY)

    def hang_up() -> None:
        for descriptor in (keep, writer):
            os.close(descriptor)

    reader = threading.Timer(0.1, hang_up)
    reader.start()
    assert snapshot.read(fifo).sections
    with pytest.raises(UsageError, match="too large"):
        snapshot.read(Path("/dev/zero"))
    with pytest.raises(UsageError, match="Is a directory"):
        snapshot.read(tmp_path)


def test_text_that_is_no_utf_8_costs_no_fact() -> None:
    read = snapshot.parse(as_bytes(facts={"host": {"name": "a\udcff", "cpus": 4}}), "a.json")
    assert isinstance(read.sections["host"], Host)
    invalid = snapshot.parse(as_bytes(facts={"host": {"cpus": "a\udcff"}}), "a.json").sections["host"]
    assert isinstance(invalid, Missing)
    assert invalid.reason == "invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nics", {"addresses": [{"interface": "eth0", "address": "999.1", "prefix": 24}]}),
        ("nics", {"addresses": [{"interface": "eth0", "address": "10.0.0.1", "prefix": 99}]}),
        ("rdma", {"devices": [{"name": "mlx5_0", "ports": [{"gids": [{"gid": "zz"}]}]}]}),
    ],
)
def test_an_address_that_is_none_makes_the_fact_invalid(name: str, value: dict[str, Any]) -> None:
    found = snapshot.parse(as_bytes(facts={name: value}), "a.json").sections[name]
    assert isinstance(found, Missing)
    assert found.reason == "invalid"


def test_what_is_no_address_belongs_to_nobody() -> None:
    nics = Nics(addresses=(Address("eth0", "eth0", "10.0.0.1", 24),))
    assert nics.owner("x\n") is None
    assert not nics.addresses[0].holds("999.1")


def test_what_many_nodes_share_is_told_once() -> None:
    shared = Host()
    held = [
        snapshot.Snapshot(
            Node(name, "", f"/home/{name}/python"), "", "", {"host": shared, "gpu": Missing("gpu", "failed", name)}
        )
        for name in ("a", "b")
    ]
    told = list(snapshot.told_by(held))
    assert sum(isinstance(one, dict) for one in told) == 1
    assert {"a", "b"} <= {one for one in told if isinstance(one, str)}
    assert ["b", "", "/home/b/python"] in told
