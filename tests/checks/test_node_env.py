"""checks/node_env.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.nccl import ConfFile, NcclSettings, Row
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import EIGHT, gpus
from tests.checks.texts import log

FILE = CHECKS / "node_env.py"
CODE = "nccl-env-mismatch"


def env(**variables: str) -> tuple[object, ...]:
    return (Environment(variables),)


CASES = [
    Case("a log shows it", (log(CODE),), {CODE: "error"}),
    Case("a log without errors", (log(),)),
    Case("the same", nodes={"a": env(NCCL_ALGO="Ring"), "b": env(NCCL_ALGO="Ring")}),
    Case(
        "one of three has another algorithm",
        nodes={"a": env(), "b": env(NCCL_ALGO="Ring", NCCL_PROTO="LL"), "c": env()},
        expect={CODE: "error"},
    ),
    Case("two that differ", nodes={"a": env(NCCL_NET="IB"), "b": env(NCCL_NET="Socket")}, expect={CODE: "error"}),
    Case("a question of speed", nodes={"a": env(), "b": env(NCCL_NVLS_ENABLE="0")}, expect={CODE: "warning"}),
    Case(
        "each has its own interface, adapters and files",
        nodes={
            "a": env(NCCL_SOCKET_IFNAME="eth0", NCCL_IB_HCA="mlx5_0", NCCL_DEBUG="INFO", NCCL_TOPO_FILE="/a.xml"),
            "b": env(NCCL_SOCKET_IFNAME="eno1", NCCL_IB_HCA="mlx5_2", GLOO_SOCKET_IFNAME="eno1"),
        },
    ),
    Case(
        "a file on one node says what the environment says on the other",
        nodes={
            "a": env(NCCL_ALGO="Ring"),
            "b": (NcclSettings((ConfFile("/etc/nccl.conf", "system", rows=(Row("NCCL_ALGO", "Ring", 1),)),)), *env()),
        },
    ),
    Case("variables that are not NCCL's", nodes={"a": env(SLURM_PROCID="0"), "b": env(SLURM_PROCID="1")}),
    Case("one is not known", nodes={"a": env(NCCL_ALGO="Ring"), "b": (Missing("environment", "failed"),)}),
    Case(
        "a login node",
        nodes={"a": (*env(NCCL_ALGO="Ring"), gpus(*EIGHT)), "login": (*env(), Missing("gpu", "not-here"))},
    ),
    Case(
        "more than can be shown",
        nodes={"a": env(), "b": env(**{f"NCCL_MADE_UP_{number}": "1" for number in range(9)}), "c": env()},
        expect={CODE: "warning"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_variables_that_set_the_same_nodes_apart_are_one_finding() -> None:
    (found,) = CASES[3].assert_holds(FILE)
    assert found.nodes == ("b",)
    assert found.evidence["variables"] == "NCCL_ALGO, NCCL_PROTO"
    assert str(found.evidence["sides"]).splitlines()[:2] == ["b: NCCL_ALGO=Ring", "a,c: NCCL_ALGO=-"]
    (both,) = CASES[4].assert_holds(FILE)
    assert (both.situation, both.nodes) == ("split", ("a", "b"))
