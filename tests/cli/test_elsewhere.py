"""`check` and `snapshot` of other machines: real OpenSSH between hosts of a lab, and what becomes of the hosts."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor import load
from envdoctor.cli import elsewhere
from envdoctor.facts.reached import Reach, Reached
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Language, Missing, Node
from envdoctor.snapshot import Snapshot
from tests import ROOT, needs
from tests.bench.nodes import Ended
from tests.lab.hosts import Lab

ENVDOCTOR = (sys.executable, "-m", "envdoctor")


@pytest.fixture(scope="module")
def hosts() -> Iterator[Lab]:
    needs.distribution("torch")
    with Lab(3) as lab:
        yield lab


@pytest.fixture
def lab(hosts: Lab) -> Iterator[Lab]:
    """The hosts, as healthy afterwards as before."""
    yield hosts
    for host in hosts.hosts:
        host.mend()
        host.start_sshd()
        (host.home / ".bashrc").unlink(missing_ok=True)
        (host.home / ".profile").unlink(missing_ok=True)
    assert not hosts.orphans()


def run(lab: Lab, *words: str, **variables: str) -> Ended:
    return lab[0].run(*ENVDOCTOR, *words, PYTHONPATH=str(ROOT), **variables)


def codes(done: Ended) -> dict[str, list[str]]:
    return {
        finding["code"]: finding["nodes"] for finding in done.document["findings"] if finding["severity"] == "error"
    }


def test_healthy_hosts_that_also_exchange_data(lab: Lab) -> None:
    done = run(lab, "check", "--hosts", "node1,node2", "--json")
    assert done.status == 0, done.out + done.err
    told = done.document
    assert [node["name"] for node in told["nodes"]] == ["node1", "node2"]
    assert all(node["python"] for node in told["nodes"])
    ran = {outcome["check"] for outcome in told["outcomes"] if outcome["status"] == "ran"}
    assert {"torch_import_fails", "hosts_reached"} <= ran
    assert "allreduce" in {outcome["topic"] for outcome in told["outcomes"] if outcome["status"] == "ran"}


def test_one_is_down_and_one_hangs_and_the_third_is_examined(lab: Lab) -> None:
    lab[1].fault("reject-ssh")
    (lab[0].home / ".bashrc").write_text("cd /srv/data 2>/dev/null\n")
    (lab[2].home / ".bashrc").write_text("sleep 60\n")
    began = time.monotonic()
    done = run(lab, "check", "--quick", "--hosts", "node[0-2]", "--timeout", "20", "--json")
    assert time.monotonic() - began < 20 + 30  # and not the minute that the start-up file takes
    assert done.status == 1
    assert codes(done) == {"node-unreachable": ["node1"], "node-hung": ["node2"]}
    (hung,) = (finding for finding in done.document["findings"] if finding["code"] == "node-hung")
    assert hung["title"] == "the login shell of node2 does not come to its first command"
    assert hung["evidence"]["entered"] == "/srv/data (~/.bashrc:1)"
    assert "node0" in {node["name"] for node in done.document["nodes"]}
    for pid, words in lab[2].at_work().items():
        assert "sleep 60" in words or "bash" in words  # the start-up file itself, which nobody but its shell ends
        os.kill(pid, signal.SIGKILL)


def test_each_host_hangs_at_another_file_system_and_all_are_told(lab: Lab) -> None:
    """In the kernel, where no signal helps: a folder on PATH, the one of the Python, the home before the login."""
    needs.fuse()
    python, searched = "/run/env/bin/python", "/run/tools"
    for host in (lab[0], lab[2]):
        assert host.run("mkdir", "-p", "/run/env/bin").status == 0
        assert host.run("ln", "-s", sys.executable, python).status == 0
    (lab[0].home / ".bashrc").write_text(f"PATH={searched}:$PATH\n")
    lab[0].hang(searched)
    lab[1].hang("/run/env")
    lab[2].hang(str(lab[2].home))
    done = run(lab, "check", "--quick", "--hosts", "node[0-2]", "--timeout", "60", "--python", python, "--json")
    told = {(finding["code"], node): finding for finding in done.document["findings"] for node in finding["nodes"]}
    assert {("filesystem-hangs", "node0"), ("filesystem-hangs", "node1"), ("node-hung", "node2")} <= set(told), done.out
    assert told["filesystem-hangs", "node0"]["evidence"]["path"] == searched
    assert told["filesystem-hangs", "node1"]["evidence"]["path"] == python
    assert told["python-does-not-start", "node1"]["because_of"] == "filesystem-hangs"
    assert "does not say whether this user may come in" in told["node-hung", "node2"]["title"]
    ran = {node["name"]: node["python"] for node in done.document["nodes"]}
    assert ran == {"node0": python, "node1": python, "node2": ""}


def test_no_hung_file_system_of_its_own_machine_holds_the_doctor_up(lab: Lab) -> None:
    """The venv that is active, and the home folder, where the user's own checks would lie."""
    needs.fuse()
    lab[1].hang("/run/env")
    lab[1].hang(str(lab[1].home))
    done = lab[1].run(
        "/bin/sh", "-c", f"cd / && exec {shlex.join(ENVDOCTOR)} check python disk --quick --json", PYTHONPATH=str(ROOT),
        VIRTUAL_ENV="/run/env",
    )  # fmt: skip
    told = {finding["code"]: finding for finding in done.document["findings"]}
    hung = {
        finding["evidence"]["path"] for finding in done.document["findings"] if finding["code"] == "filesystem-hangs"
    }
    assert hung == {"~", "/run/env/bin/python"}, done.out
    assert told["python-does-not-start"]["because_of"] == "filesystem-hangs"
    assert done.document["nodes"][0]["python"] == "/run/env/bin/python"


def test_snapshots_of_all_hosts_are_judged_later(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    lab[1].fault("reject-ssh")
    done = run(lab, "snapshot", "--quick", "--hosts", "node[0-2]", "-o", str(folder))
    assert (done.status, done.out) == (0, "")
    assert "node1 not examined to the end" in done.err
    assert sorted(path.name for path in folder.iterdir()) == ["node0.json", "node1.json", "node2.json"]
    assert "10.91.0.3" in (folder / "node2.json").read_text()
    later = run(lab, "check", "--from", str(folder), "--json")
    assert later.status == 1 and codes(later) == {"node-unreachable": ["node1"]}
    again = run(lab, "snapshot", "--quick", "--hosts", "node0", "-o", str(folder))
    assert again.status == 2 and "holds snapshots" in again.err


def test_nothing_is_left_when_the_doctor_is_interrupted(lab: Lab) -> None:
    running = lab[0].start(*ENVDOCTOR, "check", "--hosts", "node[1-2]", PYTHONPATH=str(ROOT))
    until = time.monotonic() + 30
    while not all(any("w['boot']" in words for words in lab[place].at_work().values()) for place in (1, 2)):
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.05)
    for pid, words in lab[0].at_work().items():
        if "envdoctor check" in words and "nsenter" not in words:
            os.kill(pid, signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130 and "Traceback" not in err
    assert not lab.orphans(10.0)


def test_a_host_without_anything_of_ours_keeps_nothing(lab: Lab, tmp_path: Path) -> None:
    before = sorted(str(path) for path in lab[1].home.rglob("*"))
    assert run(lab, "check", "--hosts", "node1", "--quick").status in (0, 1)
    assert sorted(str(path) for path in lab[1].home.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "--hosts", "a", "--from", "x.json"), "--hosts examines other machines and --from judges"),
        (("check", "--hosts", "a", "--docker", "b"), "--hosts and --docker both name what is to be examined"),
        (("check", "--hosts", "a b;id"), "is no host"),
        (("check", "--docker", "-it"), "is no name of one"),
        (("check", "--slurm"), "--slurm needs an allocation"),
        (("snapshot", "--hosts", "a"), "name a folder for them with -o FOLDER"),
        (("check", "--hosts", "@/nowhere"), "give a file with a host on each line"),
    ],
)
def test_wrong_use(words: tuple[str, ...], said: str, tmp_path: Path) -> None:

    environ = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    done = subprocess.run(
        [*ENVDOCTOR, *words], capture_output=True, text=True, env={**environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert done.stdout == ""


def examined(outcome: str, version: str) -> Snapshot:
    torch = TorchInstall(version=version) if version else Missing("torch-install", "not-here")
    sections = {"reached": Reached((Reach("h", outcome=outcome),)), "torch-install": torch}
    return Snapshot(Node("h"), "2026-11-22T00:00:00Z", "envdoctor", sections)


@pytest.mark.parametrize(
    ("hosts", "language", "said"),
    [
        ([("ok", ""), ("ok", "")], "en", "envdoctor: no data was exchanged between the nodes: of 2 reached, none have"),
        ([("ok", ""), ("ok", "2.8.0")], "en", "of 2 reached, one has torch"),
        ([("ok", ""), ("ok", "")], "zh", "envdoctor：节点之间未交换数据：已连通 2 个节点，其中有 torch 的为 0 个"),
        ([("ok", "2.8.0"), ("ok", "2.8.0"), ("ok", "")], "en", ""),
        ([("ok", ""), ("refused", "")], "en", ""),
    ],
)
def test_that_nothing_was_exchanged_for_want_of_torch_is_said(
    hosts: list[tuple[str, str]], language: Language, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere._say_what_was_not_tried([examined(*host) for host in hosts], language)
    told = capsys.readouterr().err
    assert said in told if said else told == ""


def test_a_python_that_is_only_there(lab: Lab) -> None:
    """It is not looked for here; a host that has not got it takes its own, and the report says so."""
    hidden = "/run/python-of-the-node"
    assert lab[1].run("ln", "-s", sys.executable, hidden).status == 0
    done = run(lab, "check", "python", "--quick", "--hosts", "node1,node2", "--python", hidden, "--json")
    assert done.status in (0, 1), done.err
    pythons = {node["name"]: node["python"] for node in done.document["nodes"]}
    assert pythons["node1"] == hidden and pythons["node2"] not in ("", hidden)


@pytest.mark.parametrize(
    ("names", "takes"), [((), True), (("allreduce",), True), (("latency-high",), True), (("nodes",), False)]
)
def test_only_what_a_benchmark_alone_tells_takes_one(names: tuple[str, ...], takes: bool) -> None:
    assert elsewhere._of_benches(load.everything(), names) is takes
