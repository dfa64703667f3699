"""Which of the examined nodes would train together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.gpu_state import own_devices
from envdoctor.facts.pci import PciDevices
from envdoctor.model import Missing, PerNode

Fact = TypeVar("Fact")


def has_gpus(gpus: object, pci: object) -> bool | None:
    """Whether a node has NVIDIA GPUs, whether or not its driver finds them; None if nothing tells."""
    if isinstance(gpus, Gpus) and gpus.count:
        return True
    if isinstance(pci, PciDevices):
        return bool(own_devices(pci))
    absent = isinstance(gpus, Missing) and gpus.reason == "not-here"
    return False if absent or isinstance(gpus, Gpus) else None


def gpu_set(gpus: object, pci: object) -> str | None:
    """ "8x NVIDIA H100 80GB HBM3"; "0" for a machine without, None if unknown."""
    if isinstance(gpus, Gpus):
        names = Counter(gpu.name or "?" for gpu in gpus.gpus)
        return ", ".join(f"{count}x {name}" for name, count in sorted(names.items())) or str(gpus.count)
    return "0" if has_gpus(gpus, pci) is False else None


def peers(gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> tuple[str, ...]:
    """The nodes to be compared: those with GPUs unless most have none, for a login node among them is another thing
    and differs in everything. Nodes of which it is not known belong to them."""
    told = {node: has_gpus(fact, pci.get(node)) for node, fact in gpus.items()}
    with_gpus = sum(found is True for found in told.values())
    without = sum(found is False for found in told.values())
    left_out = not (with_gpus >= without) if with_gpus and without else None
    return tuple(node for node, found in told.items() if left_out is None or found is None or found is not left_out)


def of(facts: Mapping[str, Fact | Missing], nodes: tuple[str, ...], kind: type[Fact]) -> dict[str, Fact | None]:
    """The facts of these nodes, None where one could not be had."""
    told = ((node, facts.get(node)) for node in nodes)
    return {node: fact if isinstance(fact, kind) else None for node, fact in told}
