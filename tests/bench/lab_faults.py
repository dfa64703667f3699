"""Faults for hosts of a lab: how each is put in, and what must be said of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envdoctor.bench import rungs
from tests.lab.hosts import Host, Lab

PORT = 29500
NOBODY = "10.91.0.99"
DATA_PORTS = "32768-60999"  # net.ipv4.ip_local_port_range
ALL = ("hand", "ssh", "torchrun")
MANAGED = ("hand", "ssh")  # before torchrun's workers start, torchrun itself waits or fails


def _nothing(lab: Lab) -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """One fault, between node0, where rank 0 is, and node1.

    Attributes:
        code: that must be found. host: a name or address that its finding must hold, or several, one of which it must.
        told_by: started by hand, the node whose report says so; -1 for both.
        ways: in which it can arise.
        put: puts it in. variables: of both nodes. options: started by hand, by node rank, further ones.
        alone: node1 is not started. twice: one more node has node1's number. strike: see
            `tests.bench.fault_runs`: "kill", "cut" in the midst of it, "freeze" before the roll is called.
        within_s: of the strike, where it is struck.
    """

    name: str
    code: str
    host: str = "node1"
    told_by: int = 1
    ways: tuple[str, ...] = ALL
    put: Callable[[Lab], None] = _nothing
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    alone: bool = False
    twice: bool = False
    strike: str = ""
    within_s: float = 0.0


def rule(host: Host, words: str) -> None:
    """A rule for what comes in at a host."""
    text = f"table inet fault {{ chain i {{ type filter hook input priority 0; iifname eth0 {words}; }}; }}\n"
    subprocess.run(["ip", "netns", "exec", host.namespace, "nft", "-f", "-"], input=text, text=True, check=True)


def _into(place: int, words: str) -> Callable[[Lab], None]:
    """What comes into a node from the other one."""
    return lambda lab: rule(lab[place], f"ip saddr {lab[1 - place].address} {words}")


def _both(words: str) -> Callable[[Lab], None]:
    def put(lab: Lab) -> None:
        for place in (0, 1):
            _into(place, words)(lab)

    return put


def _black_hole(*places: int) -> Callable[[Lab], None]:
    """Larger packets vanish on their way into these nodes. A rule sees what is sent in one piece, not what a wire would
    carry: the senders are to hand over one packet at a time."""

    def put(lab: Lab) -> None:
        for place in (0, 1):
            lab[place].ip("link set eth0 gso_max_segs 1")
        for place in places:
            _into(place, "ip length > 1000 drop")(lab)

    return put


def _silent_to_each_other(lab: Lab) -> None:
    """node1 and node0 do not reach each other, whoever else does."""
    _both("drop")(lab)


def _docker0(lab: Lab) -> None:
    for place in (0, 1):
        lab[place].ip("link add docker0 type bridge")
        lab[place].ip("addr add 172.17.0.1/16 dev docker0")
        lab[place].ip("link set docker0 up")


def _renamed(lab: Lab) -> None:
    for words in ("down", "name eth1", "up"):
        lab[1].ip(f"link set {'eth1' if words == 'up' else 'eth0'} {words}")


def _names_on_loopback(lab: Lab) -> None:
    for place in (0, 1):
        others = "".join(f"{one.address} {one.name}\n" for one in lab.hosts if one is not lab[place])
        (lab[place].folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {lab[place].name}\n{others}")


def _nameless(lab: Lab) -> None:
    """Without a name gloo takes loopback; with one of two on loopback, the other may still be reached."""
    for place in (0, 1):
        others = "".join(f"{one.address} {one.name}\n" for one in lab.hosts if one is not lab[place])
        (lab[place].folder / "hosts").write_text(f"127.0.0.1 localhost\n{others}")


def _taken(lab: Lab) -> None:
    holder = lab[0].start(sys.executable, "-u", "-m", "http.server", str(PORT))
    assert holder.stdout is not None and "Serving" in holder.stdout.readline()


def torch_folder() -> Path:
    """Where torch is installed, found without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _in_place_of(file: str, change: Callable[[str], str]) -> Callable[[Lab], None]:
    """On node1 a file of torch is another one."""

    def put(lab: Lab) -> None:
        real = torch_folder() / file
        other = lab[1].folder / "changed.py"
        other.write_text(change(real.read_text()))
        assert lab[1].run("mount", "--bind", str(other), str(real)).status == 0

    return put


_ETCD = {"PET_RDZV_BACKEND": "etcd-v2", "PET_RDZV_ENDPOINT": f"{NOBODY}:2379", "PET_RDZV_ID": "x"}
_OWN_CHOICE = {"GLOO_SOCKET_IFNAME": ""}
_NEW = f"tcp dport {DATA_PORTS} ct state new"
EITHER = "node0|node1"  # both have it; under torchrun one of them may be ended before it has said so
MASTER = "10.91.0.1"  # of node0

FAULTS = (
    Fault("rank-missing", "rank-missing", "node 1", 0, ("hand",), alone=True),
    Fault("rank-missing-frozen", "rank-missing", "node 1", 0, ("ssh",), strike="freeze", within_s=14.0),
    Fault("master-unreachable", "master-unreachable", NOBODY, ways=("hand",), options={1: ("--master-addr", NOBODY)}),
    Fault("master-unreachable-routed", "master-unreachable", MASTER, ways=MANAGED, put=_silent_to_each_other),
    Fault("firewall-refused", "firewall-blocks-ports", MASTER, ways=MANAGED,
          put=_into(0, f"tcp dport {PORT} reject with tcp reset")),
    Fault("firewall-rejected", "firewall-blocks-ports", MASTER, ways=MANAGED, put=_into(0, f"tcp dport {PORT} reject")),
    Fault("firewall-dropped", "firewall-blocks-ports", MASTER, ways=MANAGED, put=_into(0, f"tcp dport {PORT} drop")),
    Fault("firewall-data-refused", "firewall-blocks-ports", told_by=-1, put=_both(f"{_NEW} reject with tcp reset")),
    Fault("firewall-data-dropped", "firewall-blocks-ports", told_by=-1, put=_both(f"{_NEW} drop")),
    Fault("firewall-data-one-way", "firewall-blocks-ports", told_by=-1, put=_into(0, f"{_NEW} drop")),
    Fault("wrong-interface", "wrong-interface", EITHER, put=_docker0, variables={"GLOO_SOCKET_IFNAME": "docker0"}),
    Fault("interface-missing", "interface-missing", put=_renamed),
    Fault("hostname-loopback", "hostname-loopback", EITHER, put=_names_on_loopback, variables=_OWN_CHOICE),
    Fault("hostname-unresolvable", "hostname-unresolvable", "nosuchhost", ways=("hand",),
          options={1: ("--master-addr", "nosuchhost")}),
    Fault("hostname-unresolvable-own", "hostname-unresolvable", EITHER, put=_nameless, variables=_OWN_CHOICE),
    Fault("mtu-mismatch", "mtu-mismatch", told_by=-1, put=_black_hole(0, 1)),
    Fault("mtu-mismatch-one-way", "mtu-mismatch", told_by=-1, put=_black_hole(1)),
    Fault("port-in-use", "port-in-use", "node0", 0, MANAGED, put=_taken),
    Fault("rank-duplicate", "rank-duplicate", "node2", 0, ("hand",), twice=True),
    Fault("world-size-mismatch", "world-size-mismatch", told_by=-1, ways=("hand",), options={1: ("--nnodes", "3")}),
    Fault("torch-version-mismatch", "torch-version-mismatch", told_by=0,
          put=_in_place_of("version.py", lambda text: text + "\n__version__ = '2.1.0+cpu'\n")),
    Fault("torch-import-fails", "torch-import-fails", told_by=-1, ways=MANAGED,
          put=_in_place_of("version.py", lambda text: "raise ImportError('libcudart.so.12: cannot open')\n")),
    Fault("etcd-unreachable", "etcd-unreachable", NOBODY, ways=MANAGED, variables=_ETCD),
    Fault("peer-died", "peer-died", told_by=0, strike="kill", within_s=3.0),
    Fault("peer-silent", "peer-died", told_by=0, strike="cut", within_s=rungs.SILENT_S + rungs.GRACE_S + 4.0),
)  # fmt: skip
