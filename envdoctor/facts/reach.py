"""Whether other nodes can be reached over an interface, as far as the interface itself tells."""

from __future__ import annotations

import re

from envdoctor.facts.nics import Nic, Nics

# Bridges that container engines and libvirt make, by the names they give them.
CONTAINER_BRIDGE = re.compile(
    r"^(docker\d|docker_gwbridge$|br-[0-9a-f]{12}$|virbr\d|lxcbr\d|lxdbr\d|incusbr\d|podman\d|cni(-podman)?\d|cbr\d|nerdctl\d|mpqemubr\d)"
)
PRIVATE_NETWORK = re.compile(r"^(tun|tap|wg|tailscale|zt|utun|ppp|nebula|vpn|cscotun|gpd|nordlynx|proton|ipsec)")
OVERLAY = ("vxlan", "geneve", "gre", "gretap", "ipip", "sit", "ip6tnl")
GOING_NOWHERE = ("dummy", "ifb", "nlmon", "netdevsim")


def _has_way_out(nics: Nics, nic: Nic, depth: int = 0) -> bool:
    """Whether hardware is among the members of a bridge, or below a bond or VLAN among them."""
    return depth < 8 and any(
        member.kind in ("physical", "ipoib", "bond", "team", "vlan", "macvlan", "vxlan")
        or _has_way_out(nics, member, depth + 1)
        for member in nics.members(nic.name)
    )


def barrier(nics: Nics, name: str, family: int | None = None) -> str:
    """Why other nodes cannot be reached over an interface, "" where nothing speaks against it.

    One of "loopback", "down", "nowhere" (a dummy), "bridge" (of containers or virtual machines), "veth" (the host's end
    of a container's cable), "link-local" (no other address), "vpn", "overlay". The interface of the default route, or
    of the route to MASTER_ADDR, has no barrier but loopback, nowhere and down.

    Args:
        family: 4 or 6 where the address's family is decided.
    """
    nic = nics.nic(name)
    if nic is None:
        return ""
    if nic.kind == "loopback":
        return "loopback"
    if nic.kind in GOING_NOWHERE:
        return "nowhere"
    if not nic.up or not nic.running:
        return "down"
    if any(way is not None and way.name == nic.name for way in (nics.default, nics.to_master)):
        return ""
    if nic.kind == "bridge" or (nic.kind == "virtual" and CONTAINER_BRIDGE.match(nic.name)):
        return "" if _has_way_out(nics, nic) else "bridge"
    if nic.kind == "veth" and (nic.master or re.match(r"^(veth|cali|lxc|azv|eni|lxdveth)", nic.name)):
        return "veth"
    own = [address for address in nics.addresses_of(nic.name) if family in (None, address.family)]
    if own and all(address.link_local for address in own):
        return "link-local"
    if nic.kind in ("tun", "wireguard", "ppp") or PRIVATE_NETWORK.match(nic.name):
        return "vpn"
    return "overlay" if nic.kind in OVERLAY else ""


def best(nics: Nics) -> Nic | None:
    """The interface over which other nodes are reached: that of the route to MASTER_ADDR, else of the default route,
    else the only one without a barrier; None if none qualifies."""
    for nic in (nics.to_master, nics.default):
        if nic is not None and not barrier(nics, nic.name):
            return nic
    clear = [nic for nic in nics.nics if nics.addresses_of(nic.name) and not barrier(nics, nic.name)]
    return clear[0] if len(clear) == 1 else None
