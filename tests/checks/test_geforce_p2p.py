"""checks/geforce_p2p.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import CPU_MACHINE, HGX, WORKSTATION, driver, geforce, gpus, swap, variables

FILE = CHECKS / "geforce_p2p.py"
TWO = gpus(geforce(), geforce(1))
OLD = driver(2, release="535.183.01", kernel_release="535.183.01")
HIT = {"p2p-unsupported": "error"}

CASES = [
    Case("two RTX 4090, old driver", swap(WORKSTATION, TWO, OLD), HIT),
    Case("the release before the mended one", swap(WORKSTATION, TWO, driver(2, release="550.40.06")), HIT),
    Case("the mended one", swap(WORKSTATION, TWO, driver(2, release="550.40.07"))),
    Case("one RTX 4090", swap(WORKSTATION, OLD)),
    Case("NCCL was told", swap(WORKSTATION, TWO, OLD, variables(NCCL_P2P_DISABLE="1"))),
    Case("NCCL was told the opposite", swap(WORKSTATION, TWO, OLD, variables(NCCL_P2P_DISABLE="0")), HIT),
    Case("a mask leaves one", swap(WORKSTATION, TWO, driver(1, release="535.183.01"))),
    Case("RTX 4000 Ada is another card",
         swap(WORKSTATION, OLD, gpus(*(geforce(i, "NVIDIA RTX 4000 Ada Generation") for i in range(2))))),
    Case("two RTX 3090", swap(WORKSTATION, OLD, gpus(*(geforce(i, "NVIDIA GeForce RTX 3090") for i in range(2))))),
    Case("release unknown", swap(WORKSTATION, TWO, Driver())),
    Case("eight H100", HGX),
    Case("a CPU machine", CPU_MACHINE),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)
