"""README.md: its commands are single lines that work in a fresh clone, and what it shows is what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from envdoctor import load
from envdoctor.bench import sizes
from envdoctor.facts.allreduce import Size
from envdoctor.model import Node, Outcome, Problem, Report, Severity, Situation, Text
from envdoctor.render import Style, bench
from envdoctor.render.words import tally
from tests import ROOT, needs

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (python3 -m venv .*)$", README, re.M)


def test_two_commands_of_one_line_each_make_their_own_environment() -> None:
    assert len(COMMANDS) == 2
    check, tests = COMMANDS
    assert check.endswith("envdoctor check")
    assert "pytest" in tests and "[dev]" in tests


def test_the_first_command_works_in_a_fresh_clone(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    environ = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    # Debian's own Python where there is one: it refuses a bare pip (PEP 668), so the command must bring a venv.
    environ["PATH"] = "/usr/bin:/bin:" + environ.get("PATH", "")
    done = subprocess.run(
        ["bash", "-c", COMMANDS[0]],
        cwd=tmp_path / "clone",
        capture_output=True,
        text=True,
        env=environ,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.startswith("envdoctor "), done.stdout + done.stderr
    assert re.search(r"\d+ checks in [\d.]+ s", done.stdout)


def test_every_option_it_names_exists() -> None:
    verbs = (
        "check",
        "explain",
        "list",
        "snapshot",
        "fix",
        "fix pip-mirror",
        "bench mirrors",
        "bench allreduce",
        "diff",
    )
    helps = [
        subprocess.run([sys.executable, "-m", "envdoctor", *verb.split(), "-h"], capture_output=True, text=True)
        for verb in verbs
    ]
    known = {option for told in helps for option in re.findall(r"(?<![\w-])--[a-z-]+", told.stdout)}
    for line in re.findall(r"envdoctor [a-z]+[^`\n]*", README):
        for option in re.findall(r"(?<![\w-])--[a-z-]+", line):
            assert option in known | {"--help", "--version", "--python", "--install-completion"}, (
                f"{option} in {line!r}"
            )


def test_its_check_of_ones_own_works(tmp_path: Path) -> None:
    from envdoctor.facts.disks import Disks, Place
    from envdoctor.testing import Case

    code, _ = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    own = tmp_path / "scratch.py"
    own.write_text(code, encoding="utf-8")
    (finding,) = Case("no scratch", (Disks((Place(mount_point="/"),)),), {"no-scratch": "error"}).assert_holds(own)
    assert finding.command == "sudo mount /scratch"
    Case("scratch", (Disks((Place(mount_point="/scratch"),)),)).assert_holds(own)


def test_its_fix_of_ones_own_works(tmp_path: Path) -> None:
    from envdoctor import Files, load
    from envdoctor.facts.disks import Disks

    own = tmp_path / "scratch.py"
    own.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)), encoding="utf-8")
    loaded = load.load([tmp_path])
    assert loaded.broken == {}
    path = "/etc/environment"
    (edit,) = loaded.fixes["scratch-tmp"](Disks(), Files({path: b"LANG=C\n"})).edits
    assert edit.after == b"LANG=C\nTMPDIR=/scratch/tmp\n"
    assert not loaded.fixes["scratch-tmp"](Disks(), Files({path: edit.after})).changes


def comparable(transcript: str) -> list[str]:
    """The lines of a transcript without what differs from run to run: times, ids, the newest torch."""
    told = re.sub(r"\d{8}-\d{6}", "ID", transcript)
    return re.sub(r"reached in [\d.]+ m?s, has torch [\d.]+", "reached", told).strip().splitlines()


def test_the_fix_and_its_undo_are_what_a_terminal_shows(tmp_path: Path) -> None:
    needs.namespaces()
    for name, package in (("nginx", "nginx-light"), ("openssl", ""), ("ip", "iproute2")):
        needs.program(name, package)
    done = subprocess.run(
        [needs.program("unshare", "util-linux"), "-m", "-n", sys.executable, "-m", "tests.transcript", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = re.findall(r"^```\n(\$ envdoctor fix pip-mirror.*?)^```", README, re.M | re.S)
    assert comparable(done.stdout) == comparable(shown)


RECORDED = ("envdoctor bench allreduce --hosts node[0-3] --sizes 256K:16M", "envdoctor check --hosts node[0-6]")
UNITS = {"MB/s": 1e-3, "GB/s": 1.0}


def recorded(command: str) -> list[str]:
    """The lines of a sample that takes several hosts to record."""
    return README.partition(f"$ {command}\n")[2].partition("```")[0].splitlines()


def template(said: Text) -> str:
    """A pattern for what a sentence with holes may become."""
    return ".+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", said.en))


def test_the_table_of_the_benchmark_is_that_of_today() -> None:
    head, *rows = [line for line in recorded(RECORDED[0])[2:] if line.startswith(" ")][:5]
    assert head == bench.table_head(Style())
    for row in rows:
        _, iterations, median, p5, p95, algbw, alg_unit, busbw, bus_unit, wrong = words = row.split()
        rates = float(algbw) * UNITS[alg_unit], float(busbw) * UNITS[bus_unit]
        times = float(median), float(p5), float(p95)
        size = Size(sizes.sizes(f"{words[0]}:{words[0]}")[0], int(iterations), *times, *rates, int(wrong))
        assert bench.table_row(size, Style()) == row


@pytest.mark.parametrize("command", RECORDED)
def test_what_several_hosts_showed_is_worded_as_today(command: str) -> None:
    problems = load.everything().problems
    found = [re.fullmatch(r"(\w+)\[([\w-]+)\]: (.*) \[node.*\]", line) for line in recorded(command)]
    told = [one.groups() for one in found if one is not None]
    assert told
    for severity, code, title in told:
        problem = problems[code]
        every: list[Problem | Situation] = [problem, *problem.situations.values()]
        assert any(re.fullmatch(template(one.title), title) for one in every if one.title is not None), title
        assert severity in {one.severity.value for one in every if one.severity is not None}


@pytest.mark.parametrize("command", RECORDED)
def test_the_tally_of_several_hosts_is_worded_as_today(command: str) -> None:
    last = recorded(command)[-1]
    counted = re.findall(r"(\d+) (error|warning|note)s?(?: on (\d+) nodes?)?", last)
    findings = tuple(
        Problem(f"c{number}", Severity(severity), Text("t", "t"), Text("w", "w")).found()
        for count, severity, _ in counted
        for number in range(int(count))
    )
    nodes = {severity: tuple(f"node{number}" for number in range(int(on or 0))) for _, severity, on in counted}
    findings = tuple(replace(one, nodes=nodes[one.severity.value]) for one in findings)
    checks, seconds, *skipped = re.findall(r"[\d.]+", last.partition("; ")[2])
    ran = Outcome(load.everything().checks[0], "ran")
    outcomes = [replace(ran, status="skipped")] * int(skipped[0] if skipped else 0)
    outcomes += [ran] * (int(checks) - len(outcomes))
    report = Report("", "", float(seconds), (Node(),) * 7, findings, tuple(outcomes), ())
    assert tally(report, Style(), at_hand=True) == last
