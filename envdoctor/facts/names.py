"""Names of hosts: this machine's own and those of the rendezvous."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class HostsLine:
    """A line of /etc/hosts that names this machine or a rendezvous host."""

    line: int = 0
    address: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostNames:
    """What this machine's files say of names.

    Attributes:
        name: the name the machine gives itself.
        name_services: the `hosts` line of /etc/nsswitch.conf: "files", "dns", "myhostname"; empty if unknown.
        outward_address: its address on the default route, empty without one.
    """

    name: str = ""
    hosts_lines: tuple[HostsLine, ...] = ()
    name_services: tuple[str, ...] = ()
    outward_address: str = ""

    def lines_for(self, name: str) -> tuple[HostsLine, ...]:
        return tuple(line for line in self.hosts_lines if name.lower() in (known.lower() for known in line.names))

    def loopback_line(self, name: str) -> HostsLine | None:
        """The line of /etc/hosts that makes a name a loopback address, where the files give it no other address."""
        if self.name_services and "files" not in self.name_services:
            return None
        lines = self.lines_for(name)
        return lines[0] if lines and all(is_loopback(line.address) for line in lines) else None


@dataclass(frozen=True)
class Resolution:
    """What the resolver says of a name.

    Attributes:
        source: the variable that names it, empty for this machine's own name.
        own: it is the name this machine gives itself.
        ipv4, ipv6: the answer. local: those of it that are this machine's.
        canonical: the name that stands behind it.
        error: "EAI_NONAME Name or service not known", empty where there is an answer.
        in_time: false where no answer came within 3 s.
    """

    name: str = ""
    source: str = ""
    own: bool = False
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    canonical: str = ""
    error: str = ""
    in_time: bool = True

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.ipv4 + self.ipv6

    @property
    def loopback_only(self) -> bool:
        return bool(self.addresses) and all(is_loopback(address) for address in self.addresses)

    @property
    def is_here(self) -> bool:
        """Whether the name leads to this machine."""
        return bool(self.local)


@dataclass(frozen=True)
class NameResolution:
    """What the resolver says of this machine's own name and of the rendezvous hosts.

    Attributes:
        fully_qualified: socket.getfqdn of the own name, which torchrun's agents give each other; empty if unknown.
    """

    resolutions: tuple[Resolution, ...] = ()
    fully_qualified: str = ""

    @property
    def own(self) -> Resolution | None:
        return next((found for found in self.resolutions if found.own), None)

    def of(self, name: str) -> Resolution | None:
        return next((found for found in self.resolutions if found.name == name), None)


def is_loopback(address: str) -> bool:
    """Whether an address is of 127.0.0.0/8 or ::1; false for what is no address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def numeric_address(name: str) -> str:
    """The IPv4 address that the resolver takes a name for without looking it up, "" for an ordinary name.

    inet_aton reads "12345" as 0.0.48.57 and "0x1f" as 0.0.0.31; getaddrinfo asks it before any name service.
    A complete dotted address is meant as one, and is not reported.
    """
    if not re.fullmatch(r"(0[xX][0-9a-fA-F]*|\d+)(\.(0[xX][0-9a-fA-F]*|\d+)){0,3}", name):
        return ""
    try:
        found = socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return ""
    return "" if found == name else found


def torchrun_recognises(host: str, own_name: str, own: Resolution | None, found: Resolution | None) -> bool:
    """Whether torchrun takes an endpoint's host for its own machine, and so starts the store here.

    As `_matches_machine_hostname` in torch/distributed/elastic/rendezvous/utils.py (2.13.0): "localhost", a loopback
    address, the host name, its canonical names, or an address that the own *name* resolves to. Addresses of other
    interfaces do not count.
    """
    if host in ("localhost", own_name) or is_loopback(host):
        return True
    if own is None:
        return False
    here = set(own.addresses)
    theirs = set(found.addresses) if found else {host}
    return own.canonical == host or host in here or bool(here & theirs)
