"""What follows from what, over files and ranks."""

from __future__ import annotations

from tests.readers.texts import codes, findings, read_all

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
CLOSED = "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely."
PEER = "RuntimeError: Connection reset by peer"


def test_a_closed_connection_follows_from_the_rank_that_died() -> None:
    text = f"[rank0]: {CLOSED}\n[rank3]: {OOM}\n[rank1]: {CLOSED}\n"
    first, second = findings(text)
    assert (first.code, first.evidence["rank"]) == ("rank-out-of-memory", 3)
    assert (second.code, second.because_of) == ("peer-died", "rank-out-of-memory")


def test_stamps_put_files_in_order() -> None:
    late = f"2026-02-03 10:00:05 step 7\n{OOM}\n"
    early = "2026-02-03 10:00:01 step 7\nRuntimeError: No CUDA GPUs are available\n"
    log = read_all({"a.log": late, "b.log": early}).log
    assert [seen.code for seen in log.sightings] == ["gpu-not-visible", "out-of-memory"]


def test_without_stamps_the_order_is_that_of_reading() -> None:
    log = read_all({"a.log": OOM, "b.log": "2026-02-03 10:00:01 RuntimeError: No CUDA GPUs are available\n"}).log
    assert [seen.code for seen in log.sightings] == ["out-of-memory", "gpu-not-visible"]


def test_a_symptom_alone_is_said() -> None:
    assert codes(f"[rank0]: {PEER}\n") == {"peer-died": "error"}


def test_an_unknown_error_is_a_note_unless_a_known_one_is_there() -> None:
    unknown = "ValueError: the batch has 3 dimensions\n"
    assert codes(unknown) == {"error-unrecognised": "note"}
    assert codes(unknown + OOM) == {"out-of-memory": "error"}


def test_a_symptom_follows_from_a_likely_cause_before_it() -> None:
    refused = "[c10d] The client socket has failed to connect to [gpu-01]:29500 (errno: 111 - Connection refused).\n"
    text = f"{refused}{PEER}\n"
    assert [(one.code, one.because_of) for one in findings(text)] == [
        ("master-unreachable", None),
        ("peer-died", "master-unreachable"),
    ]


def test_a_line_that_is_no_matter_of_the_environment_hides_no_unknown_error() -> None:
    twice = "ValueError: trying to initialize the default process group twice!\n"
    assert codes(twice + "OverflowError: the unknown has happened\n") == {"error-unrecognised": "note"}
