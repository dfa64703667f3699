"""checks/nvlink.py"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envdoctor.facts.gpu import Gpu, NvLink
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    DOCKER,
    EIGHT,
    HEALTHY,
    HGX,
    HOST,
    NO_GPUS,
    RELEASE,
    WORKSTATION,
    bus,
    driver,
    fails,
    geforce,
    gpus,
    h100,
    no_cuda,
    said,
    swap,
)

FILE = CHECKS / "nvlink.py"
DOWN = {"nvlink-down": "error"}
FABRIC = {"fabric-manager-down": "error"}
OLD = "570.86.10"
START = "sudo systemctl enable --now nvidia-fabricmanager"
VM = replace(HOST, virtual_machine="QEMU Standard PC")


def links(active: int, of: int = 18) -> tuple[NvLink, ...]:
    return tuple(NvLink(index, index < active) for index in range(of))


def unready(index: int, **changes: Any) -> Gpu:
    return h100(index, fabric_state="in-progress", fabric_status="", nvlinks=links(0), **changes)


UNREADY = gpus(*(unready(index) for index in range(8)))
UNTRIED: dict[str, Any] = {"cuda_init": None, "cuda_devices": None}
A100 = tuple(
    h100(i, name="NVIDIA A100-SXM4-80GB", fabric_state="", fabric_status="", nvlinks=links(12, 12)) for i in range(8)
)
PCIE = "NVIDIA H100 PCIe"
CASES = [
    *HEALTHY,
    Case("three links of one are down",
         swap(HGX, gpus(h100(nvlinks=tuple(NvLink(i, i not in (4, 5, 17)) for i in range(18))), *EIGHT[1:])), DOWN),
    Case("one of two", swap(HGX, gpus(h100(), h100(1, nvlinks=links(17)))), DOWN),
    Case("not one link on the whole board", swap(HGX, gpus(*(h100(i, nvlinks=links(0)) for i in range(8)))), DOWN),
    Case("in a virtual machine the provider decides",
         swap(HGX, VM, gpus(*(h100(i, nvlinks=links(0)) for i in range(8)))), {"nvlink-down": "warning"}),
    Case("one H100 alone in a virtual machine", swap(HGX, VM, driver(1), gpus(h100(nvlinks=links(0))), bus(1))),
    Case("links unknown", swap(HGX, gpus(h100(nvlinks=(NvLink(0, None), NvLink(1, True))), *EIGHT[1:]))),
    Case("PCIe cards without a bridge", swap(HGX, gpus(*(h100(i, name=PCIE, nvlinks=links(0)) for i in range(4))))),
    Case("two of four PCIe cards have a bridge",
         swap(HGX, gpus(*(h100(i, name=PCIE, nvlinks=links(12 if i < 2 else 0)) for i in range(4))))),
    Case("a bridge that sits askew",
         swap(HGX, gpus(*(h100(i, name=PCIE, nvlinks=links(12 if i else 8)) for i in range(4)))),
         {"nvlink-down": "warning"}),
    Case("different models", swap(HGX, gpus(h100(), geforce(1, nvlinks=links(4, 4))))),
    Case("MIG", swap(HGX, gpus(h100(mig=True, nvlinks=links(0), mig_instances=("MIG-1",)), *EIGHT[1:]))),
    Case("the fabric says that bandwidth is degraded",
         swap(HGX, gpus(h100(fabric_health=("degraded-bandwidth",)), *EIGHT[1:])), {"nvlink-down": "warning"}),
    Case("the fabric manager does not run", swap(HGX, fails(802, fabric_manager="inactive"), UNREADY), FABRIC),
    Case("torch alone met 802", swap(HGX, driver(**UNTRIED), no_cuda(802)), FABRIC),
    Case("an A100 board, CUDA not tried", swap(HGX, driver(fabric_manager="inactive", **UNTRIED), gpus(*A100)), FABRIC),
    Case("the fabric is not ready, CUDA not tried", swap(HGX, driver(**UNTRIED), UNREADY), FABRIC),
    Case("of another release",
         swap(HGX, fails(802, fabric_manager="inactive", fabric_manager_release=OLD), UNREADY), FABRIC),
    Case("not installed", swap(HGX, fails(802, fabric_manager="absent"), UNREADY), FABRIC),
    Case("not installed, driver unknown",
         swap(HGX, fails(802, fabric_manager="absent", kernel_release="", release=""), UNREADY), FABRIC),
    Case("registered with an error",
         swap(HGX, fails(802, fabric_manager="active"), gpus(*(h100(i, fabric_status="failure") for i in range(8)))),
         FABRIC),
    Case("an old branch", swap(HGX, fails(802, fabric_manager="absent", kernel_release="535.104.05"), UNREADY), FABRIC),
    Case("in a container", swap(HGX, fails(802), UNREADY, DOCKER), FABRIC),
    Case("in a virtual machine", swap(HGX, fails(802, 1), gpus(unready(0)), bus(1), VM), FABRIC),
    Case("the manager is unknown to systemd, and all works", swap(HGX, driver(fabric_manager="inactive"))),
    Case("upgraded and not yet restarted", swap(HGX, driver(fabric_manager="active", fabric_manager_release=OLD)),
         {"fabric-manager-down": "warning"}),
    Case("the same release", swap(HGX, driver(fabric_manager="active", fabric_manager_release=RELEASE))),
    Case("802 where no GPU has a fabric is another finding", swap(WORKSTATION, fails(802, 1))),
    Case("no NVSwitch, fabric in progress, CUDA works", swap(HGX, UNREADY, bus(8)), DOWN),
    Case("a missing driver section", swap(HGX, Missing("driver", "failed"))),
    Case("NVML gone as well", swap(HGX, fails(802), NO_GPUS), FABRIC),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation", "command"),
    [
        ("three links of one are down", None, "sudo nvidia-smi --gpu-reset"),
        ("not one link on the whole board", "all", "sudo systemctl restart nvidia-fabricmanager"),
        ("a bridge that sits askew", "bridge", "nvidia-smi nvlink -s"),
        (
            "the fabric manager does not run",
            None,
            "sudo systemctl enable --now nvidia-fabricmanager && sudo systemctl restart nvidia-fabricmanager",
        ),
        (
            "of another release",
            "version",
            f"sudo apt-get install nvidia-fabricmanager='{RELEASE}*' && {START}",
        ),
        (
            "an old branch",
            "absent",
            f"sudo apt-get install nvidia-fabricmanager-535='535.104.05*' && {START}",
        ),
        ("registered with an error", "failed", "sudo journalctl -u nvidia-fabricmanager | tail -40"),
        ("in a container", "outside", "nvidia-smi -q | grep -A3 Fabric"),
        ("in a virtual machine", "outside", "nvidia-smi -q | grep -A3 Fabric"),
    ],
)
def test_the_command_fits_the_situation(about: str, situation: str | None, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.situation, (finding.command or finding.look)) == (situation, command)


def test_the_links_that_are_down_are_named() -> None:
    (finding,) = next(case for case in CASES if case.about == "three links of one are down").assert_holds(FILE)
    assert finding.evidence["which"] == "GPU 0: link 4-5,17 inactive"
    assert (finding.evidence["active"], finding.evidence["expected"], finding.evidence["siblings"]) == (15, 18, 7)


def test_summary() -> None:
    assert said(FILE, gpus(*EIGHT)) == "18 active per GPU"
    assert said(FILE, gpus(geforce())) == "none"
