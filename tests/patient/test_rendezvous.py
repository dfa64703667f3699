"""envdoctor/patient/rendezvous.py and names.py: real sockets, processes, network namespaces and torchrun."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envdoctor.facts.names import numeric_address
from envdoctor.patient import names, reading, rendezvous
from envdoctor.patient.sections import Ask
from tests import ROOT, needs

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells who holds a port")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MASTER_", "PET_", "TORCHELASTIC", "SLURM", "ARNOLD_", "METIS_", "MLP_")):
            monkeypatch.delenv(name)


@contextlib.contextmanager
def listening(address: str = "0.0.0.0", reuse: bool = False) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as held:
        if reuse:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((address, 0))
        held.listen(1)
        yield held.getsockname()[1]


def look(port: int = 0) -> dict[str, Any]:
    return rendezvous.rendezvous_port(Ask({"port": port}))


def test_the_usual_port_is_looked_at_when_nothing_names_one() -> None:
    told = look()
    assert (told["port"], told["given"], told["source"]) == (29500, "29500", "")
    assert told["unprivileged_from"] is not None


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
@LINUX
def test_a_held_port_names_its_holder(address: str) -> None:
    # Another process than an ancestor of the doctor: a Python that listens.
    code = f"""if True:
        import socket, time
        s = socket.socket(); s.bind(({address!r}, 0)); s.listen()
        print(s.getsockname()[1], flush=True); time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        told = look(port)
        holder.kill()
    assert told["bind"] == {"ipv6": "EADDRINUSE", "ipv4": "EADDRINUSE"}
    (found,) = told["holders"]
    assert found["pid"] == holder.pid
    assert found["listens"] and not found["own"]
    assert found["address"] == address
    assert found["command"].startswith("python") and found["command"].endswith("-c ...")
    assert found["user"]
    assert told["free_port"] > port


@LINUX
def test_an_ancestor_that_holds_the_port_is_no_intruder() -> None:
    with listening() as port:
        # The tests' own process listens and asks a child, as torchrun's agent does with its workers.
        code = (
            "import json,sys; from envdoctor.patient.rendezvous import *; print(json.dumps(holders(int(sys.argv[1]))))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(port)], cwd=ROOT, capture_output=True, text=True, check=True
        )
    (found,) = json.loads(done.stdout)
    assert found["pid"] == os.getpid() and found["own"]


@LINUX
def test_ipv6_loopback_alone_does_not_keep_torch_from_the_port() -> None:
    with listening("::1") as port:
        told = look(port)
    assert told["bind"]["ipv4"] == "" and told["holders"] == []


@LINUX
def test_time_wait_hinders_nobody() -> None:
    with listening(reuse=True) as port:
        client = socket.create_connection(("127.0.0.1", port))
    # The closed listener's accepted side is gone first: the port is in TIME_WAIT or FIN_WAIT, as after a crash.
    client.close()
    time.sleep(0.1)
    assert "" in look(port)["bind"].values()


@pytest.mark.parametrize(
    ("variables", "port", "source"),
    [
        ({"MASTER_PORT": "23456"}, 23456, "MASTER_PORT"),
        ({"PET_MASTER_PORT": "23456"}, 23456, "PET_MASTER_PORT"),
        ({"PET_RDZV_ENDPOINT": "gpu01:29401"}, 29401, "PET_RDZV_ENDPOINT"),
        ({"PET_RDZV_ENDPOINT": "gpu01"}, 29500, ""),
        ({"ARNOLD_WORKER_0_PORT": "9001,9002"}, 9001, "ARNOLD_WORKER_0_PORT"),
        ({"MASTER_PORT": "9001,9002"}, None, "MASTER_PORT"),
        ({"MASTER_PORT": "70000"}, None, "MASTER_PORT"),
        ({"MASTER_PORT": "0"}, 0, "MASTER_PORT"),
    ],
    ids=str,
)
def test_which_port_is_meant(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], port: int | None, source: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = look()
    assert (told["port"], told["source"]) == (port, source)


@pytest.mark.root
def test_a_port_for_root_is_denied_to_others() -> None:
    needs.root()
    code = (
        "import json,socket; from envdoctor.patient.rendezvous import *; os.setuid(9999); print(json.dumps(bind(81)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"ipv6": "EACCES", "ipv4": "EACCES"}


@pytest.mark.root
def test_another_users_process_is_known_by_its_user_alone() -> None:
    needs.root()
    with listening() as port:
        code = (
            "import os,json,sys,socket,struct; from envdoctor.patient import rendezvous as r; os.setuid(65534);"
            "print(json.dumps(r.holders(int(sys.argv[1]))))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(port)], cwd=ROOT, capture_output=True, text=True, check=True
        )
    (found,) = json.loads(done.stdout)
    assert (found["pid"], found["user"], found["command"], found["own"]) == (0, "root", "", False)


def test_commands_are_shown_without_their_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    for pid, words in enumerate(
        (
            ["/usr/bin/python3.11", "-u", "/home/me/train.py", "--token", "hunter2"],
            ["python", "-m", "torch.distributed.run", "--nproc", "8"],
            ["/usr/sbin/sshd", "-D"],
            ["python", "-c", "secret='hunter2'"],
        ),
        1,
    ):
        folder = tmp_path / "proc" / str(pid)
        folder.mkdir(parents=True)
        (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
    assert [rendezvous.command(pid) for pid in (1, 2, 3, 4)] == [
        "python3.11 train.py",
        "python -m torch.distributed.run",
        "sshd",
        "python -c ...",
    ]
    assert rendezvous.command(5) == ""


def test_one_job_step_is_told_by_its_variables() -> None:
    step = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "1"}
    assert rendezvous.same_job(step, dict(step))
    assert not rendezvous.same_job(step, {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"})
    assert not rendezvous.same_job({"TORCHELASTIC_RUN_ID": "none"}, {"TORCHELASTIC_RUN_ID": "none"})
    assert not rendezvous.same_job({}, {})


@pytest.mark.torch
@LINUX
def test_torchruns_own_agent_is_recognised(tmp_path: Path) -> None:
    torchrun = Path(sys.executable).with_name("torchrun")
    if not torchrun.exists():
        pytest.skip("torch is not installed beside this Python")
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(f"""
        import json, os, sys
        sys.path.insert(0, {str(ROOT)!r})
        from envdoctor.patient import rendezvous
        from envdoctor.patient.sections import Ask
        with open({str(tmp_path)!r} + "/said." + os.environ["RANK"], "w") as said:
            json.dump(rendezvous.rendezvous_port(Ask({{}})), said)
        """)
    )
    with listening() as free:
        pass
    command = [str(torchrun), "--nproc-per-node=2", "--master-addr=127.0.0.1", f"--master-port={free}", str(script)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for rank in "01":
        told = json.loads((tmp_path / f"said.{rank}").read_text())
        assert told["source"] == "MASTER_PORT" and told["bind"]["ipv4"] == "EADDRINUSE"
        assert told["holders"][0]["own"], told
        assert "torchrun" in told["holders"][0]["command"]


# A network of this process alone: test runs side by side must not meet.
NET = f"10.213.{os.getpid() % 250}"


@pytest.fixture
def far_away() -> Iterator[str]:
    """A network namespace behind a cable: NET.2 answers, NET.3 does not exist."""
    needs.root()
    needs.program("ip", "iproute2")
    name = f"doctor{os.getpid()}"
    script = f"""
    ip netns add {name}
    ip link add {name[:13]}a type veth peer name eth0 netns {name}
    ip addr add {NET}.1/24 dev {name[:13]}a && ip link set {name[:13]}a up
    ip -n {name} addr add {NET}.2/24 dev eth0 && ip -n {name} link set eth0 up
    ip -n {name} route add blackhole {NET}.1/32 table 99
    """
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.root
def test_what_answers_elsewhere(far_away: str) -> None:
    listen = f"import socket; s=socket.socket(); s.bind(('{NET}.2',29555)); s.listen(); print(1,flush=True); s.accept()"
    with subprocess.Popen(
        ["ip", "netns", "exec", far_away, sys.executable, "-c", listen], stdout=subprocess.PIPE
    ) as listener:
        try:
            assert listener.stdout is not None
            listener.stdout.readline()
            assert rendezvous.dial(f"{NET}.2", 29555, 3.0) == "connected"
            listener.wait(10)
        finally:
            listener.kill()
    assert rendezvous.dial(f"{NET}.2", 29555, 3.0) == "refused"
    assert rendezvous.dial(f"{NET}.3", 29555, 0.3) == "timeout"
    # Its answers no longer find the way back: it is silent, as behind a firewall that drops.
    subprocess.run(["ip", "-n", far_away, "rule", "add", "to", f"{NET}.1", "table", "99"], check=True)
    assert rendezvous.dial(f"{NET}.2", 29555, 0.3) == "timeout"
    told = rendezvous.probe(f"{NET}.2", 29555, "store", 0.3)
    assert (told["outcome"], told["elsewhere"], told["local"]) == ("timeout", "timeout", False)
    here = rendezvous.probe(f"{NET}.1", 29555, "store", 0.3)
    assert (here["outcome"], here["local"]) == ("", True)


@pytest.mark.root
def test_no_route_is_named_by_its_error() -> None:
    needs.root()
    ip = needs.program("ip", "iproute2")
    subprocess.run([ip, "route", "add", "unreachable", "10.214.9.0/24"], check=True)
    try:
        assert rendezvous.dial("10.214.9.1", 1, 1.0) == "EHOSTUNREACH"
    finally:
        subprocess.run([ip, "route", "del", "unreachable", "10.214.9.0/24"], check=True)


def test_endpoints_named_by_variables_are_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening("127.0.0.1") as port:
        monkeypatch.setenv("PET_RDZV_BACKEND", "etcd-v2")
        monkeypatch.setenv("PET_RDZV_ENDPOINT", f"127.0.0.1:{port}")
        monkeypatch.setenv("MASTER_ADDR", "no-such-host.invalid")
        (etcd, store) = rendezvous.rendezvous_reach(Ask({}))["targets"]
    assert (etcd["kind"], etcd["port"], etcd["local"], etcd["http_status"]) == ("etcd", port, True, 0)
    assert (store["kind"], store["port"], store["outcome"]) == ("store", 29500, "unresolvable")
    assert store["error"].startswith("EAI_")


def test_an_etcd_that_answers() -> None:
    code = """if True:
        from http.server import HTTPServer, SimpleHTTPRequestHandler
        server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
        print(server.server_port, flush=True); server.handle_request()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd="/"
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        assert rendezvous.http_status("127.0.0.1", port, "/", 3.0) == 200
        server.wait()


def test_names_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/hostname").write_text("gpu01.lab\n")
    (tmp_path / "etc/hosts").write_text(
        "127.0.0.1 localhost\n# 10.9.9.9 gpu01\n127.0.1.1\tGPU01.lab gpu01 # us\n\n::1 x\n"
    )
    (tmp_path / "etc/nsswitch.conf").write_text("passwd: files\nhosts: files [NOTFOUND=return] dns # x\n")
    told = names.host_names(Ask({}))
    assert told["name"] == "gpu01.lab"
    assert told["hosts_lines"] == [{"line": 3, "address": "127.0.1.1", "names": ["GPU01.lab", "gpu01"]}]
    assert told["name_services"] == ["files", "dns"]
    (tmp_path / "etc/nsswitch.conf").unlink()
    assert names.name_services() == []


def test_the_resolver_is_asked_for_the_own_name_and_the_masters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    told = names.name_resolution(Ask({}))
    own, master = told["resolutions"]
    assert own["own"] and own["source"] == "" and own["in_time"]
    assert (master["name"], master["source"], master["ipv4"], master["local"]) == (
        "127.0.0.1", "MASTER_ADDR", ["127.0.0.1"], ["127.0.0.1"],
    )  # fmt: skip
    assert told["fully_qualified"]


def test_a_name_server_that_does_not_answer_costs_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(name: str) -> dict[str, Any]:
        if name == "slow":
            time.sleep(30)
        return {"ipv4": ["10.0.0.1"]}

    monkeypatch.setattr(names, "look_up", look_up)
    began = time.monotonic()
    assert names.resolve_all(["slow", "fast"], 0.2) == {"fast": {"ipv4": ["10.0.0.1"]}}
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", ["12345", "6834975", "0x1f", "1.2", "010.1"])
def test_a_name_of_digits_is_an_address_to_the_resolver(name: str) -> None:
    # What inet_aton reads, the resolver answers without asking anybody.
    assert names.look_up(name)["ipv4"] == [numeric_address(name)]


@pytest.mark.parametrize("name", ["10.0.0.1", "gpu01", "1a", "", "999.1.1.1.1", "4294967296", "0x"])
def test_ordinary_names_are_not(name: str) -> None:
    assert numeric_address(name) == ""
