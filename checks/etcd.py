"""Does etcd answer, where torchrun is to meet the other nodes through it?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts.rendezvous import RendezvousReach

TOPIC = Topic("rendezvous", 245, Text("etcd, where the nodes meet through it", "通过 etcd 会合时 etcd 是否可达"))

ETCD_UNREACHABLE = Problem(
    code="etcd-unreachable",
    severity=Severity.ERROR,
    title=Text("etcd does not answer at {host}:{port}", "etcd 在 {host}:{port} 无应答"),
    why=Text("torchrun cannot meet the other nodes", "torchrun 无法与其他节点会合"),
    seen=Text(
        "PET_RDZV_ENDPOINT={host}:{port}: {outcome}; GET /version: {status}",
        "PET_RDZV_ENDPOINT={host}:{port} 的连接结果：{outcome}；GET /version：{status}",
    ),
    help=Text(
        "torchrun needs no etcd: --rdzv-backend=c10d serves the same purpose",
        "torchrun 并不需要 etcd:--rdzv-backend=c10d 作用相同",
    ),
    look="curl -m 3 http://{quoted}:{port}/version",
    confirm="curl -m 3 http://HOST:2379/version",
)


@check(ETCD_UNREACHABLE)
def etcd_unreachable(reach: RendezvousReach) -> Iterable[Finding]:
    """Connected is not enough: /version must be served."""
    for target in reach.targets:
        if target.kind == "etcd" and target.http_status != 200:
            yield ETCD_UNREACHABLE.found(
                host=target.host,
                quoted=shlex.quote(target.host),
                port=target.port,
                address=target.addresses[0] if target.addresses else None,
                outcome=target.outcome,
                status=target.http_status,
            )
