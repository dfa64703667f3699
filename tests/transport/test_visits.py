"""Many hosts at once, over a way that stays on this machine: real processes, and what hosts may do to the doctor."""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from envdoctor.facts.reached import Reach
from envdoctor.patient import boot
from envdoctor.transport import commands, local, streamed, visits
from envdoctor.transport.hosts import Host

QUICK = local.Request(limit_s=20.0, quick=True, only=("host", "python", "environment"))


class Shells:
    """Runs the line here, in place of what a host is told to run instead."""

    TITLE, OPTION, END = "a shell", "--shells", signal.SIGKILL

    def __init__(self, **instead: str) -> None:
        self.instead = instead

    def argv(self, host: Host, line: str) -> tuple[str, ...]:
        return ("/bin/sh", "-c", self.instead.get(host.name, line))

    def reach(self, host: Host, status: int | None, said: str, noise: str, heard: bool) -> Reach:
        outcome = "ok" if heard else "silent" if status is None else "not-executed"
        said, tried = commands.apart(said)
        return Reach(host.name, "ssh", outcome, said, status, tried="" if heard else tried)


def examine(request: local.Request = QUICK, fan_out: int = 8, **instead: str) -> dict[str, visits.Visit]:
    """Visit hosts a, b and those that do something else instead."""
    hosts = [Host(name) for name in ("a", *instead, "b")]
    found = visits.examine(hosts, Shells(**instead), sys.executable, request, fan_out=fan_out)
    assert [visit.host.name for visit in found] == [host.name for host in hosts]
    return {visit.host.name: visit for visit in found}


def assert_whole(found: dict[str, visits.Visit]) -> None:
    """The two ordinary hosts have told everything."""
    for name in ("a", "b"):
        visit = found[name]
        assert visit.reach.outcome == "ok" and visit.answer.complete, visit
        assert set(visit.answer.values) == {"host", "python", "environment"}
        assert visit.python == sys.executable


def test_hosts_answer_each_for_itself() -> None:
    found = examine()
    assert_whole(found)
    assert found["a"].answer.values["python"]["executable"] == sys.executable


def test_clocks_are_compared_to_the_time_of_a_word() -> None:
    clock = examine()["a"].clock
    assert clock is not None
    assert clock.asked_s is not None and clock.time_s is not None and clock.answered_s is not None
    assert clock.asked_s - 0.01 <= clock.time_s <= clock.answered_s + 0.01
    assert clock.answered_s - clock.asked_s < 5


@pytest.mark.parametrize("fan_out", [1, 2])
def test_more_hosts_than_logins_at_once(fan_out: int) -> None:
    assert_whole(examine(fan_out=fan_out, c="exit 3"))


def test_one_that_says_nothing_costs_its_own_deadline_and_nobody_elses() -> None:
    request = local.Request(limit_s=8.0, only=QUICK.only)
    began = time.monotonic()
    found = examine(
        request, mute="cat >/dev/null; true", gone="exit 255", lost="echo oh >&2; exit 255", dead="sleep 60"
    )
    assert_whole(found)
    assert found["mute"].reach.outcome == "silent"
    assert found["dead"].reach.outcome == "no-login", "ssh reads what it is to send once it is in"
    assert (found["lost"].reach.outcome, found["lost"].reach.said.strip()) == ("not-executed", "oh")
    assert found["gone"].answer.failure
    assert time.monotonic() - began < 8.0 + 3.0


def test_where_the_python_meant_does_not_start_another_looks_at_the_host(tmp_path: Path) -> None:
    broken = tmp_path / "env" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\necho 'python: libz.so.1: cannot open shared object file' >&2; exit 127\n")
    broken.chmod(0o755)
    request = local.Request(limit_s=60.0, quick=True, only=("host", "python"))
    (visit,) = visits.examine([Host("a")], Shells(), str(broken), request)
    assert (visit.reach.outcome, visit.python, visit.answer.complete) == ("ok", str(broken), True)
    told = visit.answer.values["python"]
    assert (told["executable"], told["failure_kind"], told["failure_about"]) == (str(broken), "library", "libz.so.1")
    assert visit.answer.values["host"]["name"]


def test_where_no_other_starts_either_the_first_words_are_told(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such library' >&2; exit 127\n")
    broken.chmod(0o755)

    class Once(Shells):
        def argv(self, host: Host, line: str) -> tuple[str, ...]:
            return super().argv(host, "echo 'nothing here' >&2; exit 127" if "/usr/bin/python3" in line else line)

    class Gone(Shells):
        def argv(self, host: Host, line: str) -> tuple[str, ...]:
            return ("/nonexistent/ssh",) if "/usr/bin/python3" in line else super().argv(host, line)

    for way in (Once(), Gone()):
        (visit,) = visits.examine([Host("a")], way, str(broken), QUICK)
        assert (visit.reach.outcome, visit.reach.said.strip(), visit.python) == ("not-executed", "no such library", "")
        assert visit.reach.tried == str(broken)


def changed(how: str) -> str:
    """What starts our program with something done to it first."""
    code = boot.COMMAND.replace("start(w)", f"{how};start(w)")
    return f"exec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)}"


SLOW = "w['modules']['envdoctor_patient.host']='import time\\ndef host(ask): time.sleep(60)'"


def test_one_that_hangs_midway_is_ended_and_the_section_named() -> None:
    # Stopped with all its processes once it has told what it is at: as in the kernel, no word of ours helps.
    how = "import threading,os,signal;threading.Timer(3,lambda:os.killpg(0,signal.SIGSTOP)).start();" + SLOW
    request = local.Request(limit_s=8.0, only=("host",))
    (visit,) = visits.examine([Host("hung")], Shells(hung=changed(how)), sys.executable, request)
    assert (visit.reach.outcome, visit.reach.said) == ("hung", "host")
    assert not visit.answer.complete


def test_one_that_dies_midway() -> None:
    how = "import threading,os;threading.Timer(1,lambda:os._exit(9)).start();" + SLOW
    request = local.Request(limit_s=30.0, only=("host",))
    (visit,) = visits.examine([Host("shot")], Shells(shot=changed(how)), sys.executable, request)
    assert (visit.reach.outcome, visit.reach.status) == ("died", 9)


@pytest.mark.parametrize(
    "garbage",
    [
        "exec cat /dev/zero",
        'exec yes \'{"fact": "host", "value": {"name": "forged"}}\'',
        "printf '\\033[2J\\033]0;owned\\007'; exec cat /dev/urandom",
    ],
)
def test_garbage_is_thrown_away_and_soon_ended(garbage: str) -> None:
    began = time.monotonic()
    found = examine(wild=garbage)
    assert_whole(found)
    assert found["wild"].reach.outcome == "invalid"
    assert not found["wild"].answer.values
    assert time.monotonic() - began < 20.0


def test_a_flood_after_the_first_word_is_ended() -> None:
    flood = "import os\\ndef main(argument):\\n while 1: os.write(1, b'x' * 65536)"
    found = examine(flood=changed(f"w['modules']['envdoctor_patient.__main__']={flood!r}".replace("\\\\", "\\")))
    assert_whole(found)
    assert found["flood"].reach.outcome == "invalid"


def test_a_banner_before_the_answer_is_none() -> None:
    found = examine(polite='echo \'Welcome to {"fact": "host"}\'; ' + changed("pass"))
    assert found["polite"].answer.complete


def test_what_cannot_be_started_is_said() -> None:
    class Nowhere(Shells):
        def argv(self, host: Host, line: str) -> tuple[str, ...]:
            return ("/nowhere/ssh", line)

    (visit,) = visits.examine([Host("a")], Nowhere(), sys.executable, QUICK)
    assert "No such file" in visit.reach.said and visit.reach.status == 127


def test_an_interrupt_ends_all_logins() -> None:
    before = threading.active_count()
    alarm = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    alarm.start()
    with pytest.raises(KeyboardInterrupt):
        examine(slow="exec sleep 61.25")
    alarm.join()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "sleep 61.25" not in listed
    assert threading.active_count() <= before


def test_what_travels_is_small_and_holds_the_binding() -> None:
    """At most 200 kB to a host (the sources of the patient and NVIDIA's own binding)."""
    assert importlib.util.find_spec("pynvml") is not None
    assert 50_000 < len(streamed.program(local.Request(), streamed.cookie(), {})) < 200_000


def test_torch_is_imported_where_our_modules_lie_in_no_file(tmp_path: Path) -> None:
    """The interpreter that imports torch gets them from memory; what lies about there still hits torch alone."""
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the user came first')\n")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("import json\n")
    request = local.Request(limit_s=60.0, only=("torch-import", "torch-cuda", "mapped-libraries"))
    way = Shells(a=f"cd {shlex.quote(str(tmp_path))}; {changed('pass')}")
    (visit,) = visits.examine([Host("a")], way, sys.executable, request)
    assert visit.answer.complete
    told = visit.answer.values["torch-import"]
    assert told["error"] == "SystemExit" and "a file of the user" in told["message"], told
