"""Prefixes of launchers, terminals and log collectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.readers.lines import decoded, parsed, split, when

CASES = [
    ("[rank3]: RuntimeError: x", "RuntimeError: x", "", 3),
    ("[default0]:Traceback (most recent call last):", "Traceback (most recent call last):", "", 0),
    ("[1,12]<stderr>:NCCL WARN y", "NCCL WARN y", "", 12),
    ("7: slurm labels it", "slurm labels it", "", 7),
    ("[pod/job-0/trainer] [rank1]: z", "z", "job-0", 1),
    ("train-1  | 2026-01-02T03:04:05.678Z [rank0]: z", "z", "train-1", 0),
    ("(RayTrainWorker pid=123, ip=10.0.0.7) error", "error", "10.0.0.7", None),
    ("gpu-a01:3526:3599 [2] NCCL INFO x", "NCCL INFO x", "gpu-a01", None),
    ("[2026-09-17 04:02:30] gpu-a01:3526:3599 [2] init.cc:7 NCCL WARN x", "init.cc:7 NCCL WARN x", "gpu-a01", None),
    ("node12: slurmstepd: error: x", "slurmstepd: error: x", "node12", None),
    ("python3: can't open file", "python3: can't open file", "", None),
    ("gcc-12: error", "gcc-12: error", "", None),
    ("RuntimeError: x", "RuntimeError: x", "", None),
    (" 0%|     | 0/279 [00:00<?, ?it/s][rank6]: ValueError: x", "ValueError: x", "", 6),
    ("[E1121 03:04:05.1 ProcessGroupNCCL.cpp:5] [PG 0 (default_pg) Rank 5] x", None, "", 5),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "node", "rank"), CASES)
def test_prefixes(raw: str, text: str | None, node: str, rank: int | None) -> None:
    line = parsed(raw, "f", 1)
    assert (line.text, line.node, line.rank) == (raw if text is None else text, node, rank)


def test_nccl_names_process_and_device() -> None:
    line = parsed("gpu-a01:3526:3599 [2] NCCL INFO x", "f", 1)
    assert (line.pid, line.device) == (3526, 2)


def test_a_number_before_a_rank_or_a_process_is_a_prefix() -> None:
    assert parsed("[56] gpu-a01:3526:3599 [2] NCCL INFO x", "f", 1).device == 2
    assert parsed("[80746] [rank4]:[E321 02:07:08.4 x.cpp:1] late", "f", 1).rank == 4
    assert parsed("[56] is a number", "f", 1).text == "[56] is a number"
    assert parsed('  7:   File "train.py", line 3', "f", 1).rank == 7


def test_a_log_drivers_objects() -> None:
    text = '{"log":"[rank2]: OSError: \\"x\\"\\n","stream":"stderr","kubernetes":{"pod_name":"job-0"}}'
    line = split(text.encode(), "f", 1)
    assert (line.text, line.rank, line.node) == ('OSError: "x"', 2, "job-0")
    assert split(b"{1: 2}", "f", 1).text == "{1: 2}"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_line(data: bytes) -> None:
    line = split(data, "f", 1)
    assert line.raw.endswith(line.text)
    assert decoded(data) is not None


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("2026-01-01 00:00:01,500 ERROR x", 86401.5),
        ("[2026/01/01 00:00:02] x", 86402.0),
        ("[rank1]:[E0101 00:00:03.25 ProcessGroupNCCL.cpp:1] x", 86403.25),
        ("[W130 00:00:01.490301705 reducer.cpp:1431] Warning", 30 * 86400 + 1.490301705),
        ("no time: 12:30", None),
        ("2026-13-01 00:00:01 x", None),
    ],
)
def test_stamps(raw: str, seconds: float | None) -> None:
    assert when(raw) == (seconds if seconds is None else pytest.approx(seconds))
