"""Which of the examined hosts are fit to train on, by the names under which they were asked for."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from envdoctor.model import Node, Report, Severity

# What a launcher takes for one host: names, IPv4, IPv6 with a zone, user@host:port, a pod and its namespace. A snapshot
# may come from anywhere, and a blank, comma or bracket range in a name would be more hosts than one in the lists that
# are made of it.
HOST = re.compile(r"[\w.@:%][\w.@:%/-]*")
NUMBERED = re.compile(r" #\d+$")  # how a report tells snapshots of one name apart


@dataclass(frozen=True)
class HostLists:
    """Hosts in the order of the report, each in one list. `unnamed` are nodes whose name no launcher would take."""

    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()


def name_of(node: Node) -> str:
    """As the user named it: the address it was reached by, else the name it gives itself."""
    return node.address or NUMBERED.sub("", node.name)


def sort(report: Report, failing: Collection[str] = (Severity.ERROR,)) -> HostLists:
    """Hosts without and with a finding of such a severity.

    One that could not be examined is bad, for that is a finding of its own. A name that several snapshots share is bad
    if one of them is.

    Args:
        failing: without any, what errors show decides: a host that cannot train is never called good.
    """
    bad_nodes = {
        node for finding in report.findings if finding.severity in (failing or (Severity.ERROR,))
        for node in finding.nodes
    }  # fmt: skip
    verdicts: dict[str, bool] = {}
    for node in report.nodes:
        verdicts[name_of(node)] = verdicts.get(name_of(node), False) or node.name in bad_nodes
    known = {node.name for node in report.nodes} | {name_of(node) for node in report.nodes}
    for name in sorted(bad_nodes - known):
        verdicts[name] = True
    named = {name: bad for name, bad in verdicts.items() if HOST.fullmatch(name)}
    return HostLists(
        tuple(name for name, bad in named.items() if not bad),
        tuple(name for name, bad in named.items() if bad),
        tuple(name for name in verdicts if name not in named),
    )
