"""checks/devices.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_CONTAINER,
    CPU_MACHINE,
    DOCKER,
    EIGHT,
    HGX,
    JOB,
    LAPTOP_MAC,
    NO_GPUS,
    WORKSTATION,
    address,
    bus,
    driver,
    fails,
    geforce,
    gpus,
    h100,
    no_cuda,
    said,
    swap,
    variables,
)

FILE = CHECKS / "devices.py"
EMPTY = {"cuda-visible-devices-empty": "error"}
INVALID = {"cuda-visible-devices-invalid": "error"}
MIG = {"mig-not-configured": "error"}
ORDER = {"device-order-differs": "note"}
SLOW = geforce(0, "NVIDIA GeForce GTX 1650", memory_bytes=4 << 30)
MIXED = (driver(2), gpus(SLOW, geforce(1)), bus(2))
FASTEST_FIRST = (address(1), address(0))


def masked(value: str, visible: int | None, *others: object, **environ: str) -> tuple[object, ...]:
    """Eight H100 under a mask that leaves so many, None for a CUDA that was not tried."""
    of: dict[str, Any] = {"cuda_init": None, "cuda_devices": None} if visible is None else {"cuda_devices": visible}
    found = fails(100) if visible == 0 else driver(**of)
    return swap(HGX, found, variables(CUDA_VISIBLE_DEVICES=value, **environ), *others)


CASES = [
    Case("eight H100", HGX),
    Case("a workstation", WORKSTATION),
    Case("a CPU machine with a mask", swap(CPU_MACHINE, variables(CUDA_VISIBLE_DEVICES=""))),
    Case("a container on a CPU machine with a mask", swap(CPU_CONTAINER, variables(CUDA_VISIBLE_DEVICES="0,0"))),
    Case("a Mac", LAPTOP_MAC),
    Case("no variables known", swap(HGX, Missing("environment", "failed"))),
    Case("empty", masked("", 0), EMPTY),
    Case("empty, CUDA not tried", masked("", None), EMPTY),
    Case("empty, no driver is the news", swap(CPU_MACHINE, bus(1, driver=""), variables(CUDA_VISIBLE_DEVICES=""))),
    Case("emptied in a job that has GPUs", masked("", 0, JOB, SLURM_JOB_GPUS="0,1"), EMPTY),
    Case("a job without GPUs is another finding", masked("NoDevFiles", 0, JOB)),
    Case("-1", masked("-1", 0), INVALID),
    Case("a good mask", masked("6,7", 2)),
    Case("an end mark", masked("0,1,-1", 2)),
    Case("the guide's example", masked("0,2,-1,1", 2), INVALID),
    Case("one too many", masked("0,1,8", 2), INVALID),
    Case("a word", masked("all", 0), INVALID),
    Case("a range", masked("0-3", 1), INVALID),
    Case("twice", masked("0,1,1", 0), INVALID),
    Case("UUIDs", masked("GPU-00000003,GPU-00000001", 2)),
    Case("a UUID of another machine", masked("GPU-00000003,GPU-dead", 1), INVALID),
    Case("too short a UUID", masked("GPU-0000", 0), INVALID),
    Case("indices and UUIDs", masked("1,GPU-00000003", 1), INVALID),
    Case("a host's indices in a container", masked("4,5", 0, gpus(*EIGHT[:2]), DOCKER), INVALID),
    Case("a node's indices in a job", masked("6,7", 0, gpus(*EIGHT[:2]), JOB, SLURM_JOB_GPUS="6,7"), INVALID),
    Case("CUDA knows better", masked("0-3", 4)),
    Case("802 is another finding", swap(HGX, fails(802), variables(CUDA_VISIBLE_DEVICES="0,0"))),
    Case("torch was asked", swap(WORKSTATION, driver(1, cuda_init=None), no_cuda(None, "No CUDA GPUs are available"),
                                 variables(CUDA_VISIBLE_DEVICES="1")), INVALID),
    Case("GPUs unknown", swap(HGX, NO_GPUS, driver(3), variables(CUDA_VISIBLE_DEVICES="0,5,9"))),
    Case("two MIG devices", swap(HGX, driver(1), gpus(h100(mig=True, mig_instances=("MIG-1", "MIG-2"))),
                                 variables(CUDA_VISIBLE_DEVICES="MIG-1,MIG-2")),
         {"cuda-visible-devices-invalid": "warning"}),
    Case("MIG on, nothing made", swap(HGX, fails(100), gpus(*(h100(i, mig=True) for i in range(8)))), MIG),
    Case("MIG on one of eight", swap(HGX, driver(7), gpus(h100(mig=True), *EIGHT[1:])),
         {"mig-not-configured": "warning"}),
    Case("MIG in use", swap(HGX, driver(1), gpus(h100(mig=True, mig_instances=("MIG-1",))))),
    Case("a GPU that does not answer", swap(HGX, gpus(h100(error="GPU is lost", error_code=15, mig=True)))),
    Case("unlike GPUs, the fast one first", swap(WORKSTATION, *MIXED, driver(2, cuda_order=FASTEST_FIRST)), ORDER),
    Case("unlike GPUs, and the orders agree", swap(WORKSTATION, *MIXED)),
    Case("unlike GPUs, order unknown", swap(WORKSTATION, *MIXED, driver(2, cuda_order=())), ORDER),
    Case("unlike GPUs under a mask", swap(WORKSTATION, *MIXED, variables(CUDA_VISIBLE_DEVICES="1")), ORDER),
    Case("unlike GPUs, PCI order", swap(WORKSTATION, *MIXED, variables(CUDA_DEVICE_ORDER="PCI_BUS_ID"))),
    Case("unlike GPUs, no driver section",
         swap(WORKSTATION, *MIXED, Missing("driver", "failed"), variables(CUDA_DEVICE_ORDER="FASTEST_FIRST")), ORDER),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation", "command"),
    [
        ("empty", None, "unset CUDA_VISIBLE_DEVICES"),
        ("-1", "negative", "unset CUDA_VISIBLE_DEVICES"),
        ("the guide's example", "negative", "export CUDA_VISIBLE_DEVICES=0,2,1"),
        ("one too many", "no-such-device", "export CUDA_VISIBLE_DEVICES=0,1"),
        ("a word", "no-number", "unset CUDA_VISIBLE_DEVICES"),
        ("a range", "trailing", "export CUDA_VISIBLE_DEVICES=0,1,2,3"),
        ("twice", "duplicate", "export CUDA_VISIBLE_DEVICES=0,1"),
        ("a UUID of another machine", "unknown-uuid", "export CUDA_VISIBLE_DEVICES=GPU-00000003"),
        ("too short a UUID", "ambiguous-uuid", "unset CUDA_VISIBLE_DEVICES"),
        ("indices and UUIDs", "mixed", "export CUDA_VISIBLE_DEVICES=1,GPU-00000003"),
        ("a host's indices in a container", "renumbered", "export CUDA_VISIBLE_DEVICES=0,1"),
        ("a node's indices in a job", "renumbered", "export CUDA_VISIBLE_DEVICES=0,1"),
        ("two MIG devices", "one-mig", "export CUDA_VISIBLE_DEVICES=MIG-1"),
        ("MIG on, nothing made", None, "sudo nvidia-smi -i 0,1,2,3,4,5,6,7 -mig 0"),
        ("unlike GPUs, the fast one first", None, "export CUDA_DEVICE_ORDER=PCI_BUS_ID"),
    ],
)
def test_the_command_puts_it_right(about: str, situation: str | None, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.situation, finding.command) == (situation, command)


def test_it_is_said_who_set_the_mask() -> None:
    by = {case.about: case.assert_holds(FILE) for case in CASES if case.expect}
    assert by["a node's indices in a job"][0].evidence["set_by"] == "Slurm"
    assert by["a range"][0].evidence["set_by"] == "shell"
    assert by["the guide's example"][0].evidence["result"] == "0,2"


def test_the_orders_are_shown() -> None:
    (finding,) = next(case for case in CASES if case.about == "unlike GPUs, the fast one first").assert_holds(FILE)
    assert str(finding.evidence["cuda"]).startswith("0 = NVIDIA GeForce RTX 4090")
    assert str(finding.evidence["smi"]).startswith("0 = NVIDIA GeForce GTX 1650")
    assert Driver().cuda_order == ()


def test_summary() -> None:
    assert said(FILE, gpus(*EIGHT), variables()) == "no mask"
    assert said(FILE, gpus(*EIGHT), variables(CUDA_VISIBLE_DEVICES="0,1")) == "CUDA_VISIBLE_DEVICES=0,1"
