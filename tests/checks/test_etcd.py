"""checks/etcd.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import load
from envdoctor.bench import spoken
from envdoctor.facts.rendezvous import RendezvousReach, Target
from envdoctor.model import Node
from envdoctor.snapshot import Snapshot
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE

ETCD = Target("etcd0", 2379, "PET_RDZV_ENDPOINT", "etcd", ("10.0.0.9",), outcome="connected", http_status=200)
CLOSED = replace(ETCD, outcome="refused", http_status=None)
STORE = Target("10.0.0.1", 29500, "MASTER_ADDR", outcome="timeout")

CASES = [
    Case("no endpoint is named", (RendezvousReach(),)),
    Case("it answers", (RendezvousReach((ETCD,)),)),
    Case("a store is told by another file", (RendezvousReach((STORE,)),)),
    Case("its port is closed", (RendezvousReach((STORE, CLOSED)),), {"etcd-unreachable": "error"}),
    Case(
        "something else listens there",
        (RendezvousReach((replace(ETCD, http_status=0),)),),
        {"etcd-unreachable": "error"},
    ),
    Case("it is not well", (RendezvousReach((replace(ETCD, http_status=503),)),), {"etcd-unreachable": "error"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(CHECKS / "etcd.py")


def test_a_benchmark_that_came_to_its_end_proves_nothing_about_etcd() -> None:
    """It met by its own roll call; the network's other predictions it has proved wrong."""
    seen: dict[str, object] = {"allreduce": FINE}

    def told() -> set[str]:
        heard = spoken.of(load.load([CHECKS]), [Snapshot(Node(), "", "", seen)])
        return {problem.code for file in heard.files for problem in file.problems}

    assert "etcd-unreachable" not in told(), "it was not asked"
    seen["rendezvous-reach"] = RendezvousReach((CLOSED,))
    assert "etcd-unreachable" in told() and "master-unreachable" not in told() and "wrong-interface" not in told()
