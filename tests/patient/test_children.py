"""envdoctor/patient/children.py: children that hang, spin, ignore signals, flood, fork and leave helpers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from envdoctor.patient import children, processes
from envdoctor.patient.child import Child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")


def sleeps() -> None:
    time.sleep(60)


def spins() -> None:
    while True:
        pass


def ignores_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def answers() -> dict[str, int]:
    return {"value": 7}


def raises() -> None:
    raise ValueError("odd")


def dies() -> None:
    os.write(2, b"last words\n")
    os.kill(os.getpid(), signal.SIGKILL)


def faults() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exits() -> None:
    os._exit(3)


def floods() -> dict[str, int]:
    for _ in range(320):
        os.write(1, b"x" * 65536)
    return {"value": 7}


def floods_for_ever() -> None:
    while True:
        os.write(2, b"noise\n" * 1000)


def leaves_a_flooding_helper() -> dict[str, int]:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.alarm(5)
            floods_for_ever()
        os._exit(0)
    return {"value": 7}


def ask(function: Any, limit_s: float = 5.0) -> tuple[str, Any, float]:
    began = time.monotonic()
    reason, value = children.ask(function, limit_s)
    return reason, value, time.monotonic() - began


def test_an_answer_and_an_exception() -> None:
    assert ask(answers)[:2] == ("ok", {"value": 7})
    assert ask(raises)[:2] == ("failed", "ValueError: odd")


def test_a_death_names_the_signal_and_the_last_words() -> None:
    assert ask(dies)[:2] == ("crashed", "SIGKILL\nlast words")
    assert ask(exits)[:2] == ("failed", "ended with exit status 3")
    reason, detail, _ = ask(faults)
    assert reason == "crashed" and detail.startswith("SIGSEGV\nCurrent thread")
    assert "in faults" in detail


@pytest.mark.parametrize("function", [sleeps, ignores_term])
def test_what_stands_still_hangs_and_says_where(function: Any) -> None:
    reason, detail, seconds = ask(function, 4.0)
    assert reason == "hung"
    assert f"in {function.__name__}" in detail
    assert seconds < 5.5


@pytest.mark.parametrize("function", [spins, floods_for_ever])
def test_what_moves_is_slow_and_says_where(function: Any) -> None:
    reason, detail, seconds = ask(function, 3.5)
    assert reason == "slow"
    assert f"in {function.__name__}" in detail
    assert seconds < 5.5


def test_a_short_limit_is_too_short_to_say_that_it_hangs() -> None:
    assert ask(sleeps, 0.3)[0] == "slow"


def test_twenty_megabytes_of_output_hide_no_answer() -> None:
    assert ask(floods, 20.0)[:2] == ("ok", {"value": 7})


def test_a_helper_that_floods_the_pipes_is_not_waited_for() -> None:
    reason, value, seconds = ask(leaves_a_flooding_helper, 20.0)
    assert (reason, value) == ("ok", {"value": 7})
    assert seconds < 3


def test_several_children_are_stopped_side_by_side() -> None:
    running = [children.fork(lambda send: ignores_term(), 0.3) for _ in range(6)]
    began = time.monotonic()
    assert list(children.follow(running, time.monotonic() + 5)) == []
    assert time.monotonic() - began < 2


def ends(pid: int) -> bool:
    """Whether a process is gone within two seconds; its new parent may leave it a zombie for a moment."""
    for _ in range(100):
        try:
            if b") Z" in Path(f"/proc/{pid}/stat").read_bytes():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_helpers_in_sessions_of_their_own_end_with_it() -> None:
    def starts(send: Any) -> None:
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        send({"fact": "pid", "value": {"pid": helper.pid}})
        helper.wait()

    told = list(children.follow([children.fork(starts, 1.0)], time.monotonic() + 5))
    assert ends(told[0]["value"]["pid"])


def test_one_that_outlives_kill_is_named_and_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Child, "signal_all", lambda self, number: None)
    monkeypatch.setattr(processes, "wait_channel", lambda pid: "nvidia_ioctl")
    child = children.fork(lambda send: sleeps(), 0.2)
    pid = child.pid
    try:
        assert list(children.follow([child], time.monotonic() + 5)) == []
        assert children.outcome(child)[1].startswith("stuck in nvidia_ioctl")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_patience_ends_before_the_limit() -> None:
    child = children.fork(lambda send: sleeps(), 60.0)
    child.patience_s = 3.2
    began = time.monotonic()
    assert list(children.follow([child], time.monotonic() + 60)) == []
    assert child.stopped == "hung"
    assert time.monotonic() - began < 8


def test_a_program_gets_the_records_as_descriptor_3_and_nothing_else() -> None:
    source = 'import os; os.write(3, b\'{"fact": "a", "value": {}}\\n\'); print(sorted(os.listdir(\'/proc/self/fd\')))'
    other = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(other, True)
    child = children.execute([sys.executable, "-c", source], 10.0)
    child.printed_into = "printed"
    told = list(children.follow([child], time.monotonic() + 10))
    os.close(other)
    assert told[0]["fact"] == "a"
    assert child.status == 0
    open_ones = child.noise.decode() or "".join(told[0]["value"]["printed"])
    assert open_ones.strip() == "['0', '1', '2', '3', '4']"


def test_a_program_that_is_not_there() -> None:
    child = children.execute(["/nowhere/python"], 5.0)
    assert list(children.follow([child], time.monotonic() + 5)) == []
    reason, detail = children.outcome(child)
    assert reason == "failed" and "FileNotFoundError" in detail


def test_the_last_stack_is_kept_from_its_innermost_frame_on() -> None:
    assert children.innermost("noise") == ""
    older = "Current thread 0x1 (most recent call first):\n  File 1\n"
    assert children.innermost("noise " + older + "  File 2\n" * 1000).startswith("Current thread")
    assert len(children.innermost(older * 5000)) <= 3000


def test_the_family_of_a_process() -> None:
    table = {1: (0, 1, 1, 0), 10: (1, 10, 10, 5), 11: (10, 10, 10, 2), 12: (11, 12, 12, 3), 13: (1, 13, 10, 0)}
    assert processes.family(10, table) == {11, 12, 13}
    assert processes.counters({10, 11, 99}, table)[0] == 7
    assert processes.counters({10}, {}) == ()
    assert os.getpid() in processes.table()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_helper_in_a_session_of_its_own_ends_with_a_child_that_crashes() -> None:
    def crashes(send: Any) -> None:
        helper = subprocess.Popen(["sleep", "60"], start_new_session=True)
        send({"fact": "helper", "value": helper.pid})
        time.sleep(1.5)  # a look at the process table falls into it
        os.kill(os.getpid(), 9)

    told = list(children.follow([children.fork(crashes, 10.0)], time.monotonic() + 10))
    assert ends(told[0]["value"])
