"""Links and addresses as the kernel tells them over rtnetlink, from which the C library's getifaddrs has them."""

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

# linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
RTM_GETLINK, RTM_NEWLINK = 18, 16
RTM_GETADDR, RTM_NEWADDR = 22, 20
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_STATS64 = 3, 4, 5, 10, 16, 18, 23
IFLA_INFO_KIND = 1
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL = 1, 2, 3
OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
STATISTICS = (
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
)


def _messages(data: bytes) -> "Iterator[Tuple[int, int, bytes]]":
    """Type, flags and body of each message in a datagram."""
    place = 0
    while place + 16 <= len(data):
        length, kind, flags = struct.unpack_from("=IHH", data, place)
        if length < 16:
            return
        yield kind, flags, data[place + 16 : place + length]
        place += (length + 3) & ~3


def attributes(data: bytes) -> "Dict[int, bytes]":
    """The routing attributes of a message, by type without its nesting bits."""
    found = {}
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[place + 4 : place + length]
        place += (length + 3) & ~3
    return found


def _dump(question: int, answer: int) -> "List[bytes]":
    """All objects of a kind. Raises OSError where the kernel answers with an error or not at all."""
    import socket

    bodies: "List[bytes]" = []
    for _ in range(3):
        bodies = []
        interrupted = False
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            connection.settimeout(1.0)
            connection.bind((0, 0))
            connection.send(struct.pack("=IHHIIB3x", 20, question, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0))
            done = False
            while not done:
                for kind, flags, body in _messages(connection.recv(1 << 17)):
                    interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                    if kind == answer:
                        bodies.append(body)
                    elif kind == NLMSG_ERROR:
                        code = -struct.unpack_from("=i", body)[0]
                        raise OSError(code, os.strerror(code))
                    elif kind == NLMSG_DONE:
                        done = True
        finally:
            connection.close()
        if not interrupted:
            break
    return bodies


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _number(value: "Any") -> int:
    return int(struct.unpack_from("=I", value)[0]) if value and len(value) >= 4 else 0


def links() -> "List[Dict[str, Any]]":
    """Every network interface, in the kernel's order. `kind` is the link type of `ip -d link`, "" for a device."""
    found = []
    for body in _dump(RTM_GETLINK, RTM_NEWLINK):
        _, hardware, index, flags, _ = struct.unpack_from("=BxHiII", body)
        told = attributes(body[16:])
        information = attributes(told.get(IFLA_LINKINFO, b""))
        state = told.get(IFLA_OPERSTATE, b"\0")[0]
        counters = told.get(IFLA_STATS64, b"")
        numbers = struct.unpack_from("=8Q", counters) if len(counters) >= 64 else ()
        found.append(
            {
                "name": _text(told.get(IFLA_IFNAME, b"")),
                "index": index,
                "flags": flags,
                "hardware": hardware,
                "mtu": _number(told.get(IFLA_MTU)),
                "operstate": OPERSTATES[state] if state < len(OPERSTATES) else "",
                "kind": _text(information.get(IFLA_INFO_KIND, b"")),
                "master": _number(told.get(IFLA_MASTER)),
                "parent": _number(told.get(IFLA_LINK)),
                "statistics": {name: numbers[place] for place, name in enumerate(STATISTICS) if numbers},
            }
        )
    return found


def addresses() -> "List[Dict[str, Any]]":
    """Every IPv4 and IPv6 address, in the order in which getifaddrs lists them, under the name it gives the interface.

    That name is the address's label where it has one ("eth0:1"); `index` is the interface's.
    """
    import socket

    found = []
    for body in _dump(RTM_GETADDR, RTM_NEWADDR):
        family, prefix, _, scope, index = struct.unpack_from("=BBBBI", body)
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        told = attributes(body[8:])
        value = told.get(IFA_LOCAL) or told.get(IFA_ADDRESS) or b""
        if len(value) != (4 if family == socket.AF_INET else 16):
            continue
        found.append(
            {
                "address": socket.inet_ntop(family, value),
                "prefix": prefix,
                "index": index,
                "label": _text(told.get(IFA_LABEL, b"")),
                "scope": SCOPES.get(scope, "global"),
            }
        )
    return found
