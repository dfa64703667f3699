"""Whether training over several nodes is meant, as far as the environment and the own addresses tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.launch import Launch, launches
from envdoctor.facts.names import NameResolution
from envdoctor.facts.nics import Nics
from envdoctor.facts.rdma import Rdma

# So many active ports of one board on a node are the rails of a fabric for GPUs, not the server's network.
RAILS = 4
SHOWING = ("nodes", "hosts", "world_size", "local_world_size")


@dataclass(frozen=True)
class Scale:
    """`several` is None where nothing tells. `shown_by` says what does: "WORLD_SIZE=16, LOCAL_WORLD_SIZE=8"."""

    several: bool | None = None
    shown_by: str = ""


def _shown(launch: Launch, environment: Environment) -> str:
    names = [launch.sources[role] for role in SHOWING if role in launch.sources]
    first = names[:1] if launch.nodes is not None or launch.hosts else names
    return ", ".join(f"{name}={environment.get(name)}" for name in first)


def scale(environment: Environment, nics: Nics | None = None, resolution: NameResolution | None = None) -> Scale:
    """Whether several nodes take part: what the launchers' variables say, then MASTER_ADDR, as an address or as a name
    that leads elsewhere.

    A hint of several nodes outweighs hints of one: a single-node allocation does not bind a MASTER_ADDR elsewhere.
    """
    hints = [(launch.several_nodes, launch) for launch in launches(environment)]
    for several, launch in hints:
        if several:
            return Scale(True, _shown(launch, environment))
    if nics is not None and nics.master and nics.owner(nics.master) is None:
        return Scale(True, f"MASTER_ADDR={nics.master} is no address of this machine")
    master = (environment.get("MASTER_ADDR") or "").strip()
    found = resolution.of(master) if resolution is not None and master else None
    if found is not None and found.addresses and not found.is_here:
        return Scale(True, f"MASTER_ADDR={master} ({found.addresses[0]}) is no address of this machine")
    for several, launch in hints:
        if several is False:
            return Scale(False, _shown(launch, environment))
    if master in ("localhost", "127.0.0.1", "::1"):
        return Scale(False, f"MASTER_ADDR={master}")
    return Scale()


def rdma_is_meant(told: Scale, rdma: Rdma, host: Host | None = None) -> bool:
    """Whether data is to go over RDMA: several nodes take part, or nothing tells and the fabric was built for it.

    The Ethernet adapters of any server, and of many virtual machines, offer RDMA that nobody asked for; and a container
    sees the adapters of its machine whether or not it was given them.
    """
    if told.several is not None:
        return told.several
    if (host is None or host.container) and not any(device.usable for device in rdma.devices):
        return False
    rails = Counter(device.board for device, _ in rdma.active if device.board)
    return any(port.link_layer != "Ethernet" for _, port in rdma.active) or max(rails.values(), default=0) >= RAILS
