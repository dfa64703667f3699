"""NCCL's sockets: what a failed connection means, by the address, the error and the interfaces that NCCL took."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.facts.nccl_log import Interface, NcclLog
from envdoctor.facts.network_listing import NetworkListing
from envdoctor.facts.socket_choice import listing
from envdoctor.readers.decisions import Context, value

# Bridges of docker (172.17.0.0/16 and the pools after it, moby daemon/libnetwork/ipamutils), of libvirt, and addresses
# that no other host can reach.
NOT_BETWEEN_HOSTS = tuple(
    ipaddress.ip_network(net)
    for net in (
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.17.0.0/16",
        "172.18.0.0/15",
        "192.168.122.0/24",
        "::1/128",
        "fe80::/10",
    )
)
# The first of docker's pools: a container's own end of the bridge is eth0 in it.
DOCKER = ipaddress.ip_network("172.17.0.0/16")
# firewalld and cloud firewalls answer with "administratively prohibited", which Linux reports as EHOSTUNREACH; others
# drop the packet (EHOSTUNREACH is that of a dead address as well, which the rendezvous before has ruled out).
FILTERED = re.compile(r"No route to host|timed out|timeout", re.IGNORECASE)
# Up to 2.20 the words of another error than the one that happened: only the address tells anything.
UNTOLD = "Software caused connection abort"
# ENETUNREACH: the interface that was taken has no route there at all.
NO_ROUTE = "Network is unreachable"

CONNECTING = ("nccl-connect", "nccl-retry", "nccl-too-many-retries")
# Interfaces that cannot be right between hosts, as far as a row knows them.
BAD_INTERFACES = ("nccl-using-if", "nccl-link-local")
# A first collective that never ends is how data that goes nowhere looks to torch.
FIRST = re.compile(r"SeqNum=[0-3]\b")

# What differs in these makes ranks wait for or send something else (documented as "must be the same on all ranks", or
# part of what each side computes alone: src/graph/tuning.cc, src/init.cc, src/transport/net_socket.cc).
COMMON = re.compile(
    r"NCCL_(?:ALGO|PROTO|NTHREADS|BUFFSIZE|LL_BUFFSIZE|LL128_BUFFSIZE|MIN_NCHANNELS|MAX_NCHANNELS|MIN_CTAS|MAX_CTAS|"
    r"MIN_NRINGS|MAX_NRINGS|LL_THRESHOLD|TREE_THRESHOLD|NET|IB_DISABLE|P2P_NET_CHUNKSIZE|CROSS_NIC|COLLNET_ENABLE|"
    r"NVLS_ENABLE|PXN_DISABLE|IB_SPLIT_DATA_ON_QPS|IB_QPS_PER_CONNECTION|NSOCKS_PERTHREAD|SOCKET_NTHREADS|"
    r"NET_SHARED_BUFFERS|CUMEM_ENABLE|CHUNK_SIZE|NCHANNELS_PER_NET_PEER|IB_ADAPTIVE_ROUTING|MNNVL_ENABLE)"
)


def of(context: Context) -> NcclLog:
    """What NCCL's own lines tell; empty where there are none."""
    told = context.sections.get("nccl-log")
    return told if isinstance(told, NcclLog) else NcclLog()


def connect(seen: Sighting, context: Context) -> Sighting:
    """An address of a bridge or loopback was announced by the wrong interface; an ordinary one that is filtered is
    behind a firewall; one that refuses belongs to a process that has ended, or to another host of that address."""
    told, address = of(context), value(seen, "addr")
    own = [interface for process in told.processes for interface in process.interfaces]
    # The bridge itself, docker0, is the first address of its network; the others are those of containers.
    if _in_docker(address) and not address.startswith("172.17.0.1<") and address != "172.17.0.1":
        return replace(seen, code="container-bridge-network")
    at_home = any(one.between_hosts and not one.link_local and _near(address, one.address) for one in own)
    if (_only_here(address) and not at_home) or context.saw(*BAD_INTERFACES) or NO_ROUTE in seen.quote:
        return seen
    if _of_another_interface(address, told) or (UNTOLD in seen.quote and own and not at_home):
        return replace(seen, severity="warning")
    if FILTERED.search(seen.quote):
        return replace(seen, code="firewall-blocks-ports")
    return replace(seen, code="peer-died", kind="symptom", severity="warning")


def retry(seen: Sighting, context: Context) -> Sighting | None:
    """A peer that is not listening yet is asked again, which is normal until nothing follows."""
    told = of(context)
    if (told.connected or told.complete) and not context.saw("nccl-two-ids"):
        return None
    settled = connect(replace(seen, kind="root"), context)
    return replace(settled, severity="warning") if settled.code == "firewall-blocks-ports" else settled


def interface(seen: Sighting, context: Context) -> Sighting | None:
    """An interface that leads to no other host matters where there are other hosts, and most where something fails."""
    told = of(context)
    others = (one for one in context.sightings if one.signature == "nccl-using-if" and one is not seen)
    if seen.signature == "nccl-link-local" and any(value(one, "if") == value(seen, "if") for one in others):
        return None
    first = context.saw("watchdog")
    failed = context.saw(*CONNECTING) or (first if first and FIRST.search(first.quote) else None)
    if told.several_nodes is False or (value(seen, "if") == "lo" and not told.several_nodes and not failed):
        return None
    if value(seen, "if").startswith("wl") and not told.several_nodes:
        return replace(seen, severity="note")  # hosts do reach each other by radio, if slowly
    if failed:
        return replace(seen, severity="error")
    works = told.connected or (told.complete and (told.several_nodes is None or _connects_at_once(told)))
    return replace(seen, severity="note") if works else seen


def second_socket(seen: Sighting, context: Context) -> Sighting | None:
    """Channels over a second interface are as good as that interface; worth a look while nothing is connected."""
    if of(context).connected:
        return None
    return replace(seen, kind="root", severity="warning" if context.saw(*CONNECTING) else "note")


def bridge(seen: Sighting, context: Context) -> Sighting | None:
    """Containers on docker's own bridge reach those of their host only; two hosts often give the same address."""
    told = of(context)
    if told.connected or len(told.hosts) < 2:
        return None
    addresses = [one.bootstrap.address for one in told.processes if one.bootstrap is not None]
    by_host = {(one.node, one.bootstrap.address) for one in told.processes if one.bootstrap is not None}
    twice = len({address for _, address in by_host}) < len(by_host)
    sure = context.saw(*CONNECTING) or (twice and all(_in_docker(address) for address in addresses))
    return replace(seen, kind="root", severity="error" if sure else "warning")


def family(seen: Sighting, context: Context) -> Sighting:
    """Without any interface the address that NCCL is to connect to was never filled in (before 2.28)."""
    named = of(context).setting("NCCL_SOCKET_IFNAME")
    return seen if named or "to address  with" in seen.quote else replace(seen, severity="warning")


def environment(seen: Sighting, context: Context) -> Sighting | None:
    """Variables that must be the same everywhere, given to some hosts only or with other values."""
    variable = value(seen, "variable")
    differing = of(context).differing(variable) if COMMON.fullmatch(variable) else {}
    if not differing:
        return None
    hurts = context.saw("nccl-truncated", "nccl-version", "watchdog", "ib-collective-mismatch")
    return replace(seen, kind="root", severity="error" if hurts else "warning")


def version(seen: Sighting, context: Context) -> Sighting | None:
    """Hosts that name different releases of NCCL; without host names it may be two runs."""
    told = of(context)
    releases = told.of_each_host(lambda process: process.version if process.node else "")
    return replace(seen, kind="root") if len(set(releases.values())) > 1 else None


def message(seen: Sighting, context: Context) -> Sighting:
    """Sizes that do not fit at the start-up: other versions, where the text shows them, or other jobs and sizes."""
    told = of(context)
    releases = told.of_each_host(lambda process: process.version)
    if context.saw("world-size"):
        return replace(seen, kind="symptom", code="world-size-mismatch")
    return seen if "ismatch" in seen.quote or len(set(releases.values())) > 1 else replace(seen, severity="warning")


def truncated(seen: Sighting, context: Context) -> Sighting:
    """NCCL itself names the two causes: sizes that differ, and variables such as NCCL_PROTO that differ."""
    if "Mismatched collective" in seen.quote:
        return seen
    other = context.saw("nccl-env-differs")
    differing = of(context).differing(value(other, "variable")) if other is not None else {}
    return replace(seen, code="nccl-env-mismatch") if differing else replace(seen, severity="warning")


def leftover(seen: Sighting, context: Context) -> Sighting | None:
    """Only what is switched off; where it explains a missing way the row of that names it as its cause."""
    del context
    return replace(seen, kind="root") if value(seen, "on") in ("1", "Socket") else None


def plugin(seen: Sighting, context: Context) -> Sighting:
    """Without its fabric a plugin steps back and NCCL goes on with another network: a matter of speed."""
    if re.search(r"RC: -12\b|Cannot allocate memory", seen.quote):
        return replace(seen, code="memlock-limit", severity="warning")
    told = of(context)
    if context.saw("nccl-no-network") or not (told.connected or told.complete):
        return seen
    return replace(seen, severity="note")


def stopped(seen: Sighting, context: Context) -> Sighting | None:
    """A start-up of one node that comes to no end and shows no error: the peer-to-peer paths are what it tries then."""
    told = of(context)
    if told.complete or told.connected or told.several_nodes or not told.begun:
        return None
    first = context.saw(seen.signature)
    others = [one for one in context.sightings if one.kind != "noise" and one.severity != "note"]
    alone = len(told.hosts) <= 1 and max(told.sizes, default=0) > 1
    return replace(seen, kind="root") if first is seen and not others and alone else None


def duplicate_gpu(seen: Sighting, context: Context) -> Sighting:
    """Two ranks of which the text shows that they run on different hosts share no GPU: NCCL takes the hosts for one."""
    nodes = {rank: process.node for process in of(context).processes for rank in process.ranks if process.node}
    ranks = [int(value(seen, name) or -1) for name in ("a", "b")]
    places = [nodes.get(rank, "") for rank in ranks]
    return replace(seen, code="duplicate-host-id") if all(places) and places[0] != places[1] else seen


def shared_memory(seen: Sighting, context: Context) -> Sighting:
    """A segment that a rank of the same host made and this one does not find lies in another /dev/shm."""
    lines = [one.quote for one in context.sightings if one.signature == seen.signature]
    full = any(re.search(r"No space|creating|failed to extend|posix_fallocate|ftruncate", line) for line in lines)
    lost = any("attaching" in line or "No such file" in line for line in lines)
    return replace(seen, code="duplicate-host-id", severity="warning") if lost and not full else seen


def named(seen: Sighting, context: Context) -> Sighting | None:
    """An interface that a variable asks for and that the listing in the same text does not have."""
    listed = context.sections.get("network-listing")
    names = listed.interfaces if isinstance(listed, NetworkListing) else ()
    asked = value(seen, "value").rstrip(",.")
    if not [name for name in names if name != "lo"] or asked.startswith("^"):
        return None
    if value(seen, "variable") == "GLOO_SOCKET_IFNAME":
        absent = any(one not in names for one in asked.split(","))
    else:
        absent = not any(listing(asked).takes(name) for name in names)
    return replace(seen, kind="root") if absent else None


def host_id(seen: Sighting, context: Context) -> Sighting | None:
    """One value on several hosts makes them one to NCCL."""
    ids = of(context).of_each_host(lambda process: process.settings.get("NCCL_HOSTID", "") if process.node else "")
    twice = [host for host, told in ids.items() if told == value(seen, "id")]
    return replace(seen, kind="root") if len(twice) > 1 else None


def library(seen: Sighting, context: Context) -> Sighting | None:
    """torch answers with the NCCL that it loaded: where that is not the wheel's, another copy was found before it."""
    told = of(context)
    return replace(seen, kind="root") if told.wheel and told.loaded and told.wheel != told.loaded else None


def reverse_path(seen: Sighting, context: Context) -> Sighting:
    """Releases before 2.18 do not know how Hopper's links are laid; later ones see a link that is down on one side."""
    releases = [one.version for one in of(context).processes if one.version] + re.findall(
        r"NCCL version (\d+\.\d+\.\d+)", " ".join(one.quote for one in context.sightings)
    )
    old = any(tuple(map(int, release.split("."))) < (2, 18) for release in releases)
    return replace(seen, code="nccl-too-old-for-gpu") if old else seen


def gloo(seen: Sighting, context: Context) -> Sighting:
    """gloo names the address it tried: loopback was announced by a host whose own name resolves to it."""
    address = value(seen, "addr") or value(seen, "peer")
    if _loopback(address) or context.saw("hostname-fallback", "gloo-loopback"):
        return replace(seen, severity="error")
    if not address:
        return seen
    if _only_here(address):
        return replace(seen, code="wrong-interface", severity="error")
    if FILTERED.search(seen.quote) and "refused" not in seen.quote:
        return replace(seen, code="firewall-blocks-ports", severity="error")
    return replace(seen, code="peer-died", kind="symptom")


def mpi_connect(seen: Sighting, context: Context) -> Sighting:
    """Open MPI blames a firewall; an address that leads to no other host was announced by a bridge or loopback."""
    del context
    address = value(seen, "addr")
    if address and _only_here(address):
        return replace(seen, code="wrong-interface")
    return replace(seen, severity="warning") if value(seen, "why") == "refused" else seen


def _connects_at_once(told: NcclLog) -> bool:
    """Before 2.22 an initialisation is complete when rings and trees are connected; later that waits for their use."""
    releases = [tuple(map(int, one.version.split("."))) for one in told.processes if one.version]
    return bool(releases) and max(releases) < (2, 22)


def _of_another_interface(address: str, told: NcclLog) -> bool:
    """Whether the address lies in the network of an interface that NCCL took beside its first one."""
    for process in told.processes:
        first, *others = process.interfaces or (Interface(),)
        if _near(address, first.address):
            return False
        if any(_near(address, other.address) for other in others):
            return True
    return False


def _near(one: str, other: str) -> bool:
    """Within 256 addresses: the lines tell no prefix length."""
    a, b = _address(one), _address(other)
    if a is None or b is None or a.version != b.version or a.version != 4:
        return False
    return int(a) >> 8 == int(b) >> 8


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    host = text.partition("<")[0].strip("[]").partition("%")[0]
    try:
        told = ipaddress.ip_address(host)
    except ValueError:
        return None
    return told.ipv4_mapped or told if isinstance(told, ipaddress.IPv6Address) else told


def _in_docker(text: str) -> bool:
    told = _address(text)
    return told is not None and told.version == 4 and told in DOCKER


def _loopback(text: str) -> bool:
    told = _address(text)
    return told is not None and told.is_loopback


def _only_here(text: str) -> bool:
    told = _address(text)
    return told is not None and any(told.version == net.version and told in net for net in NOT_BETWEEN_HOSTS)
