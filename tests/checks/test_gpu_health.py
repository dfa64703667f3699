"""checks/gpu_health.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.gpu_machines import (
    CPU_CONTAINER,
    CPU_MACHINE,
    EIGHT,
    HGX,
    LAPTOP_MAC,
    WORKSTATION,
    WSL,
    geforce,
    gpus,
    h100,
    said,
    swap,
)

FILE = CHECKS / "gpu_health.py"
ECC = {"gpu-ecc": "error"}
ECC_WARNS = {"gpu-ecc": "warning"}
RECOVERY = {"gpu-needs-recovery": "error"}
PCIE = {"gpu-pcie-degraded": "warning"}


def one(**changes: Any) -> tuple[object, ...]:
    """Eight H100, GPU 5 of them changed."""
    return swap(HGX, gpus(*EIGHT[:5], h100(5, **changes), *EIGHT[6:]))


CASES = [
    Case("eight H100", HGX),
    Case("a workstation has persistence mode off", WORKSTATION, {"gpu-persistence-off": "note"}),
    Case("a CPU machine", CPU_MACHINE),
    Case("a container on a CPU machine", CPU_CONTAINER),
    Case("a Mac", LAPTOP_MAC),
    Case("WSL has no persistence mode", swap(WORKSTATION, WSL)),
    Case("nothing is known but the names", swap(HGX, gpus(*(type(h100())(index, name="H100") for index in range(8))))),
    Case("an uncorrectable error", one(ecc_uncorrected=3, remap_pending=True, recovery_action="reset"), ECC),
    Case("one that asks for a reboot", one(ecc_uncorrected=3, recovery_action="reboot"), ECC),
    Case("a row to be remapped", one(remap_pending=True), ECC_WARNS),
    Case("remapping failed", one(remap_failed=True, ecc_uncorrected=1), ECC),
    Case("SRAM", one(sram_threshold_exceeded=True), ECC),
    Case("a V100 full of retired pages", one(retired_pages=63, retirement_pending=True), ECC),
    Case("a V100 with many retired pages", one(retired_pages=15), ECC_WARNS),
    Case("a V100 with some retired pages", one(retired_pages=4)),
    Case("a V100 about to retire one", one(retired_pages=1, retirement_pending=True), ECC_WARNS),
    Case("many remapped rows", one(remap_uncorrectable=512), ECC_WARNS),
    Case("a remapped row, long done", one(remap_uncorrectable=1)),
    Case("corrected errors", one(ecc_corrected=4000)),
    Case("a reset is due", one(recovery_action="reset"), RECOVERY),
    Case("a bus reset is due", one(recovery_action="bus-reset"), RECOVERY),
    Case("a reboot is due", one(recovery_action="reboot"), RECOVERY),
    Case("drain and reset", one(recovery_action="drain-and-reset"), RECOVERY),
    Case("drain its peers", one(recovery_action="drain-p2p"), {"gpu-needs-recovery": "warning"}),
    Case("a word of a later driver", one(recovery_action="replace"), RECOVERY),
    Case("NVML says reset required", one(error="GPU requires reset", error_code=16), RECOVERY),
    Case("NVML meets an error", one(error="Unknown Error", error_code=999), RECOVERY),
    Case("NVML died of it", one(error="crashed: SIGSEGV"), RECOVERY),
    Case("a lost GPU is another finding", one(error="GPU is lost", error_code=15, recovery_action="reboot")),
    Case("so is one that hangs", one(error="does not return (waits in os_acquire_mutex)")),
    Case("one that was slow", one(error="did not return in time")),
    Case("somebody else's GPU", one(error="Insufficient Permissions", error_code=4)),
    Case("heat", one(clock_reasons=("hw-slowdown", "hw-thermal"), utilisation_percent=99, temperature_c=88),
         {"gpu-throttled": "warning"}),
    Case("power brake", one(clock_reasons=("power-brake",), utilisation_percent=100), {"gpu-throttled": "warning"}),
    Case("hot without a reason", one(clock_reasons=(), utilisation_percent=None, temperature_c=87),
         {"gpu-throttled": "warning"}),
    Case("slowed down and idle", one(clock_reasons=("idle", "hw-slowdown")), {"gpu-throttled": "note"}),
    Case("at its power cap", one(clock_reasons=("sw-power",), utilisation_percent=100)),
    Case("eight lanes of sixteen", one(pcie_width=8), PCIE),
    Case("a slow generation under load", one(pcie_generation=3, utilisation_percent=95), PCIE),
    Case("a slow generation at rest", one(pcie_generation=1)),
    Case("a card of eight lanes", swap(WORKSTATION, gpus(geforce(pcie_width=8, pcie_width_max=8, persistence=True)))),
    Case("persistence off on two", swap(HGX, gpus(h100(persistence=False), h100(1, persistence=False))),
         {"gpu-persistence-off": "note"}),
    Case("only /proc was read", swap(HGX, gpus(h100(recovery_action="", error="", pcie_width=8), source="proc"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "situation", "command"),
    [
        ("an uncorrectable error", None, "sudo nvidia-smi --gpu-reset -i 5"),
        ("one that asks for a reboot", None, "sudo reboot"),
        ("a row to be remapped", "pending", "sudo nvidia-smi --gpu-reset -i 5"),
        ("remapping failed", "failed", "nvidia-smi -q -d ROW_REMAPPER -i 5"),
        ("SRAM", "sram", "nvidia-smi -q -d ECC -i 5"),
        ("a V100 full of retired pages", "retired", "nvidia-smi -q -d PAGE_RETIREMENT -i 5"),
        ("a V100 about to retire one", "retiring", "sudo reboot"),
        ("a reset is due", None, "sudo nvidia-smi --gpu-reset -i 5"),
        ("a reboot is due", "reboot", "sudo reboot"),
        ("drain its peers", "drain-p2p", "nvidia-smi nvlink -s -i 5"),
        ("NVML meets an error", "silent", "sudo dmesg | grep -iE 'nvrm|xid' | tail -20"),
        ("heat", None, "nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER -i 5"),
        ("a slow generation under load", "generation", None),
        ("persistence off on two", None, "sudo nvidia-smi -pm 1"),
    ],
)
def test_the_command_fits_the_situation(about: str, situation: str | None, command: str | None) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert finding.situation == situation
    assert command is None or (finding.command or finding.look) == command


def test_the_same_fault_of_several_gpus_is_one_finding() -> None:
    hot = tuple(h100(index, clock_reasons=("sw-thermal",), utilisation_percent=90) for index in range(8))
    (finding,) = Case("all hot", (gpus(*hot),), {"gpu-throttled": "warning"}).assert_holds(FILE)
    assert finding.evidence["gpus"] == "0-7" and finding.evidence["ids"] == "0,1,2,3,4,5,6,7"


def test_summary() -> None:
    assert said(FILE, gpus(h100(), h100(1, temperature_c=70))) == "up to 70 °C"
    assert said(FILE, gpus(h100(temperature_c=None))) is None
