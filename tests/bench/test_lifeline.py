from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.bench import lifeline, ways
from tests import ROOT

HEAR = "from envdoctor.bench import lifeline; print([*lifeline.words(%s)], flush=True)"


@pytest.fixture
def ear() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HEAR % 0.5], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    yield process
    process.kill()
    process.communicate()


def test_a_pulse_keeps_it_and_silence_ends_it(ear: subprocess.Popen[bytes]) -> None:
    assert ear.stdin is not None and ear.stdout is not None
    for _ in range(8):
        ear.stdin.write(b"\n")
        ear.stdin.flush()
        time.sleep(0.15)
        assert ear.poll() is None
    ear.stdin.write(b'{"a": 1}\n\n{"b"')
    ear.stdin.flush()
    began = time.monotonic()
    assert ear.stdout.readline() == b"[{'a': 1}]\n"
    assert 0.3 < time.monotonic() - began < 3


def test_the_end_of_input_ends_it_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", HEAR % 0.0], input=b'{"a": 2}\n', capture_output=True, cwd=ROOT)
    assert done.stdout == b"[{'a': 2}]\n"


def test_what_the_doctor_carries_is_taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NCCL_DEBUG", raising=False)
    for name in ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(lifeline, "GPU_FOLDER", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    request = {"nproc": 0, "environ": {"NCCL_DEBUG": "INFO"}}
    lifeline.prepare(request)
    assert request["nproc"] == 2 and os.environ["NCCL_DEBUG"] == "INFO"
    given = {"nproc": 5}
    lifeline.prepare(given)
    assert given["nproc"] == 5


@pytest.mark.parametrize(
    ("mask", "count"), [(None, 3), ("", 0), ("0", 1), ("0,1,2,3", 3), ("MIG-a,MIG-b,MIG-c,MIG-d", 4)]
)
def test_gpus_that_may_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mask: str | None, count: int) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(lifeline, "GPU_FOLDER", str(tmp_path))
    assert lifeline.visible_gpus({} if mask is None else {"CUDA_VISIBLE_DEVICES": mask}) == count
    monkeypatch.setattr(lifeline, "GPU_FOLDER", str(tmp_path / "absent"))
    assert lifeline.visible_gpus({}) == 0


def test_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 51234 10.0.0.1 22")
    assert lifeline.own_address([], "gpu01") == "10.0.0.1"
    monkeypatch.setenv("SSH_CONNECTION", "127.0.0.1 51234 127.0.0.1 22")
    assert lifeline.own_address([], "gpu01") == "gpu01", "no address that others could reach is known"
    monkeypatch.setattr(ways, "source_to", {"10.0.0.2": "10.0.0.1", "10.0.0.3": "10.0.0.1"}.get)
    assert lifeline.own_address(["10.0.0.2", "192.0.2.1", "10.0.0.3"], "gpu01") == "10.0.0.1"
