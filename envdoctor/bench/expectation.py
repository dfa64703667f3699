"""How fast an all-reduce should be, from what the nodes are connected with, and why so much in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from envdoctor.facts import link_fit as fit
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.names import HostNames, NameResolution
from envdoctor.facts.nccl import NcclSettings, view
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.rdma_choice import taken
from envdoctor.facts.socket_choice import gloo_choice, nccl_choice, own_addresses
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import fabric
from envdoctor.model import Language, Scalar

Sections = Mapping[str, object]
ALL_BUSY = 0.5  # processors a stream kept busy; from here on it is not the network alone that holds it back


@dataclass(frozen=True)
class Expected:
    """What to expect.

    Attributes:
        gb_s: bus bandwidth, 1e9 bytes a second; None where nothing tells.
        by: which of `fabric.SENTENCES` says why, with `values`.
    """

    gb_s: float | None
    by: str
    values: Mapping[str, Scalar] = field(default_factory=dict)


def said(result: AllreduceResult, language: Language) -> str:
    """Why so much is expected, in one sentence; empty where nothing was worked out."""
    sentence = fabric.SENTENCES.get(result.expected_by)
    return sentence.say(language, result.expected_values) if sentence else ""


def filled(result: AllreduceResult, places: Mapping[int, Sections]) -> AllreduceResult:
    """The result with what is to be expected of it; as it is where nothing was measured.

    Args:
        places: what was seen at the places of this run, by index of the member.
    """
    if not result.members or not result.world_size:
        return result
    expected = expect(result, places)
    return replace(
        result, expected_busbw_gb_s=expected.gb_s, expected_by=expected.by, expected_values=dict(expected.values)
    )


def expect(result: AllreduceResult, places: Mapping[int, Sections]) -> Expected:
    """What the slowest part of the way allows, of what is known of the nodes: by hand that is this one."""
    machines = Counter(member.host or member.node for member in result.members)
    ranks = sum(len(member.ranks) for member in result.members) // max(1, len(machines))
    inside = _least(_inside(result, index, sections) for index, sections in places.items())
    if result.backend == "nccl" and ranks > 1 and inside is None and len(machines) == 1:
        return Expected(None, "memory")
    if len(machines) < 2:
        return inside if inside is not None and result.backend == "nccl" else Expected(None, "memory")
    between = _least(_between(result, index, sections, len(machines), ranks) for index, sections in places.items())
    if between is None:
        return Expected(None, "unknown")
    return _least((between, inside if result.backend == "nccl" and ranks > 1 else None)) or between


def _least(found: Iterable[Expected | None]) -> Expected | None:
    return min((one for one in found if one is not None), key=lambda one: one.gb_s or 0.0, default=None)


def _inside(result: AllreduceResult, index: int, sections: Sections) -> Expected | None:
    """What the GPUs of a node may exchange, where NVLink connects them."""
    gpus = sections.get("gpu")
    if not isinstance(gpus, Gpus) or not gpus.gpus:
        return None
    rates = [_nvlinks(gpu) for gpu in gpus.gpus]
    known = [rate for rate in rates if rate is not None]
    if len(known) != len(rates):
        return None
    links, each = min(known, key=lambda rate: rate[0] * rate[1])
    return Expected(links * each, "nvlink", {"node": result.named(index), "links": links, "each": each})


def _nvlinks(gpu: Gpu) -> tuple[int, float] | None:
    """How many NVLinks are up and what each carries, None without."""
    links = sum(link.active is not False for link in gpu.nvlinks)
    each = fabric.nvlink_gb_s(gpu.compute_capability)
    return (links, each) if links and each is not None else None


def _between(result: AllreduceResult, index: int, sections: Sections, nodes: int, ranks: int) -> Expected | None:
    """What the network ports of one node allow."""
    nics = sections.get("nics")
    environment = sections.get("environment")
    if not isinstance(nics, Nics) or not isinstance(environment, Environment):
        return None
    name = result.named(index)
    if result.backend == "nccl":
        rdma, settings, torch = sections.get("rdma"), sections.get("nccl"), sections.get("torch-install")
        torch = torch if isinstance(torch, TorchInstall) else None
        seen = view(settings if isinstance(settings, NcclSettings) else None, environment, torch)
        ports = taken(rdma, seen.get, seen.version) if isinstance(rdma, Rdma) else ()
        if ports:
            gbit = sum(taken_port.port.rate_gbps or 0.0 for taken_port in ports)
            interface = ", ".join(str(port) for port in ports)
        else:
            first = nccl_choice(nics, seen.get, seen.version).first
            nic = nics.nic(first.interface) if first else None
            if nic is None or not nic.speed_is_real or not nic.speed_mbps:
                return None
            gbit, interface = nic.speed_mbps / 1e3, nic.name
        if not gbit:
            return None
        values: dict[str, Scalar] = {
            "node": name, "interface": interface, "gbit": gbit, "ranks": ranks, "nodes": nodes,
        }  # fmt: skip
        return Expected(fabric.through_ports(gbit / 8, nodes, ranks), "ports", values)
    return _of_gloo(result, index, nics, _gloo_nic(result, index, nics, environment, sections), name)


def _gloo_nic(
    result: AllreduceResult, index: int, nics: Nics, environment: Environment, sections: Sections
) -> Nic | None:
    """The interface that gloo's connections leave by: one that is named, else that of the host's own name."""
    names, resolution = sections.get("host-names"), sections.get("name-resolution")
    own = own_addresses(
        names if isinstance(names, HostNames) else None, resolution if isinstance(resolution, NameResolution) else None
    )
    first = gloo_choice(nics, environment.get, own).first
    if first is not None and first.interface != "lo":
        return nics.nic(first.interface)
    member = result.member(index)
    return nics.owner(member.address) if member else None


def _of_gloo(result: AllreduceResult, index: int, nics: Nics, nic: Nic | None, name: str) -> Expected | None:
    stream = usual_stream(result)
    interface = nic.name if nic else ""
    if nic is not None and nic.speed_is_real and nic.speed_mbps:
        link = nic.speed_mbps / 1e3
        if link / 8 <= fabric.ONE_CONNECTION_GB_S or stream is None:
            return Expected(link / 8, "link", {"node": name, "interface": interface, "gbit": link})
        carried = min(link / 8, stream)
        found = Expected(carried, "connection", {"interface": interface, "gbit": carried * 8, "link": link})
    elif stream is None:
        return None
    else:
        found = Expected(stream, "stream", {"interface": interface, "gbit": stream * 8})
    # The stream has a thread for each direction, a rank of gloo one for both.
    busy = max([way.busy for way in result.ways if way.busy is not None] or [0.0])
    if busy < ALL_BUSY:
        return found
    return Expected(stream / max(1.0, busy), "processor", {"gbit": stream / max(1.0, busy) * 8})


def usual_stream(result: AllreduceResult) -> float | None:
    """What a connection from a node to the next usually carries, GB/s: the upper quartile, for a slow node takes two
    of the ways of a ring, and must not lower what is expected of all."""
    rates = [way.gb_s for way in result.ways if way.gb_s is not None]
    return fit.upper_quartile(rates) if rates else None
