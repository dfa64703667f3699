"""Network interfaces, their addresses in the order programs see them, and where the kernel would send packets."""

import os
import re
import sys

from . import netlink, reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

IFF_UP, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_RUNNING, IFF_LOWER_UP = 0x1, 0x8, 0x10, 0x40, 0x10000
ARPHRD_INFINIBAND = 32
MOST = 1024  # interfaces; a node full of containers has some hundreds
# Documentation prefixes (RFC 5737, RFC 3849): nobody answers there, and no packet is sent to find the route.
SOMEWHERE = "192.0.2.1"
SOMEWHERE6 = "2001:db8::1"
PCI = re.compile(r"^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")


def device(name: str) -> "Dict[str, Any]":
    """What sysfs tells about the hardware behind an interface; {} for one that has none."""
    folder = "/sys/class/net/" + name + "/"
    if not reading.exists(folder + "device"):
        return {}
    parts = reading.link(folder + "device").split("/")
    speed = reading.number(folder + "speed")
    return {
        "driver": os.path.basename(reading.link(folder + "device/driver"))
        if reading.exists(folder + "device/driver")
        else "",
        "pci": next((part for part in reversed(parts) if PCI.match(part)), ""),
        "vendor": reading.line(folder + "device/vendor") or "",
        "numa_node": reading.number(folder + "device/numa_node"),
        "speed_mbps": speed if speed is not None and 0 < speed < 0xFFFFFFFF else None,
        "carrier_changes": reading.number(folder + "carrier_changes"),
        "rdma": reading.names(folder + "device/infiniband"),
    }


def kind(link: "Dict[str, Any]", hardware: "Dict[str, Any]") -> str:
    """ "physical", "ipoib", "loopback", the link type of `ip -d link`, or "virtual"."""
    if link["flags"] & IFF_LOOPBACK:
        return "loopback"
    if link["hardware"] == ARPHRD_INFINIBAND:
        return "ipoib"
    if link["kind"]:
        return str(link["kind"])
    if hardware:
        return "physical"
    return "tun" if reading.exists("/sys/class/net/" + link["name"] + "/tun_flags") else "virtual"


def interfaces() -> "List[Dict[str, Any]]":
    links = netlink.links()[:MOST]
    names = {link["index"]: link["name"] for link in links}
    found = []
    for link in links:
        hardware = device(link["name"])
        sort = kind(link, hardware)
        entry = {
            "name": link["name"],
            "index": link["index"],
            "kind": sort,
            "up": bool(link["flags"] & IFF_UP),
            "running": bool(link["flags"] & IFF_RUNNING),
            "carrier": bool(link["flags"] & IFF_LOWER_UP),
            "point_to_point": bool(link["flags"] & IFF_POINTOPOINT),
            "mtu": link["mtu"],
            "operstate": link["operstate"],
            "master": names.get(link["master"], ""),
            # The peer of a veth has its number in another namespace: only links on top of another are followed.
            "parent": names.get(link["parent"], "") if sort in ("vlan", "macvlan", "ipvlan", "macvtap") else "",
        }
        entry.update(hardware)
        if not hardware:
            # The kernel makes up a speed for veth and tun; for a bond it is the sum of its members.
            speed = reading.number("/sys/class/net/" + link["name"] + "/speed")
            entry["speed_mbps"] = speed if speed is not None and speed > 0 else None
        entry["speed_is_real"] = bool(hardware) or sort in ("bond", "team", "vlan")
        entry.update(link["statistics"])
        found.append(entry)
    return found


def addresses() -> "List[Dict[str, Any]]":
    names = {link["index"]: link["name"] for link in netlink.links()}
    return [
        {
            "interface": names.get(address["index"], ""),
            "label": address["label"] or names.get(address["index"], ""),
            "address": address["address"],
            "prefix": address["prefix"],
            "scope": address["scope"],
        }
        for address in netlink.addresses()
    ]


def routes() -> "List[Dict[str, Any]]":
    """The main routing table: IPv4 whole (at most 256 rows), of IPv6 the default routes."""
    import socket

    def four(word: str) -> str:
        data = bytes(bytearray.fromhex(word))
        return socket.inet_ntoa(data[::-1] if sys.byteorder == "little" else data)

    found = []
    for row in (reading.text("/proc/net/route") or "").splitlines()[1:257]:
        fields = row.split()
        try:
            if len(fields) >= 8 and int(fields[3], 16) & 1:
                found.append(
                    {
                        "interface": fields[0],
                        "destination": four(fields[1]),
                        "prefix": bin(int(fields[7], 16)).count("1"),
                        "gateway": "" if fields[2] == "00000000" else four(fields[2]),
                        "metric": int(fields[6]),
                    }
                )
        except ValueError:
            continue
    for row in (reading.text("/proc/net/ipv6_route") or "").splitlines():
        fields = row.split()
        # The kernel's own reject route of last resort is on lo with flag 0x200.
        if len(fields) == 10 and fields[0] == "0" * 32 and fields[1] == "00" and not int(fields[8], 16) & 0x200:
            gateway = bytes(bytearray.fromhex(fields[4]))
            found.append(
                {
                    "interface": fields[9],
                    "destination": "::",
                    "prefix": 0,
                    "gateway": socket.inet_ntop(socket.AF_INET6, gateway) if any(gateway) else "",
                    "metric": int(fields[5], 16),
                }
            )
    return found[:512]


def source(target: str) -> str:
    """The own address the kernel would use towards a numeric address, all routing rules applied; "" without a route.

    A UDP socket is connected, which sends nothing.
    """
    import socket

    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        connection = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    except OSError:
        return ""
    try:
        connection.connect((target, 9))
        return str(connection.getsockname()[0])
    except OSError:
        return ""
    finally:
        connection.close()


def numeric(address: "Optional[str]") -> str:
    """The address without brackets and blanks if it is one, else ""."""
    import socket

    plain = (address or "").strip().strip("[]")
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, plain)
            return plain
        except (OSError, ValueError):
            continue
    return ""


def nics(ask: "Ask") -> "Dict[str, Any]":
    try:
        found = interfaces()
        listed = addresses()
    except OSError as error:
        raise NotHere("the kernel does not tell its interfaces over netlink (%s)" % (error.strerror or error))
    master = numeric(os.environ.get("MASTER_ADDR"))
    return {
        "nics": found,
        "addresses": listed,
        "routes": routes(),
        "source": source(SOMEWHERE),
        "source6": source(SOMEWHERE6),
        "master": master,
        "source_to_master": source(master) if master else "",
        "tcp_mtu_probing": reading.number("/proc/sys/net/ipv4/tcp_mtu_probing"),
        "ports": (reading.line("/proc/sys/net/ipv4/ip_local_port_range") or "").split(),
        "ipv6": reading.exists("/proc/net/if_inet6"),
    }
