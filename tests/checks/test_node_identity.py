"""checks/node_identity.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.nics import Nics
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import gpus, h100
from tests.checks.interfaces import DOCKER0, ETH0, LO, nics
from tests.checks.texts import log

FILE = CHECKS / "node_identity.py"
CODE = "duplicate-host-id"
CLONE = Host(name="worker", boot_id="6f1c")


def at(address: str) -> Nics:
    return nics(LO, (ETH0[0], (f"{address}/24",)), DOCKER0, source=address)


def given(value: str) -> Environment:
    return Environment({"NCCL_HOSTID": value})


CASES = [
    Case("a log shows it", (log(CODE),), {CODE: "error"}),
    Case("a log without errors", (log(),)),
    Case(
        "two clones",
        nodes={
            "a": (CLONE, at("10.0.0.1")),
            "b": (CLONE, at("10.0.0.2")),
            "c": (Host(name="worker", boot_id="77"), at("10.0.0.3")),
        },
        expect={CODE: "error"},
    ),
    Case(
        "clones that were given names",
        nodes={"a": (CLONE, at("10.0.0.1"), given("a")), "b": (CLONE, at("10.0.0.2"), given("b"))},
    ),
    Case(
        "one value of the variable on two",
        nodes={
            "a": (Host(name="a", boot_id="1"), at("10.0.0.1"), given("x")),
            "b": (Host(name="b", boot_id="2"), at("10.0.0.2"), given("x")),
        },
        expect={CODE: "error"},
    ),
    Case("one machine at two times", nodes={"a": (CLONE, at("10.0.0.1")), "a #2": (CLONE, at("10.0.0.1"))}),
    Case(
        "one machine whose address changed meanwhile",
        nodes={
            "a": (CLONE, at("10.0.0.1"), gpus(h100(uuid="GPU-1"))),
            "b": (CLONE, at("10.0.0.9"), gpus(h100(uuid="GPU-1"))),
        },
    ),
    Case("nothing tells whether they are two", nodes={"a": (CLONE,), "b": (CLONE,)}),
    Case("one name and two boots", nodes={"a": (CLONE, at("10.0.0.1")), "b": (Host(name="worker", boot_id="2"),)}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_clones_are_named() -> None:
    (found,) = CASES[2].assert_holds(FILE)
    assert found.nodes == ("a", "b")
    (named,) = CASES[4].assert_holds(FILE)
    assert named.command == "unset NCCL_HOSTID"
