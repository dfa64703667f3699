"""What do the nodes have in common?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from envdoctor import PerNode, Text, Topic, each, summary
from envdoctor.facts import peers as alike
from envdoctor.facts.agreement import agreement
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Scalar

TOPIC = Topic("drift", 301, Text("what the nodes must have in common", "各节点是否一致"), nodes=True)

Fact = TypeVar("Fact")
NAMES = {
    "driver": Text("driver", "驱动"),
    "gpus": Text("GPUs", "GPU"),
    "kernel": Text("kernel", "内核"),
    "python": Text("Python", "Python"),
    "torch": Text("torch", "torch"),
}


@summary
def line(
    hosts: PerNode[Host], drivers: PerNode[Driver], gpus: PerNode[Gpus], pci: PerNode[PciDevices],
    pythons: PerNode[Python], installs: PerNode[TorchInstall],
) -> tuple[Text, Mapping[str, Scalar]] | None:  # fmt: skip
    """Only what is known of all that are compared; a node that did not answer is not one of them."""
    nodes = tuple(node for node in alike.peers(gpus, pci) if isinstance(hosts.get(node), Host))

    def of(facts: Mapping[str, object], kind: type[Fact], value: Callable[[Fact], str]) -> dict[str, str | None]:
        found = ((node, facts.get(node)) for node in nodes)
        return {node: (value(fact) or None) if isinstance(fact, kind) else None for node, fact in found}

    sets = each(alike.gpu_set, gpus, pci)
    told = {
        "driver": of(drivers, Driver, lambda fact: fact.release),
        "gpus": {node: None if sets[node] == "0" else sets[node] for node in nodes},
        "kernel": of(hosts, Host, lambda fact: fact.kernel),
        "python": of(pythons, Python, lambda fact: fact.version),
        "torch": of(installs, TorchInstall, lambda fact: fact.version),
    }
    known = {name: agreement(values) for name, values in told.items() if None not in values.values()}
    same = [NAMES[name] for name, found in known.items() if not found.differs]
    other = [NAMES[name] for name, found in known.items() if found.differs]
    if len(nodes) < 2 or not known:
        return None
    parts = [Text("the same " + _listed(same).en, _listed(same).zh + "一致")] if same else []
    parts += [Text("different " + _listed(other).en, _listed(other).zh + "不同")] if other else []
    said = Text(", ".join(part.en for part in parts), "，".join(part.zh for part in parts))
    return Text("{count} nodes: " + said.en, "{count} 个节点：" + said.zh), {"count": len(nodes)}


def _listed(names: list[Text]) -> Text:
    """ "driver, GPUs and torch"."""
    *before, last = names
    zh = "、".join(name.zh for name in names) + (" " if last.zh.isascii() else "")
    return Text(", ".join(name.en for name in before) + (" and " if before else "") + last.en, zh)
