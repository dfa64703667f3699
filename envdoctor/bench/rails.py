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

SIOCGIFADDR, SIOCGIFNETMASK = 0x8915, 0x891B  # <linux/sockios.h>
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


def _asked(interface: str, question: int) -> str:
    """What the kernel says of an interface's first IPv4 address; "" where it has none."""
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            told = fcntl.ioctl(probe.fileno(), question, struct.pack("256s", interface.encode("utf-8")[:15]))
        return socket.inet_ntoa(told[20:24])
    except (ImportError, OSError, UnicodeError):
        return ""


def _routed6(interface: str) -> "List[str]":
    """The row of /proc/net/if_inet6 of the first IPv6 address of an interface that is routed; [] without."""
    try:
        with open("/proc/net/if_inet6") as file:
            rows = [line.split() for line in file]
    except OSError:
        return []
    # Scope 00 is global.
    return next((row for row in rows if len(row) == 6 and row[5] == interface and row[3] == "00"), [])


def _address6(row: "List[str]") -> str:
    return socket.inet_ntop(socket.AF_INET6, bytes(bytearray.fromhex(row[0]))) if row else ""


def address_of(interface: str) -> str:
    """The first IPv4 address of an interface, else its first IPv6 address that is routed; "" without."""
    return _asked(interface, SIOCGIFADDR) or _address6(_routed6(interface))


def bits_of(interface: str) -> int:
    """How many bits of `address_of` name its network; 0 where nothing tells."""
    mask = _asked(interface, SIOCGIFNETMASK) if _asked(interface, SIOCGIFADDR) else ""
    if mask:
        return bin(struct.unpack("!I", socket.inet_aton(mask))[0]).count("1")
    row = _routed6(interface)
    return int(row[2], 16) if row else 0


def of_gloo(variables: "Mapping[str, str]") -> "List[str]":
    """[interface, "address/bits"] that torch's gloo gives to the other ranks: of the first name in GLOO_SOCKET_IFNAME,
    else of the first address of the host's own name that can be bound (createDefaultDevice in torch's
    ProcessGroupGloo.cpp). [] where nothing tells. Asks the resolver."""
    names = [name for name in variables.get("GLOO_SOCKET_IFNAME", "").split(",") if name]
    present = _present()
    if not names:
        own = _bindable(socket.gethostname())
        # All of 127.0.0.0/8 is the loopback's.
        names = ["lo"] if own.startswith("127.") else [name for name in present if own and address_of(name) == own]
    if not names or not address_of(names[0]):
        return []
    return [names[0], "%s/%d" % (address_of(names[0]), bits_of(names[0]))]


def _bindable(host: str) -> str:
    """The first address of a host that is this machine's; "" without."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""
    for family, kind, _, _, place in found:
        try:
            with socket.socket(family, kind) as probe:
                probe.bind(place)
            return str(place[0])
        except OSError:
            continue
    return ""


def _present() -> "List[str]":
    """All interfaces, in the order in which NCCL would take them."""
    try:
        return sorted(os.listdir("/sys/class/net"), key=index_of)
    except OSError:
        return []


def rails(variables: "Mapping[str, str]") -> "List[List[str]]":
    """[interface, address] of each, where there are several that have an address; else []."""
    found = [[name, address_of(name)] for name in named(variables, _present())]
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
