"""NCCL: what a failed connection means, by the address and the error."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from envdoctor.facts.log import Sighting
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
# firewalld and cloud firewalls answer with "administratively prohibited", which Linux reports as EHOSTUNREACH; others
# drop the packet (EHOSTUNREACH is that of a dead address as well, which the rendezvous before has ruled out).
FILTERED = re.compile(r"No route to host|timed out", re.IGNORECASE)

# enum ibv_wc_status. LOC_PROT_ERR: the adapter may not reach the memory, under GPUDirect that of a GPU behind an IOMMU
# or ACS. WR_FLUSH_ERR: the queue pair was in error already.
LOCAL_PROTECTION = 4
FLUSHED = 5


def connect(seen: Sighting, context: Context) -> Sighting:
    """An address of a bridge or loopback was announced by the wrong interface; an ordinary one that is filtered is
    behind a firewall; one that refuses belongs to a process that has ended, or to another host of that address."""
    if _only_here(value(seen, "addr")) or context.saw("nccl-using-if"):
        return seen
    if FILTERED.search(seen.quote):
        return replace(seen, code="firewall-blocks-ports")
    return replace(seen, code="peer-died", kind="symptom", severity="warning")


def mixed_ports(seen: Sighting, context: Context) -> Sighting:
    """Worth a note until a queue pair between the two fabrics fails."""
    return replace(seen, severity="error") if context.saw("ib-modify-qp") else seen


def completion(seen: Sighting, context: Context) -> Sighting:
    """The status of a work completion tells where a transfer failed (enum ibv_wc_status of rdma-core's verbs.h)."""
    del context
    status = int(value(seen, "s1") or value(seen, "s2") or 0)
    if status == LOCAL_PROTECTION:
        return replace(seen, code="p2p-acs-iommu")
    if status == FLUSHED:
        return replace(seen, code="peer-died", kind="symptom")
    return seen


def _only_here(address: str) -> bool:
    host = address.partition("<")[0].strip("[]")
    try:
        told = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(told.version == net.version and told in net for net in NOT_BETWEEN_HOSTS)
