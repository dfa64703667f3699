"""RDMA devices (InfiniBand, RoCE, EFA) and what a process needs to use them."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass, field


@functools.lru_cache(maxsize=4096)
def _address(gid: str) -> str:
    value = ipaddress.IPv6Address(gid)
    return str(value.ipv4_mapped or value)


@dataclass(frozen=True)
class Gid:
    """A filled slot of a port's GID table.

    Attributes:
        gid: eight groups of four hexadecimal digits.
        type: "IB/RoCE v1", "RoCE v2", or empty where the slot is not mapped into this container.
        netdev: network interface the address belongs to.

    Raises ValueError for a `gid` that is none: decoded from a snapshot, the fact is invalid then.
    """

    index: int = 0
    gid: str = ""
    type: str = ""
    netdev: str = ""

    def __post_init__(self) -> None:
        ipaddress.IPv6Address(self.gid)

    @property
    def address(self) -> str:
        """As an IP address: "10.0.0.1" for an IPv4-mapped GID, else IPv6."""
        return _address(self.gid)

    @property
    def version(self) -> int | None:
        """RoCE version, None if unknown."""
        return {"IB/RoCE v1": 1, "RoCE v1": 1, "RoCE v2": 2}.get(self.type)


@dataclass(frozen=True)
class Port:
    """A port of an RDMA device.

    Attributes:
        state: "ACTIVE", "INIT", "ARMED", "DOWN".
        physical_state: "LinkUp", "Polling", "Disabled", "Sleep", ...
        link_layer: "InfiniBand" or "Ethernet".
        rate_gbps, rate_text: 200 of "200 Gb/sec (4X HDR)".
        counters: error counters since the driver was loaded.
    """

    number: int = 1
    state: str = "ACTIVE"
    physical_state: str = "LinkUp"
    link_layer: str = "InfiniBand"
    rate_gbps: float | None = None
    rate_text: str = ""
    gids: tuple[Gid, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return self.state == "ACTIVE"

    @property
    def switched_off(self) -> bool:
        """Taken down on purpose, by an administrator or by the firmware's configuration."""
        return not self.active and self.physical_state in ("Disabled", "Sleep")


@dataclass(frozen=True)
class RdmaDevice:
    """An RDMA device.

    Attributes:
        firmware, board, driver: "28.39.1002", "MT_0000000838", "mlx5_core".
        netdevs: network interfaces on the same hardware.
        node: its device node "/dev/infiniband/uverbs0", empty if unknown.
        node_error: why this process cannot open it: "absent", "denied: ...", another error; empty if it can.
    """

    name: str = ""
    ports: tuple[Port, ...] = ()
    node_type: str = "CA"
    firmware: str = ""
    board: str = ""
    driver: str = ""
    pci: str = ""
    numa_node: int | None = None
    netdevs: tuple[str, ...] = ()
    node: str = ""
    node_error: str = ""

    @property
    def usable(self) -> bool:
        """Whether NCCL's own transport can use it: it opens and a port is active."""
        return not self.node_error and any(port.active for port in self.ports)


@dataclass(frozen=True)
class Rdma:
    """The RDMA devices of this machine. Missing ("not-here") where /sys/class/infiniband is absent or empty.

    Attributes:
        rdma_cm: why /dev/infiniband/rdma_cm cannot be opened; empty if it can.
        peer_memory: the files that exist among those by which NCCL tells that peer memory (nvidia-peermem) is there.
        libibverbs: name under which libibverbs was loaded, empty if it could not be; libibverbs_error says why.
        offered: devices that libibverbs offers, None where it was not loaded.
    """

    devices: tuple[RdmaDevice, ...] = ()
    rdma_cm: str = ""
    peer_memory: tuple[str, ...] = ()
    libibverbs: str = ""
    libibverbs_error: str = ""
    offered: tuple[str, ...] | None = None

    @property
    def active(self) -> tuple[tuple[RdmaDevice, Port], ...]:
        """Every active port with its device."""
        return tuple((device, port) for device in self.devices for port in device.ports if port.active)

    @property
    def fastest_gbps(self) -> float:
        """Rate of the fastest active port, 0 without one."""
        return max((port.rate_gbps or 0.0 for _, port in self.active), default=0.0)
