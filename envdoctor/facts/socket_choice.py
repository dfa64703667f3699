"""Which interface NCCL and gloo take for their sockets, decided as they decide it.

NCCL: ncclFindInterfaces in src/misc/socket.cc and ncclOsFindInterfaces in src/os/linux.cc, read at 2.30.7 and compared
with every tag since 2.14. gloo: createDefaultDevice in torch's ProcessGroupGloo.cpp and lookupAddrForIface in gloo's
transport/tcp/device.cc.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from envdoctor.facts.names import HostNames, NameResolution
from envdoctor.facts.nics import Address, Nics

Get = Callable[[str], "str | None"]
MOST = 16  # MAX_IFS: interfaces that NCCL keeps, and entries of a list that it reads
LONGEST = 63  # bytes of an entry that NCCL keeps
# The first release that skips interfaces without a carrier and puts virbr* last.
SKIPS_IDLE = (2, 28, 3)


@dataclass(frozen=True)
class Entry:
    """An entry of NCCL's lists: a name or its beginning, and a port; -1 is any."""

    name: str
    port: int = -1


@dataclass(frozen=True)
class Listing:
    """NCCL_SOCKET_IFNAME or NCCL_IB_HCA, cut up. `^` and `=` stand before the whole list and nowhere else."""

    entries: tuple[Entry, ...]
    excludes: bool = False
    exact: bool = False

    def matches(self, name: str, port: int = -1) -> bool:
        """Whether an entry fits; with no entries everything does. Not yet turned round by `excludes`."""
        return not self.entries or any(
            (name == entry.name if self.exact else name.startswith(entry.name))
            and (port == -1 or entry.port in (-1, port))
            for entry in self.entries
        )

    def takes(self, name: str, port: int = -1) -> bool:
        """Whether NCCL would take this interface or device."""
        return self.matches(name, port) != self.excludes


def _atoi(text: str) -> int:
    found = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    return int(found.group(1)) if found else 0


def listing(value: str, most: int = MOST) -> Listing:
    """Cut a list up as NCCL does: `^` first, `=` second, then names with an optional :port, empty ones left out."""
    excludes = value.startswith("^")
    value = value[1:] if excludes else value
    exact = value.startswith("=")
    value = value[1:] if exact else value
    entries: list[Entry] = []
    for word in value.split(",") if value else []:
        name, _, rest = word.partition(":")
        port = rest.partition(":")[0]
        if name and len(entries) < most:
            entries.append(Entry(name[:LONGEST], _atoi(port) if port else -1))
    return Listing(tuple(entries), excludes, exact)


@dataclass(frozen=True)
class Choice:
    """The interfaces a library takes.

    Attributes:
        addresses: the first is the one for the start-up (NCCL's bootstrap, gloo's first device); NCCL's socket
            transport uses all of them.
        by: what decided: the name of a variable, "ib" (names that begin so), "order" (the first that is not docker,
            lo or virbr), "docker", "lo", "virbr", "hostname", "fallback" (gloo's loopback), or "" if nothing was found.
        value: the variable's value.
        absent: names in the variable that no interface has; gloo raises at the first of them, NCCL only if nothing
            at all is left.
    """

    addresses: tuple[Address, ...] = ()
    by: str = ""
    value: str = ""
    absent: tuple[str, ...] = ()

    @property
    def first(self) -> Address | None:
        return self.addresses[0] if self.addresses else None

    @property
    def by_variable(self) -> bool:
        return self.by.isupper()


def release(text: str) -> tuple[int, ...] | None:
    """(2, 27, 5) of "2.27.5"; None if it is no version."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def _candidates(nics: Nics, family: int | None, running_only: bool) -> Iterable[Address]:
    idle = {nic.name for nic in nics.nics if not nic.running} if running_only else set()
    for address in nics.addresses:
        if address.label.partition(":")[0] in idle:
            continue
        if family is not None and address.family != family:
            continue
        if address.loopback6:
            continue
        yield address


def _find(candidates: Iterable[Address], wanted: Listing) -> tuple[Address, ...]:
    found: dict[str, Address] = {}
    for address in candidates:
        if len(found) < MOST and wanted.takes(address.label):
            found.setdefault(address.label, address)
    return tuple(found.values())


def _same_subnet(nics: Nics, identifier: str) -> tuple[Address, ...]:
    host = identifier[1:].partition("]")[0] if identifier.startswith("[") else identifier.partition(":")[0]
    try:
        target = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ()  # a name: what it resolves to is not known here
    near = (address for address in nics.addresses if address.family == target.version and address.holds(str(target)))
    return tuple(near)[:1]


def nccl_choice(nics: Nics, get: Get, version: str = "") -> Choice:
    """The interfaces NCCL takes for its bootstrap and its socket transport.

    Args:
        get: value of a variable as NCCL sees it (environment before configuration files).
        version: of NCCL, "2.27.5"; empty if unknown, which is judged like the newest.
    """
    new = (release(version) or SKIPS_IDLE) >= SKIPS_IDLE
    family = {"AF_INET": 4, "AF_INET6": 6}.get(get("NCCL_SOCKET_FAMILY") or "")
    candidates = tuple(_candidates(nics, family, new))
    asked = get("NCCL_SOCKET_IFNAME") or ""
    if len(asked.encode("utf-8", "surrogateescape")) > 1:
        wanted = listing(asked)
        absent = () if wanted.excludes else _unmatched(wanted, candidates)
        return Choice(_find(candidates, wanted), "NCCL_SOCKET_IFNAME", asked, absent)
    found = _find(candidates, listing("ib"))
    if found:
        return Choice(found, "ib")
    identifier = get("NCCL_COMM_ID") or ""
    if len(identifier) > 1:
        found = _same_subnet(nics, identifier)
        if found:
            return Choice(found, "NCCL_COMM_ID", identifier)
    steps = [("order", "^docker,lo,virbr" if new else "^docker,lo"), ("docker", "docker"), ("lo", "lo")]
    for by, names in [*steps, ("virbr", "virbr")] if new else steps:
        found = _find(candidates, listing(names))
        if found:
            return Choice(found, by)
    return Choice()


def _unmatched(wanted: Listing, candidates: Iterable[Address]) -> tuple[str, ...]:
    names = [address.label for address in candidates]
    alone = [(entry, Listing((entry,), exact=wanted.exact)) for entry in wanted.entries]
    return tuple(entry.name for entry, one in alone if not any(one.matches(name) for name in names))


def gloo_choice(nics: Nics, get: Get, own: tuple[str, ...] | None) -> Choice:
    """The interfaces gloo takes: those named exactly, else that of the address the host's own name resolves to.

    Args:
        own: addresses of the host's own name in the resolver's order, () if it does not resolve, None if unknown.
    """
    asked = get("GLOO_SOCKET_IFNAME") or ""
    if len(asked.encode("utf-8", "surrogateescape")) > 1:
        # c10d cuts with std::getline: blanks belong to the name, and only a last empty part is dropped.
        names = asked.split(",")
        names = names[:-1] if not names[-1] else names
        first = {name: next((a for a in nics.addresses if a.label == name), None) for name in names}
        found = tuple(address for address in first.values() if address is not None)
        return Choice(found, "GLOO_SOCKET_IFNAME", asked, tuple(name for name in first if first[name] is None))
    if own is None:
        return Choice()
    for address in own:
        holder = nics.owner(address)
        if holder is not None:
            mine = next((a for a in nics.addresses if a.address == address), None)
            return Choice((mine or Address(holder.name, holder.name, address, 8, "host"),), "hostname")
    loopback = nics.owner("127.0.0.1")
    return (
        Choice((Address(loopback.name, loopback.name, "127.0.0.1", 8, "host"),), "fallback") if loopback else Choice()
    )


def own_addresses(names: HostNames | None, resolution: NameResolution | None) -> tuple[str, ...] | None:
    """Addresses of the host's own name: the resolver's answer, else /etc/hosts where that is asked first.

    () where the name does not resolve, None where neither tells.
    """
    own = resolution.own if resolution is not None else None
    if own is not None and own.in_time:
        return own.addresses
    if names is not None and (not names.name_services or names.name_services[0] == "files"):
        lines = names.lines_for(names.name)
        return tuple(line.address for line in lines) or None
    return None
