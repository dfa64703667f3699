"""Network interfaces and addresses, in the order in which NCCL and gloo meet them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Nic:
    """One network interface.

    Attributes:
        index: the kernel's number.
        kind: "physical", "ipoib", "loopback", "virtual", or the link type of `ip -d link`: "bridge", "veth", "bond",
            "vlan", "tun", "wireguard", "dummy", "vxlan", "macvlan", "ipvlan", ...
        up, running, carrier: administratively up; usable; the cable or its like is there. NCCL since 2.28 skips
            interfaces that are not running.
        master: bridge or bond it belongs to; parent: the interface it stands on (vlan, macvlan).
        speed_mbps: as sysfs says, None if unknown. `speed_is_real` is false where the kernel makes the number up
            (veth, tun, bridge).
        mtu: bytes.
        pci, numa_node, vendor, driver: of the hardware; empty or None without.
        rdma: names of the RDMA devices on the same hardware: "mlx5_0".
        rx_errors and the like: counters since the interface came into being.
    """

    name: str = ""
    index: int = 0
    kind: str = "physical"
    up: bool = True
    running: bool = True
    carrier: bool = True
    point_to_point: bool = False
    mtu: int = 1500
    operstate: str = ""
    master: str = ""
    parent: str = ""
    speed_mbps: int | None = None
    speed_is_real: bool = True
    driver: str = ""
    pci: str = ""
    vendor: str = ""
    numa_node: int | None = None
    rdma: tuple[str, ...] = ()
    carrier_changes: int | None = None
    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True)
class Address:
    """An address of an interface. `label` is the name getifaddrs gives it, which for an alias is "eth0:1".

    Raises ValueError for what is no address: decoded from a snapshot, the fact is invalid then.
    """

    interface: str = ""
    label: str = ""
    address: str = ""
    prefix: int = 0
    scope: str = "global"

    # No two nodes have the same address; many have the same interfaces with addresses of the same kinds.
    PARTS = ("family", "link_local", "loopback6")

    def __post_init__(self) -> None:
        ipaddress.ip_interface(f"{self.address}/{self.prefix}")

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def link_local(self) -> bool:
        """169.254.0.0/16 or fe80::/10: means something on one link only."""
        if ":" not in self.address:
            return self.address.startswith("169.254.")
        return ipaddress.ip_address(self.address).is_link_local

    @property
    def loopback6(self) -> bool:
        """::1, the loopback's own."""
        return self.address == "::1"

    def holds(self, other: str) -> bool:
        """Whether another numeric address lies in this one's subnet; no for what is no address."""
        network = ipaddress.ip_network(f"{self.address}/{self.prefix}", strict=False)
        try:
            return ipaddress.ip_address(other) in network
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


@dataclass(frozen=True)
class Route:
    """A row of the main routing table. `destination` "0.0.0.0" or "::" with prefix 0 is the default route."""

    interface: str = ""
    destination: str = ""
    prefix: int = 0
    gateway: str = ""
    metric: int = 0


@dataclass(frozen=True)
class Nics:
    """The interfaces of this network namespace.

    Attributes:
        nics: in the kernel's order.
        addresses: of all interfaces, in the order of getifaddrs: IPv4 by interface number, then IPv6.
        source, source6: own address the kernel would use towards the world, empty without a route.
        master: MASTER_ADDR of the environment where it is a numeric address, else empty.
        source_to_master: own address the kernel would use towards it.
        tcp_mtu_probing: net.ipv4.tcp_mtu_probing; ports: bounds of net.ipv4.ip_local_port_range.
        ipv6: the kernel speaks IPv6.
    """

    nics: tuple[Nic, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    source: str = ""
    source6: str = ""
    master: str = ""
    source_to_master: str = ""
    tcp_mtu_probing: int | None = None
    ports: tuple[str, ...] = ()
    ipv6: bool = True

    # Found by addresses that are another node's nowhere else, and nearly always the same interface.
    PARTS = ("default", "to_master")

    def nic(self, name: str) -> Nic | None:
        """The interface of that name; an alias such as "eth0:1" is the interface before the colon."""
        base = name.partition(":")[0]
        return next((nic for nic in self.nics if nic.name == base), None)

    def addresses_of(self, name: str) -> tuple[Address, ...]:
        return tuple(address for address in self.addresses if address.interface == name)

    def owner(self, address: str) -> Nic | None:
        """The interface that holds an address; all of 127.0.0.0/8 is the loopback's. None for what is no address."""
        found = next((own.interface for own in self.addresses if own.address == address), "")
        if found:
            return self.nic(found)
        try:
            loopback = ipaddress.ip_address(address).is_loopback
        except ValueError:
            return None
        return next((nic for nic in self.nics if nic.kind == "loopback"), None) if loopback else None

    @property
    def default(self) -> Nic | None:
        """The interface of the default route: what the kernel would use towards the world, IPv4 before IPv6."""
        told = self.owner(self.source) or self.owner(self.source6)
        if told is not None:
            return told
        ways = sorted((route for route in self.routes if route.prefix == 0), key=lambda route: route.metric)
        return self.nic(ways[0].interface) if ways else None

    @property
    def to_master(self) -> Nic | None:
        """The interface towards MASTER_ADDR, None where that is no numeric address or has no route."""
        return self.owner(self.source_to_master)

    def members(self, name: str) -> tuple[Nic, ...]:
        """The interfaces that belong to a bridge or bond."""
        return tuple(nic for nic in self.nics if nic.master == name)
