"""envdoctor/patient/__main__.py: sections that hang, crash or raise take nobody with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import types
from typing import Any

import pytest

from envdoctor import facts
from envdoctor.patient import __main__ as patient
from envdoctor.patient.sections import SECTIONS, Ask, Denied, NotHere, Section
from envdoctor.transport.local import PATIENT, START


def fine(ask: Ask) -> dict[str, Any]:
    return {"value": 1}


def raises(ask: Ask) -> dict[str, Any]:
    raise ValueError("odd file")


def absent(ask: Ask) -> dict[str, Any]:
    raise NotHere("/nowhere")


def forbidden(ask: Ask) -> dict[str, Any]:
    raise Denied("ask root")


def hangs(ask: Ask) -> dict[str, Any]:
    time.sleep(60)
    return {}


def dies(ask: Ask) -> dict[str, Any]:
    os.write(2, b"last words\n")
    os.kill(os.getpid(), 9)
    return {}


def exits(ask: Ask) -> dict[str, Any]:
    os._exit(3)


def after(ask: Ask) -> dict[str, Any]:
    return {"seen": sorted(ask.facts)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types.ModuleType("envdoctor.patient.made_up")
    for function in (fine, raises, absent, forbidden, hangs, dies, exits, after):
        setattr(module, function.__name__, function)
    monkeypatch.setitem(sys.modules, "envdoctor.patient.made_up", module)

    def examine(*sections: Section, limit_s: float = 20.0, **request: Any) -> dict[str, dict[str, Any]]:
        monkeypatch.setattr(patient, "SECTIONS", sections)
        records: list[dict[str, Any]] = []
        ask = Ask({**request, "until": time.monotonic() + limit_s})
        patient.Examination(ask, request, records.append).run()
        told = [record for record in records if "begin" not in record]
        assert len(told) == len({record.get("fact", record.get("missing")) for record in told}), "one answer each"
        return {str(record.get("fact", record.get("missing"))): record for record in told}

    return examine


def section(name: str, function: str, group: str = "g", **more: Any) -> Section:
    return Section(name, f"made_up:{function}", group, **more)


def test_a_section_that_raises_says_what_and_where(run: Any) -> None:
    told = run(section("a", "raises"), section("b", "fine"))
    assert told["a"]["reason"] == "failed"
    assert told["a"]["detail"].startswith("ValueError: odd file (test_main.py:")
    assert told["b"]["value"] == {"value": 1}


def test_what_is_absent_or_denied_is_said_so(run: Any) -> None:
    told = run(section("a", "absent"), section("b", "forbidden"))
    assert (told["a"]["reason"], told["a"]["detail"]) == ("not-here", "/nowhere")
    assert (told["b"]["reason"], told["b"]["detail"]) == ("denied", "ask root")


def test_the_rest_of_a_group_goes_on_after_a_crash(run: Any) -> None:
    told = run(section("a", "fine"), section("b", "dies"), section("c", "exits"), section("d", "fine"))
    assert told["b"]["reason"] == "crashed"
    assert told["b"]["detail"] == "SIGKILL\nlast words"
    assert (told["c"]["reason"], told["c"]["detail"]) == ("failed", "ended with exit status 3")
    assert "fact" in told["a"] and "fact" in told["d"]


def test_the_rest_of_a_group_goes_on_after_a_hang(run: Any) -> None:
    began = time.monotonic()
    told = run(section("a", "hangs", limit_s=0.5), section("b", "fine", limit_s=0.5))
    assert told["a"]["reason"] in ("slow", "hung")
    assert "fact" in told["b"]
    assert time.monotonic() - began < 6


def test_a_hang_leaves_time_for_the_rest_of_its_group(run: Any) -> None:
    told = run(section("a", "hangs"), section("b", "fine"), section("c", "fine"), limit_s=5.0)
    assert told["a"]["reason"] == "hung"
    assert "fact" in told["b"] and "fact" in told["c"]


def test_many_hangs_in_one_group_do_not_add_up(run: Any) -> None:
    began = time.monotonic()
    told = run(*(section(name, "hangs", limit_s=50) for name in "abcdef"), limit_s=1.0)
    assert time.monotonic() - began < 2
    assert {record["reason"] for record in told.values()} == {"slow"}
    assert told["f"]["detail"] == "no time was left"


def test_without_processes_to_be_had_each_section_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = len(os.listdir("/dev/fd"))
    monkeypatch.setattr(os, "fork", refuse)
    told = run(section("a", "fine", "one"), section("b", "fine", "two", after="a"))
    assert "no process could be started: BlockingIOError" in told["a"]["detail"]
    assert told["b"]["reason"] == "failed"
    assert len(os.listdir("/dev/fd")) == before


def test_a_group_that_finds_no_process_waits_for_another_to_end(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fork, answers = os.fork, [True, False]

    def sometimes() -> int:
        if answers and not answers.pop(0):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", sometimes)
    told = run(section("a", "fine", "one"), section("b", "fine", "two"))
    assert "fact" in told["a"] and "fact" in told["b"]


def test_the_total_limit_bounds_everything(run: Any) -> None:
    began = time.monotonic()
    told = run(section("a", "hangs", "one", limit_s=50), section("b", "hangs", "two", limit_s=50), limit_s=1.0)
    assert set(told) == {"a", "b"}
    assert time.monotonic() - began < 4


def test_a_section_may_come_after_another_and_see_its_fact(run: Any) -> None:
    told = run(section("late", "after", "two", after="early"), section("early", "fine", "one"))
    assert told["late"]["value"] == {"seen": ["early"]}


def test_what_is_not_asked_for_is_left_out_with_the_reason(run: Any) -> None:
    sections = (section("net", "fine", network=True), section("heavy", "fine", heavy=True), section("plain", "fine"))
    quick = run(*sections, quick=True)
    assert {name: record.get("detail") for name, record in quick.items()} == {
        "net": "--quick",
        "heavy": "--quick",
        "plain": None,
    }
    offline = run(*sections, offline=True)
    assert offline["net"]["detail"] == "--offline"
    assert "fact" in offline["heavy"]
    assert set(run(*sections, only=["plain"])) == {"plain"}


def test_linux_only_sections_say_so_elsewhere(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert run(section("a", "fine", linux=True))["a"]["reason"] == "not-supported"


def start(code: str, **request: Any) -> list[dict[str, Any]]:
    """Run the real patient in a new interpreter, `code` first."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code + START.format(folder=str(PATIENT)), json.dumps(request)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_without_fork_every_section_still_gets_an_answer(platform: str) -> None:
    """As on Windows: no fork, and nothing that only Linux has."""
    records = start(
        f"import os, sys; del os.fork; import platform; sys.platform = {platform!r}\n", quick=True, limit_s=30
    )
    answered = {
        record.get("fact", record.get("missing"))
        for record in records
        if "begin" not in record and "done" not in record
    }
    assert answered == {one.name for one in SECTIONS}
    assert records[-1]["done"] is True
    failed = {record["missing"]: record["detail"] for record in records if record.get("reason") == "failed"}
    assert not failed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_when_the_doctor_is_killed_nothing_is_left_behind() -> None:
    """The patient notices that nobody reads its answer, and ends what it has started."""
    mark = f"envdoctor-{os.getpid()}-{time.monotonic_ns()}"
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", START.format(folder=str(PATIENT)).replace(
            "main(sys.argv[1])",
            "from envdoctor_patient import host\nhost.host = lambda ask: __import__('time').sleep(60)\n"
            "main(sys.argv[1])",
        ), json.dumps({"limit_s": 60, "only": ["host"], "port": 0, "pynvml": mark})],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert b"begin" in process.stdout.readline()
    assert len(named(mark)) == 2  # itself and its child
    process.stdout.close()
    assert process.wait(5) == 130
    assert named(mark) == []


def named(mark: str) -> list[str]:
    """The living processes whose command line holds `mark`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/stat") as stat:
                if mark.encode() in line.read() and ") Z" not in stat.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def test_every_section_has_a_fact_and_every_fact_a_section() -> None:
    assert {one.name for one in SECTIONS} == set(facts.KINDS) - {"asked", *facts.OF_BENCHES, *facts.OF_TEXTS}


def test_here_every_section_answers_with_a_fact_or_a_reason() -> None:
    records = start("", quick=True, limit_s=30)
    bad = [record for record in records if record.get("reason") in ("failed", "crashed", "hung", "slow")]
    assert not bad
