"""Whether the interfaces that nodes choose for themselves lead them to each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from envdoctor.facts.agreement import Side, agreement
from envdoctor.facts.nics import Address, Nics
from envdoctor.facts.reach import barrier

MOST_NETWORKS = 8  # networks that are looked at from the others; a network of its own for each node is routed


@dataclass(frozen=True)
class Chosen:
    """A node's interfaces, and the address that it gives to the other nodes."""

    nics: Nics
    address: Address

    @property
    def network(self) -> str:
        """The network of that address, "10.0.0.0/24"."""
        return str(ipaddress.ip_network(str(self.address), strict=False))


@dataclass(frozen=True)
class Misfit:
    """Nodes that do not meet.

    Attributes:
        kind: "same-address" (a node's address is another one's as well), "no-way" (no route from `nodes` to the
            network of `others`), "another-network" (`nodes` chose another network than most, though they are in both).
        interface, address, network: what was chosen: by `others` for "no-way", else by `nodes`.
        usual: the network of most nodes; usual_count: how many these are; better: the interface that is in it.
    """

    kind: str
    nodes: tuple[str, ...]
    others: tuple[str, ...] = ()
    interface: str = ""
    address: str = ""
    network: str = ""
    usual: str = ""
    usual_count: int = 0
    better: str = ""


def misfits(chosen: Mapping[str, Chosen]) -> Iterator[Misfit]:
    """What keeps the nodes from meeting. A node is told of once."""
    told: set[str] = set()
    for misfit in _same_addresses(chosen):
        told.update(misfit.nodes)
        yield misfit
    left = {node: one for node, one in chosen.items() if node not in told}
    networks = agreement({node: one.network for node, one in left.items()})
    if not networks.differs:
        return
    for side in networks.odd[:MOST_NETWORKS]:
        if networks.usual is not None:
            for misfit in _strays(side, networks.usual, left):
                told.update(misfit.nodes)
                yield misfit
        there = tuple(node for node in side.nodes if node not in told)
        cut_off = tuple(
            node for node in left if node not in side.nodes and there and not _way(left[node], left[there[0]])
        )
        if cut_off:
            yield Misfit("no-way", cut_off, there, left[there[0]].address.label, network=side.value)


def _same_addresses(chosen: Mapping[str, Chosen]) -> Iterator[Misfit]:
    owners: dict[str, list[str]] = {}
    for node, one in chosen.items():
        for own in dict.fromkeys(address.address for address in one.nics.addresses):
            owners.setdefault(own, []).append(node)
    seen: set[str] = set()
    for one in chosen.values():
        address = one.address.address
        if address not in seen and len(owners.get(address, ())) > 1:
            seen.add(address)
            yield Misfit("same-address", tuple(owners[address]), interface=one.address.label, address=address)


def _strays(side: Side[str], usual: Side[str], chosen: Mapping[str, Chosen]) -> Iterator[Misfit]:
    """The nodes of a side that have an interface in the network of most."""
    network = ipaddress.ip_network(usual.value)
    better: dict[tuple[str, str], list[str]] = {}
    for node in side.nodes:
        nics = chosen[node].nics
        inside = (own for own in nics.addresses if ipaddress.ip_address(own.address) in network)
        name = next((own.label for own in inside if not barrier(nics, own.interface, own.family)), "")
        if name:
            better.setdefault((chosen[node].address.label, name), []).append(node)
    for (interface, name), nodes in better.items():
        yield Misfit(
            "another-network", tuple(nodes), interface=interface, network=side.value, usual=usual.value,
            usual_count=len(usual.nodes), better=name,
        )  # fmt: skip


def _way(one: Chosen, other: Chosen) -> bool:
    """Whether a node may have a way to another's address: its own network, a route, or routes that are not known."""
    nics, target = one.nics, ipaddress.ip_address(other.address.address)
    if not nics.routes or (nics.source6 if target.version == 6 else nics.source):
        return True
    if any(own.holds(str(target)) for own in nics.addresses):
        return True
    for route in nics.routes:
        try:
            if target in ipaddress.ip_network(f"{route.destination}/{route.prefix}", strict=False):
                return True
        except ValueError:
            continue
    return False
