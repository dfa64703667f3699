"""envdoctor/facts/visible_devices.py, held against torch's own reading of the variable."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envdoctor.facts.visible_devices import Selection, meant, number, select

A, B, C = "GPU-8932f937-d72c", "GPU-8932aaaa-0000", "GPU-1b2c3d4e-ffff"
MIG = ("MIG-11111111-a", "MIG-22222222-b")


@pytest.mark.parametrize(
    ("value", "taken", "fault", "culprit"),
    [
        ("0", ("0",), "", ""),
        ("2,1", ("2", "1"), "", ""),
        (" 0 , 1", ("0", "1"), "", ""),
        ("0,2,-1,1", ("0", "2"), "negative", "-1"),  # the example of the programming guide
        ("0,1,-1", ("0", "1"), "", ""),
        ("0,1,", ("0", "1"), "", ""),
        ("-1", (), "negative", "-1"),
        (",0", (), "no-number", ""),
        ("0,,1", ("0",), "no-number", ""),
        ("0,0", (), "duplicate", "0"),
        ("0,1,0", (), "duplicate", "0"),
        ("NoDevFiles", (), "no-number", "NoDevFiles"),
        ("all", (), "no-number", "all"),
        ("1gpu2,2ampere", ("1", "2"), "trailing", "1gpu2"),
        ("0-3", ("0",), "trailing", "0-3"),
        ("0 1", ("0",), "trailing", "0 1"),
        ("0\uff0c1", ("0",), "trailing", "0\uff0c1"),
        ('"0,1"', (), "no-number", '"0'),
        ("3,4", ("3",), "no-such-device", "4"),
        ("4", (), "no-such-device", "4"),
        ("0," + A, ("0",), "mixed", A),
        ("+1", ("1",), "", ""),
        ("-", (), "no-number", "-"),
    ],
)
def test_numbers(value: str, taken: tuple[str, ...], fault: str, culprit: str) -> None:
    found = select(value, count=4)
    assert (found.taken, found.fault, found.culprit) == (taken, fault, culprit)
    assert found.devices == tuple(map(int, taken))
    assert found.hides_all == (not taken)


@pytest.mark.parametrize(
    ("value", "devices", "fault"),
    [
        (A, (0,), ""),
        ("GPU-8932f", (0,), ""),
        ("GPU-1b2c,GPU-8932a", (2, 1), ""),
        ("GPU-8932", (), "ambiguous-uuid"),
        ("GPU-dead", (), "unknown-uuid"),
        ("GPU-1b2c,GPU-dead,GPU-8932a", (2,), "unknown-uuid"),
        ("GPU-1b2c,0", (2,), "mixed"),
        ("GPU-1b2c,", (2,), ""),
        ("GPU-1b2c,GPU-1b2c", (), "duplicate"),
        ("GPU-1b2c,GPU-1b2c3", (), "duplicate"),
    ],
)
def test_uuids(value: str, devices: tuple[int, ...], fault: str) -> None:
    found = select(value, 3, (A, B, C))
    assert (found.devices, found.fault) == (devices, fault)


def test_a_uuid_is_taken_on_trust_where_none_is_known() -> None:
    assert select("GPU-dead") == Selection("GPU-dead", ("GPU-dead",), ("GPU-dead",), None)


def test_cuda_uses_one_mig_device_only() -> None:
    found = select(",".join(MIG), uuids=MIG)
    assert (found.taken, found.devices, found.fault, found.culprit) == (MIG[:1], (0,), "one-mig", MIG[1])
    assert select(MIG[0], uuids=MIG).fault == ""
    assert select("MIG-GPU-8932f937/1/0", uuids=MIG) == Selection(
        "MIG-GPU-8932f937/1/0", ("MIG-GPU-8932f937/1/0",), ("MIG-GPU-8932f937/1/0",), None
    )


def test_unset_is_all_and_empty_is_none() -> None:
    assert select(None, 3).devices == (0, 1, 2) and not select(None).hides_all
    assert select(None).devices is None
    assert select("").fault == select("  ").fault == "empty"
    assert select("").hides_all


@pytest.mark.parametrize(
    ("value", "devices"),
    [
        ("0-3", ("0", "1", "2", "3")),
        ("0\uff0c1", ("0", "1")),
        ("0\u30011;2 3", ("0", "1", "2", "3")),
        ("[0, 1]", ("0", "1")),
        ('"0,1"', ("0", "1")),
        ("cuda:0,cuda:1", ("0", "1")),
        ("GPU0", ("0",)),
        ("0,2,-1,1", ("0", "2", "1")),
        ("2,3,9", ("2", "3")),
        ("1,1", ("1",)),
        ("GPU-8932f,GPU-dead", ("GPU-8932f",)),
        ("all", ()),
        ("-1", ()),
    ],
)
def test_what_was_meant(value: str, devices: tuple[str, ...]) -> None:
    assert meant(value, 4, (A, B, C)) == devices


@given(st.text(alphabet='0123456789+-, gGPUMI"x', max_size=24), st.one_of(st.none(), st.integers(0, 12)))
def test_any_text_is_read_and_what_is_taken_exists(value: str, count: int | None) -> None:
    found = select(value, count)
    assert len(set(found.taken)) == len(found.taken) <= len(found.elements)
    if count is not None and found.devices is not None:
        assert all(0 <= ordinal < count for ordinal in found.devices)
    fixed = meant(value, count)
    if fixed:
        # What we advise is read as it is written, to the last device.
        again = select(",".join(fixed), count)
        assert again.fault in ("", "mixed", "one-mig") and again.taken
        if not any(word.startswith(("GPU-", "MIG-")) for word in fixed):
            assert again.taken == fixed


@pytest.mark.torch
@given(st.text(alphabet="0123456789-,x ", max_size=16))
def test_reads_numbers_as_torch_does(value: str) -> None:
    assume(not re.search(r"-(?!\d)", value))  # torch raises ValueError for a sign without a number
    cuda = pytest.importorskip("torch.cuda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", value)
        expected = cuda._parse_visible_devices()
    assert list(select(value).devices or ()) == expected


@pytest.mark.parametrize(("element", "ordinal"), [("12abc", 12), (" 7", 7), ("-1", -1), ("abc", None), ("", None)])
def test_number(element: str, ordinal: int | None) -> None:
    assert number(element) == ordinal
