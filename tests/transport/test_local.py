"""envdoctor/transport/local.py: the patient as a process, and what happens when it misbehaves."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from envdoctor import facts
from envdoctor.patient import wire
from envdoctor.transport import local
from envdoctor.transport.target import Target

ONLY = ("host", "environment", "limits")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!{sys.executable}\nimport json, os, signal, sys, time\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_facts_come_back() -> None:
    records: list[dict[str, Any]] = []
    answer = local.examine(sys.executable, local.Request(limit_s=20, only=ONLY), on_record=records.append)
    assert answer.complete
    assert set(answer.values) == set(ONLY)
    assert answer.values["host"]["cpus"] >= 1
    assert records[-1]["done"] is True
    left = local.settle(answer)
    assert set(left) == set(facts.KINDS) - set(ONLY)
    assert {missing.reason for missing in left.values()} == {"not-here"}


def test_a_python_that_is_not_there_and_one_that_is_no_python(tmp_path: Path) -> None:
    assert "No such file" in local.examine(str(tmp_path / "absent"), local.Request(limit_s=5)).failure
    broken = script(tmp_path / "python", "sys.exit('cannot find libpython3.9.so')")
    answer = local.examine(broken, local.Request(limit_s=5))
    assert answer.failure == "cannot find libpython3.9.so"
    assert all(missing.reason == "failed" for missing in local.settle(answer).values())


def test_where_the_target_does_not_run_this_python_looks_at_the_machine(tmp_path: Path) -> None:
    broken = script(tmp_path / "python", "sys.exit('no')")
    answer, failure = local.examine_target(Target(broken, "asked"), local.Request(limit_s=20, only=ONLY))
    assert failure == "no"
    assert answer.values["host"]["cpus"] >= 1


def test_noise_on_the_output_is_no_record(tmp_path: Path) -> None:
    noisy = script(
        tmp_path / "python",
        'print(\'banner\', \'{"fact": "host", "value": {}}\'); sys.stdout.flush()\n'
        f"os.execv({sys.executable!r}, [{sys.executable!r}] + sys.argv[1:])",
    )
    answer = local.examine(noisy, local.Request(limit_s=20, only=("host",)))
    assert answer.complete
    assert answer.values["host"]["name"]


def test_a_patient_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    hung = script(
        tmp_path / "python",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ncookie = json.loads(sys.argv[-1])['cookie']\n"
        "print(cookie + json.dumps({'begin': 'host'}), flush=True)\ntime.sleep(60)",
    )
    began = time.monotonic()
    answer = local.examine(hung, local.Request(limit_s=1))
    assert time.monotonic() - began < 4
    assert answer.begun == ["host"]
    assert local.settle(answer)["host"].reason == "slow"


def test_a_patient_that_says_nothing_is_ended_in_time(tmp_path: Path) -> None:
    silent = script(tmp_path / "python", "time.sleep(60)")
    answer = local.examine(silent, local.Request(limit_s=1))
    assert answer.failure == "it did not say a word in 1 s"


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
def test_an_interrupt_ends_the_patient_and_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    forever = script(
        tmp_path / "python",
        f"open({str(marker)!r}, 'w').write(str(os.getpid()))\ncookie = json.loads(sys.argv[-1])['cookie']\n"
        "print(cookie + json.dumps({'begin': 'host'}), flush=True)\ntime.sleep(60)",
    )

    def interrupt(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.examine(forever, local.Request(limit_s=30), on_record=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_is_ended_in_time_and_costs_no_memory(tmp_path: Path, stream: str) -> None:
    flood = script(tmp_path / "python", f"while True: sys.{stream}.write('noise ' * 10000)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    answer = local.examine(flood, local.Request(limit_s=1))
    assert time.monotonic() - began < 3
    assert "it did not say a word" in answer.failure
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # kB


def test_a_line_without_end_is_taken_in_linear_time() -> None:
    lines = wire.Lines(b"cookie")
    began = time.monotonic()
    for _ in range(4096):
        assert lines.feed(b"x" * 65536) == []
    assert time.monotonic() - began < 3
    assert len(lines.rest) <= wire.LIMIT


def test_where_no_thread_may_start_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    answer = local.examine(sys.executable, local.Request(limit_s=5, only=ONLY))
    assert "may start no threads" in answer.failure


def test_a_patient_that_is_killed_or_breaks_is_said_to_have_ended(tmp_path: Path) -> None:
    start = (
        "cookie = json.loads(sys.argv[-1])['cookie']\n"
        "print(cookie + json.dumps({'begin': 'host'}), flush=True)\ntime.sleep(0.1)\n"
    )
    killed = script(tmp_path / "killed", start + "os.kill(os.getpid(), 9)")
    left = local.settle(local.examine(killed, local.Request(limit_s=20)))["host"]
    assert (left.reason, left.detail) == ("crashed", "the examination ended with status -9")
    broken = script(tmp_path / "broken", start + "sys.exit('no more descriptors')")
    left = local.settle(local.examine(broken, local.Request(limit_s=20)))["host"]
    assert (left.reason, left.detail) == ("failed", "the examination ended with status 1\nno more descriptors")


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
@pytest.mark.parametrize("then", ["wait", "exit 1"])
def test_what_the_interpreter_has_started_ends_with_it(tmp_path: Path, then: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/pid\n{then}\n")
    python.chmod(0o755)
    local.examine(str(python), local.Request(limit_s=1))
    helper = (tmp_path / "pid").read_text().strip()
    state, until = "unknown", time.monotonic() + 2
    while state and not state.startswith("Z") and time.monotonic() < until:
        state = subprocess.run(["ps", "-o", "stat=", "-p", helper], capture_output=True, text=True).stdout.strip()
    assert not state or state.startswith("Z")
