"""envdoctor/readers/elastic.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes, findings

BLOCK = """torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-02-03_10:00:07
  host      : gpu-a02
  rank      : 12 (local_rank: 4)
  exitcode  : 1 (pid: 4242)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-02-03_10:00:01
  host      : gpu-a01
  rank      : 3 (local_rank: 3)
  exitcode  : {} (pid: 1717)
  error_file: <N/A>
  traceback : {}
============================================================
"""


def test_the_rank_that_failed_first_is_named() -> None:
    (found,) = findings(BLOCK.format(1, "To enable traceback see: ..."))
    assert found.code == "peer-died"
    assert {name: found.evidence[name] for name in ("failed", "local_rank", "host", "exitcode")} == {
        "failed": "3",
        "local_rank": "3",
        "host": "gpu-a01",
        "exitcode": "1",
    }
    assert found.words.title is not None
    assert "rank 3 on gpu-a01 failed first, with exit code 1: a Python" in found.words.title.say("en", found.evidence)
    assert "Python 异常" in found.words.title.say("zh", found.evidence)


@pytest.mark.parametrize(
    ("exitcode", "traceback", "code"),
    [
        (-9, "Signal 9 (SIGKILL) received by PID 1717", "host-out-of-memory"),
        (-7, "Signal 7 (SIGBUS) received by PID 1717", "shm-too-small"),
    ],
)
def test_a_signal_tells_more_than_the_block(exitcode: int, traceback: str, code: str) -> None:
    assert next(iter(codes(BLOCK.format(exitcode, traceback)))) == code


def test_the_rank_s_own_error_is_the_cause() -> None:
    text = "[rank3]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n" + BLOCK.format(1, "...")
    found = findings(text)
    assert found[0].code.endswith("out-of-memory")
    assert found[1].because_of == found[0].code


def test_a_block_that_lost_its_form() -> None:
    assert codes("errors.ChildFailedError:\nRoot Cause (first observed failure) :\n[0]:\ntime\nhost\n") == {
        "peer-died": "note"
    }


def test_an_exception_of_the_program_is_no_alarm() -> None:
    own = "[rank3]: RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x512 and 768x10)\n"
    assert set(codes(own + BLOCK.format(1, "...")).values()) == {"note"}
    assert codes(BLOCK.format(-6, "Signal 6 (SIGABRT) received by PID 1717"))["peer-died"] == "error"


def test_restarts_are_a_loop_from_the_second_on() -> None:
    line = "INFO: [default] Worker group FAILED. {}/3 attempts left; will restart worker group\n"
    assert codes(line.format(2)) == {"elastic-restart-loop": "warning"}
    assert codes(line.format(2) + line.format(1)) == {"elastic-restart-loop": "error"}
