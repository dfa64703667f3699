"""`envdoctor bench allreduce --hosts`: real OpenSSH between hosts of a lab; nothing stays behind, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envdoctor.bench.afar import carried
from envdoctor.transport import ssh
from tests import ROOT, needs
from tests.bench.nodes import Ended, climbs
from tests.lab.hosts import Host, Lab

USUAL = ("--nproc-per-node", "1", "--sizes", "8:64K", "--timeout", "40", "--json")
AROUND_S = 25.0  # as in tests/bench/test_by_hand.py
# An agent that hears nothing ends itself after CUT_S; a coordinator that hears nothing of one, after rungs.SILENT_S.
CUT_S = max(ssh.CUT_S, 12) + 3.0


@pytest.fixture(scope="module")
def hosts() -> Iterator[Lab]:
    needs.distribution("torch")
    with Lab(3) as lab:
        yield lab


@pytest.fixture
def lab(hosts: Lab) -> Iterator[Lab]:
    """The hosts, as healthy afterwards as before."""
    kept = {host.name: (host.home / ".ssh" / "known_hosts").read_text() for host in hosts.hosts}
    keys = (hosts[0].home / ".ssh" / "authorized_keys").read_text()
    yield hosts
    for host in hosts.hosts:
        host.mend()
        host.login()
        host.start_sshd()
        (host.home / ".bashrc").unlink(missing_ok=True)
        (host.home / ".ssh" / "known_hosts").write_text(kept[host.name])
        (host.home / ".ssh" / "authorized_keys").write_text(keys)
        for pid in host.at_work():
            os.kill(pid, signal.SIGKILL)


def command(spec: str, *more: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "envdoctor", "bench", "allreduce", "--hosts", spec, *USUAL, *more)


def bench(lab: Lab, spec: str, *more: str, **variables: str) -> Ended:
    return lab[0].run(*command(spec, *more), PYTHONPATH=str(ROOT), **variables)


def test_two_hosts_that_are_not_this_one(lab: Lab) -> None:
    """Whoever conducts takes no part; rank 0 is where the first host has it."""
    done = bench(lab, "node1,root@node2:22")
    assert (done.status, done.codes) == (0, []), done.out + done.err
    told = done.document
    assert (told["stage"], told["world_size"]) == ("done", 2)
    assert [node["name"] for node in told["nodes"]] == ["node1", "node2"]
    assert all(row["wrong"] == 0 for row in told["sizes"])
    facts = told["snapshots"][0]["facts"]
    assert facts["allreduce"]["master_addr"] == lab[1].address
    assert [host["outcome"] for host in facts["reached"]["hosts"]] == ["ok", "ok"]
    # The patient went there too, and each node tells of itself.
    assert [one["facts"]["host"]["name"] for one in told["snapshots"]] == ["node1", "node2"]
    assert not lab.orphans()


def test_a_file_of_hosts_with_slots_and_this_host_by_its_loopback(lab: Lab, tmp_path: Path) -> None:
    """Rank 0's address is the one that the others reach, though this host was logged in to at 127.0.0.1."""
    known = lab[0].home / ".ssh" / "known_hosts"
    known.write_text(known.read_text() + known.read_text().splitlines()[0].replace("node0,", "localhost,") + "\n")
    listed = tmp_path / "hosts"
    listed.write_text("# ours\nlocalhost slots=2\nnode1\n")
    done = lab[0].run(
        *(word for word in command(f"@{listed}") if word not in ("--nproc-per-node", "1")), PYTHONPATH=str(ROOT)
    )
    assert (done.status, done.codes) == (0, []), done.out + done.err
    assert [node["ranks"] for node in done.document["nodes"]] == [[0, 1], [2]]
    assert done.document["snapshots"][0]["facts"]["allreduce"]["master_addr"] == lab[0].address


def test_the_links_between_hosts_need_no_torch(lab: Lab) -> None:
    done = lab[0].run(
        sys.executable, "-m", "envdoctor", "bench", "links", "--hosts", "node[0-2]", "--json", PYTHONPATH=str(ROOT)
    )
    assert (done.status, done.document["stage"], done.document["op"]) == (0, "done", "links"), done.out + done.err
    names = [host.name for host in lab.hosts]
    assert {(link["a"], link["b"]) for link in done.document["links"]} == {
        (a, b) for a in names for b in names if a != b
    }
    assert all(not node["torch"] for node in done.document["nodes"])
    assert not lab.orphans()


def no_key(lab: Lab) -> None:
    (lab[1].home / ".ssh" / "authorized_keys").write_text("")


def unknown_host_key(lab: Lab) -> None:
    known = lab[0].home / ".ssh" / "known_hosts"
    known.write_text("".join(line for line in known.read_text().splitlines(True) if "node1" not in line))


def changed_host_key(lab: Lab) -> None:
    known = lab[0].home / ".ssh" / "known_hosts"
    lines = known.read_text().splitlines()
    known.write_text("\n".join([lines[0], f"{lines[1].split()[0]} {lines[2].partition(' ')[2]}", lines[2]]) + "\n")


def sshd_down(lab: Lab) -> None:
    lab[1].stop_sshd()


def packets_dropped(lab: Lab) -> None:
    lab[1].fault("drop-ssh")


def no_shell(lab: Lab) -> None:
    lab[1].login("/usr/sbin/nologin")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (no_key, "denied"),
        (unknown_host_key, "host-key-unknown"),
        (changed_host_key, "host-key-changed"),
        (sshd_down, "refused"),
        (packets_dropped, "timeout"),
        (no_shell, "not-executed"),
    ],
)
def test_a_login_that_cannot_be(lab: Lab, fault: Callable[[Lab], None], outcome: str) -> None:
    fault(lab)
    done = bench(lab, "node[0-2]")
    assert (done.status, done.codes) == (1, ["node-unreachable"]), done.out + done.err
    assert done.nodes_of("node-unreachable") == ["node1"]
    assert done.document["stage"] == "start"
    reached = done.document["snapshots"][0]["facts"]["reached"]["hosts"]
    assert [host["outcome"] for host in reached] == ["ok", outcome, "ok"]
    assert done.seconds < ssh.CONNECT_S + AROUND_S
    assert not lab.orphans()


def test_a_name_that_is_none(lab: Lab) -> None:
    done = bench(lab, "node0,nodeX")
    assert (done.status, done.codes, done.nodes_of("node-unreachable")) == (1, ["node-unreachable"], ["nodeX"])


def test_the_first_host_cannot_be_reached_and_all_that_cannot_are_named(lab: Lab) -> None:
    done = bench(lab, "nodeX,node1,nodeY")
    assert done.status == 1
    findings = [finding for finding in done.document["findings"] if finding["code"] == "node-unreachable"]
    assert sorted(name for finding in findings for name in finding["nodes"]) == ["nodeX", "nodeY"]
    assert not lab.orphans()


def test_a_forced_command_is_no_answer(lab: Lab) -> None:
    lab[1].start_sshd("ForceCommand echo welcome to the menu")
    done = bench(lab, "node0,node1")
    assert (done.status, done.codes, done.nodes_of("node-answer-invalid")) == (1, ["node-answer-invalid"], ["node1"])


def test_a_banner_and_what_start_up_files_print_are_no_answer(lab: Lab) -> None:
    banner = lab[1].folder / "banner"
    banner.write_text("*** Connection refused for all strangers ***\n")
    lab[1].start_sshd(f"Banner {banner}")
    (lab[1].home / ".bashrc").write_text("echo welcome; echo more >&2\n")
    done = bench(lab, "node0,node1")
    assert (done.status, done.codes) == (0, []), done.out + done.err


@pytest.mark.parametrize("shell", ["dash", "csh", "zsh", "fish", "ksh"])
def test_whatever_the_login_shell(lab: Lab, shell: str) -> None:
    path = needs.program(shell, {"csh": "tcsh"}.get(shell, shell))
    lab[1].login(path)
    done = bench(lab, "node0,node1", "--sizes", "8:8")
    assert (done.status, done.codes) == (0, []), done.out + done.err


def hide(host: Host, folder: Path) -> None:
    """A host whose file system lacks a folder."""
    subprocess.run(["nsenter", "-t", str(host.pid), "-m", "mount", "-t", "tmpfs", "none", str(folder)], check=True)


def test_another_python_without_torch_and_none_at_all() -> None:
    needs.distribution("torch")
    with Lab(2) as lab:
        hide(lab[1], Path(sys.executable).parent.parent)
        done = bench(lab, "node0,node1")
        assert (done.status, done.codes) == (1, ["torch-missing"]), done.out + done.err
        assert done.nodes_of("torch-missing") == ["node1"]
        lab[1].start_sshd("SetEnv PATH=/nonexistent")
        done = bench(lab, "node0,node1")
        assert (done.status, done.codes) == (1, ["node-unreachable"]), done.out + done.err
        assert done.document["snapshots"][0]["facts"]["reached"]["hosts"][1]["outcome"] == "no-python"
        assert not lab.orphans()


# Whatever ends it, nothing is left behind


@pytest.fixture
def running(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """A benchmark on all three hosts, in the midst of it and far from its end."""
    process = lab[0].start(*command("node[0-2]", "--sizes", "4M:256M", "-v"), PYTHONPATH=str(ROOT))
    climbs(process, "sweep")
    yield process
    process.communicate(timeout=30)


def conductor(lab: Lab) -> int:
    return next(pid for pid, words in lab[0].at_work().items() if "-m envdoctor" in words and "nsenter" not in words)


def agent(host: Host) -> int:
    """The process below sshd's session; the ranks are below it."""
    own = [pid for pid, words in host.at_work().items() if "boot" in words]
    parents = {pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in own}
    return next(pid for pid in own if parents[pid] not in own)


def test_ctrl_c(lab: Lab, running: subprocess.Popen[str]) -> None:
    os.kill(conductor(lab), signal.SIGINT)
    assert not lab.orphans(AROUND_S)
    assert running.wait(AROUND_S) == 130


def test_ctrl_c_while_a_host_does_not_answer(lab: Lab) -> None:
    """The logins that still try are ended as well, and the hosts that wait for the others."""
    lab[1].fault("drop-ssh")
    process = lab[0].start(*command("node[0-2]"), PYTHONPATH=str(ROOT))
    until = time.monotonic() + AROUND_S
    while not any("boot" in words for words in lab[2].at_work().values()):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(conductor(lab), signal.SIGINT)
    assert process.wait(AROUND_S) == 130
    assert not lab.orphans(AROUND_S)


def test_the_conductor_is_killed(lab: Lab, running: subprocess.Popen[str]) -> None:
    os.kill(conductor(lab), signal.SIGKILL)
    assert not lab.orphans(AROUND_S)


@pytest.mark.parametrize("place", [0, 2])
def test_an_agent_is_killed(lab: Lab, running: subprocess.Popen[str], place: int) -> None:
    began = time.monotonic()
    os.kill(agent(lab[place]), signal.SIGKILL)
    out, err = running.communicate(timeout=30)
    done = Ended(running.returncode, out, err, time.monotonic() - began)
    assert (done.status, done.codes) == (1, ["peer-died"]), out + err
    assert done.nodes_of("peer-died") == [f"node{place}"]
    assert done.seconds < AROUND_S
    assert not lab.orphans()


def test_the_cable_of_a_host_is_cut(lab: Lab, running: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    lab[2].fault("cut")
    out, err = running.communicate(timeout=60)
    done = Ended(running.returncode, out, err, time.monotonic() - began)
    assert done.status == 1 and done.seconds < CUT_S + AROUND_S, out + err
    assert set(done.codes) <= {"peer-died", "node-unreachable"} and done.codes, out
    assert all(finding["nodes"] == ["node2"] for finding in done.document["findings"]), out
    assert not lab.orphans(CUT_S + AROUND_S)


def test_variables_of_training_go_along_and_others_do_not() -> None:
    told = carried({"NCCL_DEBUG": "INFO", "GLOO_SOCKET_IFNAME": "eth0", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "x"})
    assert told == {"NCCL_DEBUG": "INFO", "GLOO_SOCKET_IFNAME": "eth0"}


@pytest.mark.parametrize("option", [("--nnodes", "2"), ("--node-rank", "0"), ("--master-addr", "10.0.0.1")])
def test_what_contradicts_hosts_is_refused(option: tuple[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "envdoctor", "bench", "allreduce", "--hosts", "a,b", *option],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"leave {option[0]} out" in done.stderr
