"""RDMA as NCCL meets it: what a failed queue pair, transfer or adapter means, and where TCP took its place."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.facts.nccl_log import NcclLog
from envdoctor.facts.network_listing import NetworkListing
from envdoctor.readers.decisions import Context, value
from envdoctor.readers.decisions.nccl import of

# enum ibv_wc_status of rdma-core's verbs.h. LOC_LEN_ERR: more was sent than the receiver had asked for.
LOCAL_LENGTH = 1
# LOC_PROT_ERR, REM_ACCESS_ERR and REM_OP_ERR: an adapter may not reach the memory, under GPUDirect that of a GPU behind
# an IOMMU or ACS.
PROTECTION = 4
REMOTE_ACCESS = (10, 11)
# WR_FLUSH_ERR: the queue pair was in error already.
FLUSHED = 5
# RETRY_EXC_ERR and RNR_RETRY_EXC_ERR: nothing comes back.
NO_ANSWER = (12, 13)

# The adapter's own link, in the words of ibv_event_type_str (rdma-core libibverbs/enum_strs.c).
PORT_LOST = ("port error", "local catastrophic error", "device fatal")
ADDRESSES = ("GID table change", "LID change")
ROUTINE = (
    "port active",
    "SM change",
    "client reregist",
    "P_Key",
    "SRQ limit",
    "communication established",
    "queue drain",
)

FAST_MBPS = 100_000


def mixed_ports(seen: Sighting, context: Context) -> Sighting | None:
    """Ports of two fabrics in one process are worth a note until a queue pair between them fails."""
    if not any(len({adapter.layer for adapter in process.adapters}) > 1 for process in of(context).processes):
        return None
    return replace(seen, kind="root", severity="error" if context.saw("ib-modify-qp", "ib-completion") else "note")


def adapters(seen: Sighting, context: Context) -> Sighting | None:
    """Hosts that take different numbers of adapters, or other names: normal in a mixed cluster, until it fails."""
    told = of(context)
    sets = told.of_each_host(lambda one: " ".join(f"{a.name}:{a.port}" for a in one.adapters) if one.node else "")
    counts = {len(names.split()) for names in sets.values()}
    if told.connected or len(counts) < 2:
        return None
    return replace(seen, kind="root", severity="warning" if context.saw("ib-modify-qp", "ib-completion") else "note")


def queue_pair(seen: Sighting, context: Context) -> Sighting:
    """Adapters of different rails are not meant to reach each other; else the peer's GID is the first to look at."""
    told = of(context)
    crosses = told.setting("NCCL_CROSS_NIC") in ("1", "2")
    if re.search(r"timed out|unreachable|No route", seen.quote) and (crosses or _other_network(seen)):
        return replace(seen, code="rail-cross-nic", severity="warning")
    known = re.search(r"timed out|unreachable|No route|Invalid argument|\b(?:110|113|101|22)\b", seen.quote)
    return seen if known else replace(seen, severity="warning")


def completion(seen: Sighting, context: Context) -> Sighting | None:
    """The status of a work completion tells where a transfer failed (enum ibv_wc_status of rdma-core's verbs.h)."""
    status = _status(seen)
    if status == PROTECTION:
        return replace(seen, code="p2p-acs-iommu")
    if status in REMOTE_ACCESS:
        return replace(seen, code="p2p-acs-iommu", severity="warning")
    others = [one for one in context.sightings if one.signature == seen.signature and one is not seen]
    if status == FLUSHED and any(_status(one) != FLUSHED for one in others):
        return None
    if status == FLUSHED:
        return replace(seen, code="peer-died", kind="symptom")
    if status == LOCAL_LENGTH:
        return replace(seen, code="collective-timeout-desync")
    sure = "fe80:" in value(seen, "gid") and _is_ethernet(of(context))
    return replace(seen, severity="error" if sure else "warning")


def port(seen: Sighting, context: Context) -> Sighting:
    """Unused ports are normally down: beside one that is active, or in a log of the kernel, it is worth a word only."""
    failing = context.saw("ib-completion", "ib-modify-qp", "ib-async", "watchdog")
    usual = of(context).active or seen.signature == "ib-kernel-link"
    return replace(seen, severity="note") if usual and not failing else seen


def single_socket(seen: Sighting, context: Context) -> Sighting | None:
    """One stream fills 20 to 40 Gb/s: it matters on an Ethernet of 100 Gb/s and more, as the live check has it."""
    listed = context.sections.get("network-listing")
    fast = isinstance(listed, NetworkListing) and listed.speed_mbps >= FAST_MBPS
    return replace(seen, kind="root") if fast else None


def rate(seen: Sighting, context: Context) -> Sighting | None:
    """A port that runs slower than its siblings, where the text lists at least three alike."""
    listed = context.sections.get("network-listing")
    slower = listed.slower if isinstance(listed, NetworkListing) else ()
    told = float(value(seen, "rate"))
    return replace(seen, kind="root") if any(one.rate_gbps == told for one in slower) else None


def gid_index(seen: Sighting, context: Context) -> Sighting | None:
    """The slot that the variable names, by show_gids in the same text: empty or link-local is not routed."""
    listed = context.sections.get("network-listing")
    gids = listed.gids if isinstance(listed, NetworkListing) else ()
    slots = [gid for gid in gids if gid.index == int(value(seen, "index"))]
    good = any(not gid.link_local for gid in gids)
    return replace(seen, kind="root") if good and not any(not gid.link_local for gid in slots) else None


def _status(seen: Sighting) -> int:
    return int(value(seen, "s1") or value(seen, "s2") or 0)


def event(seen: Sighting, context: Context) -> Sighting | None:
    """Of the adapter's events only a lost link fails a job by itself; others belong to daily life."""
    if any(word in seen.quote for word in PORT_LOST):
        return seen
    failing = context.saw("ib-completion", "ib-modify-qp", "watchdog", "ib-fatal")
    if any(word in seen.quote for word in ADDRESSES) or "GID table changed" in seen.quote:
        return replace(seen, code="ib-gid-wrong", severity="warning" if failing else "note")
    if any(word in seen.quote for word in ROUTINE) or "non-fatal" in seen.quote:
        return replace(seen, severity="note") if failing else None
    return replace(seen, code="error-unrecognised", severity="note")


def nvshmem(seen: Sighting, context: Context) -> Sighting:
    """Within a node NVSHMEM needs no adapter: the program ends where it finds no transport at all."""
    return seen if context.saw("nvshmem-transport") else replace(seen, severity="warning")


def registration(seen: Sighting, context: Context) -> Sighting:
    """GPU memory that cannot be registered (Bad address) lacks the peer-memory module; host memory lacks the limit."""
    if re.search(r"Cannot allocate memory|ENOMEM|errno 12\b", seen.quote):
        return replace(seen, code="memlock-limit", severity="error")
    if re.search(r"Bad address|Invalid argument|not supported|dmabuf", seen.quote):
        return replace(seen, code="gdr-missing")
    if re.search(r"Operation not permitted|Permission denied|No such device", seen.quote):
        return replace(seen, code="ib-device-inaccessible")
    del context
    return seen


def gdr(seen: Sighting, context: Context) -> Sighting | None:
    """NCCL tells of every pair: "Disabled" for a far one is normal, and for all of them only where none is near."""
    told = of(context)
    if "distance" not in seen.quote:
        return replace(seen, severity="note") if told.gdr else seen
    return None if told.gdr else replace(seen, severity="note")


def over_tcp(seen: Sighting, context: Context) -> Sighting | None:
    """TCP is what there is on most machines: it is worth a word where the text shows that RDMA was meant."""
    told = of(context)
    seen = replace(seen, kind="root")
    if context.saw("ib-mlx"):
        return replace(seen, kind="symptom") if told.rdma_is_meant else None
    networks = set(told.of_each_host(lambda process: process.network if process.node else "").values())
    if len(networks) > 1 and "Socket" in networks:
        settled = two_networks(seen, context)
        return settled if settled is not seen else replace(seen, code=_missing_on_some(networks))
    meant = told.rdma_is_meant
    if not meant:
        return None
    if any(process.no_libibverbs for process in told.processes):
        return replace(seen, code="libibverbs-missing")
    return replace(seen, code="ib-hca-wrong") if _selects_none(told) else seen


def _selects_none(told: NcclLog) -> bool:
    """Whether NCCL_IB_HCA leaves none of the adapters that the text lists ("=" exact, "^" all but, else a prefix)."""
    asked = told.setting("NCCL_IB_HCA") or ""
    if not asked or not told.devices:
        return False
    words = asked.lstrip("^=").split(",")
    names = [word.partition(":")[0] for word in words if word]
    exact = asked.startswith(("=", "^="))
    taken = [one for one in told.devices if any(one == name if exact else one.startswith(name) for name in names)]
    return len(taken) == len(told.devices) if asked.startswith("^") else not taken


def two_networks(seen: Sighting, context: Context) -> Sighting:
    """RDMA on one side and TCP on the other: by a variable, or by a node that has no adapter it may use."""
    told = of(context)
    for name in ("NCCL_IB_DISABLE", "NCCL_NET"):
        if told.differing(name):
            return replace(seen, code="nccl-env-mismatch", severity="error")
    return seen


def driver_library(seen: Sighting, context: Context) -> Sighting | None:
    """libibverbs tries every driver that its folder names: one that is missing matters where no adapter is found."""
    bare = any(process.no_adapter for process in of(context).processes) or context.saw("ibv-none")
    return replace(seen, kind="root") if bare else None


def nvlink(seen: Sighting, context: Context) -> Sighting:
    """The kernel's Xid says more of it: which link of which GPU, and what to do."""
    return replace(seen, code="gpu-xid") if any(one.code == "gpu-xid" for one in context.sightings) else seen


def no_network(seen: Sighting, context: Context) -> Sighting:
    """IB is NCCL's own and fails without an adapter it may open; other names are plugins."""
    del context
    return replace(seen, code="ib-device-inaccessible") if value(seen, "net") == "IB" else seen


def _missing_on_some(networks: set[str]) -> str:
    """NCCL's own RDMA transport, of which HPC-X's plugin is a build, or another plugin that some nodes lack."""
    own = all(name in ("Socket", "IB") or name.startswith("IBext") for name in networks)
    return "ib-device-inaccessible" if own else "nccl-net-plugin-broken"


def _is_ethernet(told: NcclLog) -> bool:
    layers = {adapter.layer for process in told.processes for adapter in process.adapters}
    return layers == {"RoCE"}


def _other_network(seen: Sighting) -> bool:
    """Whether the two GIDs are IPv4 addresses of different networks, as rails have them (a /24 each, or wider)."""
    try:
        local = ipaddress.IPv6Address(value(seen, "local")).ipv4_mapped
        remote = ipaddress.IPv6Address(value(seen, "remote")).ipv4_mapped
    except ValueError:
        return False
    return local is not None and remote is not None and int(local) >> 8 != int(remote) >> 8
