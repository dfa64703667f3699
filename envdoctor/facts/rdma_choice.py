"""Which RDMA devices, ports and GIDs NCCL takes, decided as it decides.

src/transport/net_ib/init.cc (devices and ports) and connect.cc (GID index) of NCCL 2.30.7; the automatic choice of a
GID is there since 2.21.5, before that index 0 was the default.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from envdoctor.facts.rdma import Gid, Port, Rdma, RdmaDevice
from envdoctor.facts.socket_choice import listing, release

Get = Callable[[str], "str | None"]
MOST = 32  # MAX_IB_DEVS
CHOOSES_GID = (2, 21, 5)


@dataclass(frozen=True)
class TakenPort:
    """A port NCCL takes and the GID slot it uses there."""

    device: RdmaDevice
    port: Port
    gid_index: int = 0

    @property
    def gid(self) -> Gid | None:
        """What is in the slot, None for an empty or unmapped one."""
        return next((gid for gid in self.port.gids if gid.index == self.gid_index), None)

    def __str__(self) -> str:
        return f"{self.device.name}:{self.port.number}"


def integer(value: str | None, default: int) -> int:
    """A number as NCCL's parameters read it: strtoll with base 0, so that words become 0."""
    import re

    if not value:
        return default
    found = re.match(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", value)
    if not found:
        return 0
    sign, digits = found.groups()
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") else 10
    number = int(digits, base) * (-1 if sign == "-" else 1)
    return number if -(1 << 63) <= number < 1 << 63 else default


def taken(rdma: Rdma, get: Get, version: str = "") -> tuple[TakenPort, ...]:
    """The active ports NCCL_IB_HCA lets NCCL take, of devices that open."""
    if integer(get("NCCL_IB_DISABLE"), 0):
        return ()
    wanted = listing(get("NCCL_IB_HCA") or "", MOST)
    return tuple(
        TakenPort(device, port, gid_index(port, get, version))
        for device in rdma.devices
        if not device.node_error and (rdma.offered is None or device.name in rdma.offered)
        for port in device.ports
        if port.active and port.link_layer in ("InfiniBand", "Ethernet") and wanted.takes(device.name, port.number)
    )[:MOST]


def named_but_idle(rdma: Rdma, get: Get) -> tuple[str, ...]:
    """Entries of a non-excluding NCCL_IB_HCA that fit no device and port at all."""
    wanted = listing(get("NCCL_IB_HCA") or "", MOST)
    if wanted.excludes:
        return ()
    told = []
    for entry in wanted.entries:
        fits = [
            port
            for device in rdma.devices
            for port in device.ports
            if (device.name == entry.name if wanted.exact else device.name.startswith(entry.name))
            and entry.port in (-1, port.number)
        ]
        if not fits:
            told.append(entry.name if entry.port == -1 else f"{entry.name}:{entry.port}")
    return tuple(told)


def gid_index(port: Port, get: Get, version: str = "") -> int:
    """The GID slot NCCL uses on a port."""
    slots = {gid.index: gid for gid in port.gids}
    if port.link_layer == "InfiniBand":
        routable = integer(get("NCCL_IB_ROUTABLE_FLID_GID_INDEX"), 1)
        # A nonzero third group of the GID is a forwarding identifier that routers use.
        return routable if routable in slots and slots[routable].gid.split(":")[2] != "0000" else 0
    chooses = (release(version) or CHOOSES_GID) >= CHOOSES_GID
    asked = integer(get("NCCL_IB_GID_INDEX"), -1 if chooses else 0)
    if asked >= 0:
        return asked
    family = 6 if get("NCCL_IB_ADDR_FAMILY") == "AF_INET6" else 4
    version_wanted = integer(get("NCCL_IB_ROCE_VERSION_NUM"), 2)
    network = _range(get("NCCL_IB_ADDR_RANGE") or "", family)
    chosen = 0
    for index in sorted(slots):
        if index > 0 and _better(slots.get(chosen), slots[index], family, network, version_wanted):
            chosen = index
    return chosen


def _range(text: str, family: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return network if "/" in text and network.version == family else None


def _better(
    now: Gid | None,
    candidate: Gid,
    family: int,
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None,
    version: int,
) -> bool:
    """NCCL's ncclUpdateGidIndex: whether the candidate replaces the slot chosen so far."""
    address = ipaddress.ip_address(candidate.address)
    now_family = 6 if now is None else ipaddress.ip_address(now.address).version
    in_range = network is None or address in network
    if address.version != family or not in_range:
        return False
    if now_family != address.version:
        return True
    if address.is_link_local and address.version == 6:
        return False
    valid_now = now is not None and not (now_family == 6 and ipaddress.ip_address(now.address).is_link_local)
    now_version = None if now is None else now.version
    return (now_version != candidate.version or not valid_now) and candidate.version == version
