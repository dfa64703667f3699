"""Several nodes on one switch for tests of benchmarks: network namespaces on a bridge in a namespace of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests import needs
from tests.bench.nodes import Node

_number = itertools.count()


QUEUE_MS = 50  # of data wait where a rate is limited


def shape(node: Node, rate: str) -> None:
    """Let no more than `rate` ("200mbit") leave a node, and as little come in."""
    told = f"rate {rate} burst 256kb latency {QUEUE_MS}ms"
    subprocess.run(
        ["tc", "-n", node.name, "qdisc", "replace", "dev", node.interface, "root", "tbf", *told.split()], check=True
    )
    subprocess.run(
        ["tc", "-n", switch_of(node), "qdisc", "replace", "dev", f"p{node.interface}", "root", "tbf", *told.split()],
        check=True,
    )  # fmt: skip


def slow_path(node: Node, other: Node, rate: str, slow: str) -> None:
    """Let a node send at `rate`, but to one other only at `slow` ("15mbit")."""
    # htb's own queue holds a second of it: what acknowledges the other direction would wait that long.
    limit = int(slow[: -len("mbit")]) * 1000 // 8 * QUEUE_MS
    tc = ["tc", "-n", node.name]
    of = ["dev", node.interface, "parent", "1:"]
    for words in (
        ["qdisc", "replace", "dev", node.interface, "root", "handle", "1:", "htb", "default", "10"],
        ["class", "add", *of, "classid", "1:10", "htb", "rate", rate],
        ["class", "add", *of, "classid", "1:20", "htb", "rate", slow],
        ["qdisc", "add", "dev", node.interface, "parent", "1:20", "bfifo", "limit", str(limit)],
        ["filter", "add", *of, "protocol", "ip", "u32", "match", "ip", "dst", other.address, "flowid", "1:20"],
    ):
        subprocess.run([*tc, *words], check=True, capture_output=True)


def second_nic(nodes: tuple[Node, ...], rate: str = "") -> None:
    """Give each node another interface, v0 and so on, 10.7.0.1 and so on, on a switch of its own."""
    subprocess.run(["ip", "-n", switch_of(nodes[0]), "link", "add", "br1", "up", "type", "bridge"], check=True)
    for place, node in enumerate(nodes):
        cable = ["type", "veth", "peer", "name", f"pv{place}", "netns", switch_of(node)]
        subprocess.run(["ip", "-n", node.name, "link", "add", f"v{place}", *cable], check=True)
        subprocess.run(["ip", "-n", switch_of(node), "link", "set", f"pv{place}", "master", "br1", "up"], check=True)
        node.ip(f"link set v{place} up")
        node.ip(f"addr add 10.7.0.{place + 1}/24 dev v{place}")
        if rate:
            shape(replace(node, interface=f"v{place}"), rate)


def switch_of(node: Node) -> str:
    """The namespace of the switch that a node is on: its port there is "p" and the name of its interface."""
    return "sw-" + node.name.partition("-")[2]


@contextmanager
def several(count: int, rate: str = "") -> Iterator[tuple[Node, ...]]:
    """`count` nodes, 10.8.0.1 and so on, each shaped to `rate`; gone afterwards, with all that runs on them."""
    needs.root()
    needs.program("ip", "iproute2")
    needs.program("tc", "iproute2")
    number = f"{os.getpid()}-{next(_number)}"
    switch = f"sw-{number}"
    nodes = tuple(Node(f"n{place}-{number}", f"w{place}", f"10.8.0.{place + 1}") for place in range(count))
    hosts = "127.0.0.1 localhost\n" + "".join(f"{node.address} {node.name}\n" for node in nodes)
    try:
        subprocess.run(["ip", "netns", "add", switch], check=True, capture_output=True)
        subprocess.run(["ip", "-n", switch, "link", "add", "br0", "type", "bridge"], check=True)
        subprocess.run(["ip", "-n", switch, "link", "set", "br0", "up"], check=True)
        for node in nodes:
            subprocess.run(["ip", "netns", "add", node.name], check=True, capture_output=True)
            folder = Path("/etc/netns") / node.name  # `ip netns exec` shows its files in /etc
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(hosts)
            port = f"p{node.interface}"
            cable = ["type", "veth", "peer", "name", port, "netns", switch]
            subprocess.run(["ip", "-n", node.name, "link", "add", node.interface, *cable], check=True)
            subprocess.run(["ip", "-n", switch, "link", "set", port, "master", "br0", "up"], check=True)
            node.ip("link set lo up")
            node.ip(f"link set {node.interface} up")
            node.ip(f"addr add {node.address}/24 dev {node.interface}")
            if rate:
                shape(node, rate)
        yield nodes
    finally:
        for node in nodes:
            if (Path("/run/netns") / node.name).exists():
                for pid in node.processes():
                    os.kill(pid, signal.SIGKILL)
            for process in node.started:
                process.communicate(timeout=10)
            subprocess.run(["ip", "netns", "delete", node.name], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / node.name, ignore_errors=True)
        subprocess.run(["ip", "netns", "delete", switch], capture_output=True)
