"""checks/gpu_busy.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.gpu import Gpu, GpuProcess
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_CONTAINER,
    CPU_MACHINE,
    DOCKER,
    EIGHT,
    GIB,
    HGX,
    LAPTOP_MAC,
    NO_DRIVER,
    WORKSTATION,
    WSL,
    address,
    driver,
    fails,
    geforce,
    gpus,
    h100,
    swap,
    variables,
)

FILE = CHECKS / "gpu_busy.py"
BUSY = {"gpu-busy": "warning"}
REFUSED = {"gpu-busy": "error"}
TRAINING = GpuProcess(4242, 70 * GIB, "ann", "python train.py")
OWN = GpuProcess(77, 30 * GIB, "me", "python", own=True)
BROWSER = GpuProcess(901, 3 * GIB, "ann", "/opt/google/chrome/chrome --type=gpu-process")
CODE = GpuProcess(902, GIB, "ann", "/usr/share/code/code")
DESKTOP = GpuProcess(900, 400 << 20, "root", "Xorg")


def held(index: int, *processes: GpuProcess, **changes: Any) -> Gpu:
    used = sum(process.memory_bytes or 0 for process in processes)
    return h100(index, **{"processes": processes, "memory_used_bytes": used, **changes})


CASES = [
    Case("eight idle H100", HGX),
    Case("a CPU machine", CPU_MACHINE),
    Case("a container on a CPU machine", CPU_CONTAINER),
    Case("a Mac", LAPTOP_MAC),
    Case("a desktop", swap(WORKSTATION, gpus(geforce(processes=(DESKTOP,))))),
    Case("the doctor's own job", swap(HGX, gpus(held(0, OWN), *EIGHT[1:]))),
    Case("somebody trains on one of eight", swap(HGX, gpus(held(0, TRAINING, OWN), *EIGHT[1:])), BUSY),
    Case("somebody trains on all", swap(HGX, gpus(*(held(i, TRAINING) for i in range(8)))), BUSY),
    Case("many processes", swap(HGX, gpus(*(held(i, TRAINING, TRAINING) for i in range(8)))), BUSY),
    Case("memory in use and nobody to be seen", swap(HGX, gpus(h100(memory_used_bytes=60 * GIB)), DOCKER), BUSY),
    Case("memory unknown", swap(HGX, gpus(h100(memory_used_bytes=None)))),
    Case("somebody trains where the mask does not lead",
         swap(HGX, driver(1, cuda_order=(address(7),)), gpus(held(0, TRAINING), *EIGHT[1:]),
              variables(CUDA_VISIBLE_DEVICES="7"))),
    Case("a browser on a workstation", swap(WORKSTATION, gpus(geforce(processes=(DESKTOP, BROWSER, CODE))))),
    Case("a browser, and a training", swap(WORKSTATION, gpus(geforce(processes=(BROWSER, TRAINING)))), BUSY),
    Case("Windows' desktop under WSL", swap(WORKSTATION, gpus(geforce(memory_used_bytes=3 * GIB)), WSL)),
    Case("a game under WSL", swap(WORKSTATION, gpus(geforce(memory_used_bytes=20 * GIB)), WSL), BUSY),
    Case("no driver section", swap(HGX, NO_DRIVER, gpus(held(0, TRAINING))), BUSY),
    Case("error 2 on a full GPU", swap(HGX, fails(2), gpus(held(0, TRAINING))), REFUSED),
    Case("error 2 and memory free: a limit", swap(HGX, fails(2)), REFUSED),
    Case("error 46", swap(HGX, fails(46), gpus(held(0, TRAINING))), REFUSED),
    Case("802 is another finding", swap(HGX, fails(802), gpus(held(0, TRAINING)))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("somebody trains on one of eight", "export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1,2,3,4,5,6,7"),
        ("somebody trains on all", "ps -o pid,user,lstart,args -p 4242"),
        ("error 2 on a full GPU", "nvidia-smi; ulimit -v"),
        ("error 46", "nvidia-smi -q -d COMPUTE | grep 'Compute Mode'"),
    ],
)
def test_the_command_fits(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.command or finding.look) == command


def test_holders_are_named_and_the_list_is_short() -> None:
    found = {case.about: case.assert_holds(FILE) for case in CASES if case.expect}
    (one,) = found["somebody trains on one of eight"]
    assert one.evidence["holders"] == "python train.py (pid 4242, ann, GPU 0, 75.2 GB)"
    (many,) = found["many processes"]
    assert str(many.evidence["holders"]).count("pid 4242") == 8
    (unseen,) = found["memory in use and nobody to be seen"]
    assert unseen.situation == "unseen" and unseen.evidence["holders"] == "-"
