"""The interfaces of this machine, and which of them carry the data where it is spread over several: its rails.

torch's gloo opens a device for each name in GLOO_SOCKET_IFNAME and gives one collective to each in turn
(ProcessGroupGloo::getContext); NCCL spreads a collective over all interfaces that NCCL_SOCKET_IFNAME selects. Streamed
to every node; Python 3.6 syntax, standard library only.
"""

import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Sequence

SIOCGIFADDR = 0x8915  # <linux/sockios.h>
SO_BINDTODEVICE = 25


def named(variables: "Mapping[str, str]", present: "List[str]") -> "List[str]":
    """The interfaces that these variables name, in their order; [] where they do not name several.

    Args:
        present: names of all interfaces, in the order in which NCCL would take them.
    """
    gloo = [name for name in variables.get("GLOO_SOCKET_IFNAME", "").split(",") if name in present]
    if len(gloo) > 1:
        return gloo
    wanted = variables.get("NCCL_SOCKET_IFNAME", "")
    if not wanted or wanted.startswith("^"):
        return []
    exact = wanted.startswith("=")
    words = [word for word in wanted.lstrip("=").split(",") if word]
    found = [name for name in present if any(name == word if exact else name.startswith(word) for word in words)]
    return found if len(found) > 1 else []


def address_of(interface: str) -> str:
    """The first IPv4 address of an interface, else its first IPv6 address that is routed; "" without."""
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            told = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", interface.encode("utf-8")[:15]))
        return socket.inet_ntoa(told[20:24])
    except (ImportError, OSError):
        pass
    try:
        with open("/proc/net/if_inet6") as file:
            rows = [line.split() for line in file]
    except OSError:
        return ""
    for row in rows:
        if len(row) == 6 and row[5] == interface and row[3] == "00":  # scope 00 is global
            return socket.inet_ntop(socket.AF_INET6, bytes(bytearray.fromhex(row[0])))
    return ""


def rails(variables: "Mapping[str, str]") -> "List[List[str]]":
    """[interface, address] of each, where there are several that have an address; else []."""
    try:
        present = sorted(os.listdir("/sys/class/net"), key=index_of)
    except OSError:
        return []
    found = [[name, address_of(name)] for name in named(variables, present)]
    found = [rail for rail in found if rail[1]]
    return found if len(found) > 1 else []


def index_of(interface: str) -> int:
    """The kernel's number of an interface: getifaddrs lists them in this order."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def leave_by(connection: socket.socket, rail: "Sequence[str]") -> None:
    """Have a connection leave by an interface and its address, [name, address]; raises OSError where it has not that
    address."""
    try:
        # Two interfaces in one subnet: the address alone does not say by which of them packets leave.
        connection.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, rail[0].encode("utf-8"))
    except OSError:
        pass  # before Linux 5.7 only with CAP_NET_RAW
    connection.bind((rail[1], 0))


def interface_mtus() -> "Dict[str, int]":
    """Interface -> MTU, bytes; empty where sysfs is not there."""
    found = {}
    try:
        names = os.listdir("/sys/class/net")
    except OSError:
        return {}
    for name in names:
        try:
            with open("/sys/class/net/%s/mtu" % name) as file:
                found[name] = int(file.read())
        except (OSError, ValueError):
            continue
    return found
