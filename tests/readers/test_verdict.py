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
