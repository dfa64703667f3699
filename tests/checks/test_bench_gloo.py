"""checks/bench_gloo.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST

FILE = CHECKS / "bench_gloo.py"
WARNS = {"gloo-interfaces-differ": "warning"}


def given(*told: tuple[str, str] | tuple[()], found: str = "10.0.0.{}") -> AllreduceResult:
    """Nodes found at 10.0.0.1 and so on, and what gloo on each gives."""
    members = tuple(
        replace(FIRST, index=place, node=f"gpu{place}", host=f"gpu{place}", address=found.format(place + 1), gloo=gloo)
        for place, gloo in enumerate(told)
    )
    return replace(FINE, members=members)


def eth0(place: int) -> tuple[str, str]:
    return ("eth0", f"10.0.0.{place + 1}/24")


def ib0(place: int) -> tuple[str, str]:
    return ("ib0", f"10.1.0.{place + 1}/24")


DOCKER0 = ("docker0", "172.17.0.1/16")
CASES = [
    Case("nobody tells", (FINE,)),
    Case("all where they are found", (given(eth0(0), eth0(1), eth0(2)),)),
    Case("docker0 on the second", (given(eth0(0), DOCKER0),), WARNS),
    Case("the own name of one is its loopback", (given(eth0(0), ("lo", "127.0.0.1/8"), eth0(2)),), WARNS),
    Case("one of four takes another fabric", (given(eth0(0), eth0(1), ib0(2), eth0(3)),), WARNS),
    Case("docker0 was connected to", (given(("eth0", "192.168.0.1/24"), DOCKER0, found="192.168.0.{}"),)),
    Case("all take another fabric", (given(ib0(0), ib0(1)),)),
    Case("each has a network of its own there", (given(("ib0", "10.1.0.1/30"), ("ib0", "10.1.1.1/30")),)),
    Case("networks that are routed", (given(("eth0", "10.0.1.1/24"), ("eth0", "10.0.2.1/24"), found="10.0.{}.1"),)),
    Case("one does not tell", (given(eth0(0), ()),)),
    Case("found by a name", (given(eth0(0), DOCKER0, found="node{}"),)),
    Case("what is no address", (given(eth0(0), ("docker0", "172.17.0.1/99")),)),
    Case("IPv6", (given(("eth0", "fd00::1/64"), ("docker0", "fd01::1/64"), found="fd00::{}"),), WARNS),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_who_gives_what_is_told() -> None:
    (found,) = next(case for case in CASES if "one of four" in case.about).assert_holds(FILE)
    assert found.nodes == ("gpu2",)
    assert (found.evidence["interface"], found.evidence["found"]) == ("ib0", "10.0.0.3")
    assert str(found.evidence["shown"]).splitlines() == ["gpu[0-1,3]: eth0 10.0.0.1/24 ...", "gpu2: ib0 10.1.0.3/24"]
