"""Two nodes for tests of benchmarks: network namespaces with names, addresses and hosts files of their own."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import needs

_number = itertools.count()
LIMIT_S = 60.0
TOOK: dict[int, float] = {}  # process id -> seconds it ran
# The nodes wait for each other for so long: with other tests beside it one may start seconds after the other.
USUAL = ("--nproc-per-node", "1", "--sizes", "8:256K", "--timeout", "40", "--json")
JOIN_S = 8
SOON = ("--timeout", str(JOIN_S))  # where one of them waits in vain


@dataclass
class Ended:
    """How a command on a node ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        told = json.loads(self.out)
        assert isinstance(told, dict)
        return told

    @property
    def codes(self) -> list[str]:
        """The findings that are errors, the first to act on first."""
        return [finding["code"] for finding in self.document["findings"] if finding["severity"] == "error"]

    def nodes_of(self, code: str) -> list[str]:
        return next(finding["nodes"] for finding in self.document["findings"] if finding["code"] == code)


@dataclass
class Node:
    """A node: its name, its namespace, its interface and its address."""

    name: str
    interface: str
    address: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def ip(self, words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words.split()], check=True, capture_output=True)

    def nft(self, rules: str) -> None:
        """Load rules of the chain `input` of this node."""
        text = "table inet fault {\n chain input {\n type filter hook input priority 0\n" + rules + "\n }\n}\n"
        subprocess.run(["ip", "netns", "exec", self.name, "nft", "-f", "-"], input=text, text=True, check=True)

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "GLOO_"))}
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', self.name,
             *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environ, "GLOO_SOCKET_IFNAME": self.interface, **variables},
        )  # fmt: skip
        began = time.monotonic()

        def watch() -> None:
            process.wait()
            TOOK[process.pid] = time.monotonic() - began

        threading.Thread(target=watch, daemon=True).start()
        self.started.append(process)
        return process

    def bench(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start `envdoctor bench allreduce` here."""
        return self.start(sys.executable, "-m", "envdoctor", "bench", "allreduce", *USUAL, *options, **variables)

    def processes(self) -> list[int]:
        """What runs in this namespace, whoever started it."""
        told = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True).stdout
        return [int(pid) for pid in told.split()]


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command and take what it said."""
    out, err = process.communicate(timeout=LIMIT_S)
    while process.pid not in TOOK:
        time.sleep(0.01)
    return Ended(process.returncode, out, err, TOOK[process.pid])


def climbs(process: subprocess.Popen[str], rung: str) -> None:
    """Wait until a benchmark that was started with -v begins a rung."""
    assert process.stderr is not None
    said = []
    while line := process.stderr.readline():
        said.append(line)
        if line == f"envdoctor: {rung}\n":
            return
    raise AssertionError(f"it never came to {rung}: {''.join(said)}")


def by_hand(first: Node, second: Node, *options: str, **variables: str) -> tuple[Ended, Ended]:
    """Start both by hand, as in the manual, and wait for both."""
    common = ("--nnodes", "2", "--master-addr", first.address, *options)
    one = first.bench(*common, "--node-rank", "0", **variables)
    two = second.bench(*common, "--node-rank", "1", **variables)
    return ended(one), ended(two)


def gone(node: Node, within_s: float = 10.0) -> bool:
    """Whether nothing runs on a node any longer, soon."""
    until = time.monotonic() + within_s
    while node.processes():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def two() -> Iterator[tuple[Node, Node]]:
    """Two nodes, 10.9.0.1 and 10.9.0.2; gone afterwards, with all that runs on them."""
    needs.root()
    needs.program("ip", "iproute2")
    needs.program("nft", "nftables")
    number = f"{os.getpid()}-{next(_number)}"
    nodes = tuple(Node(f"bn{place}-{number}", f"w{place}", f"10.9.0.{place + 1}") for place in range(2))
    hosts = "".join(f"{node.address} {node.name}\n" for node in nodes)
    try:
        for node in nodes:
            subprocess.run(["ip", "netns", "add", node.name], check=True, capture_output=True)
            folder = Path("/etc/netns") / node.name  # `ip netns exec` shows its files in /etc
            folder.mkdir(parents=True)
            (folder / "hosts").write_text("127.0.0.1 localhost\n" + hosts)
        cable = ["type", "veth", "peer", "name", nodes[1].interface, "netns", nodes[1].name]
        subprocess.run(["ip", "-n", nodes[0].name, "link", "add", nodes[0].interface, *cable], check=True)
        for node in nodes:
            node.ip("link set lo up")
            node.ip(f"link set {node.interface} up")
            node.ip(f"addr add {node.address}/24 dev {node.interface}")
        yield nodes[0], nodes[1]
    finally:
        for node in nodes:
            for pid in node.processes():
                os.kill(pid, signal.SIGKILL)
            for process in node.started:
                process.communicate(timeout=10)
            subprocess.run(["ip", "netns", "delete", node.name], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / node.name, ignore_errors=True)
