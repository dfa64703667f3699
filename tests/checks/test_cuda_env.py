"""checks/cuda_env.py"""

from __future__ import annotations

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import CPU_MACHINE, HGX, swap, variables

FILE = CHECKS / "cuda_env.py"
LEFT = {"cuda-debug-leftover": "warning"}

CASES = [
    Case("nothing set", HGX),
    Case("synchronous launches", swap(HGX, variables(CUDA_LAUNCH_BLOCKING="1")), LEFT),
    Case("switched off again", swap(HGX, variables(CUDA_LAUNCH_BLOCKING="0", CUDA_PROFILE=""))),
    Case("a profiler in every process", swap(HGX, variables(CUDA_INJECTION64_PATH="/opt/nsight/lib.so")), LEFT),
    Case("two of them", swap(HGX, variables(COMPUTE_PROFILE="1", CUDA_LAUNCH_BLOCKING="1")), LEFT),
    Case("variables that serve training",
         swap(HGX, variables(CUDA_DEVICE_MAX_CONNECTIONS="1", CUDA_HOME="/usr/local/cuda"))),
    Case("a machine without a driver", swap(CPU_MACHINE, variables(CUDA_LAUNCH_BLOCKING="1"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_all_are_unset_with_one_command() -> None:
    (finding,) = next(case for case in CASES if case.about == "two of them").assert_holds(FILE)
    assert finding.command == "unset CUDA_LAUNCH_BLOCKING COMPUTE_PROFILE"
    assert finding.evidence["values"] == "CUDA_LAUNCH_BLOCKING=1, COMPUTE_PROFILE=1"
