"""checks/cpu.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.cpu import Cpu
from envdoctor.facts.host import Host
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "cpu.py"
METAL = Host(machine="x86_64", cpus=96)

CASES = [
    Case("as it should be", (Cpu({"performance": 96}, "acpi-cpufreq", "tsc", ("tsc", "hpet"), 2, 0), METAL)),
    Case(
        "a virtual machine",
        (Cpu(clock_source="kvm-clock", numa_nodes=1, numa_balancing=1), Host(virtual_machine="KVM")),
    ),
    Case("a virtual machine on hpet", (Cpu(clock_source="hpet"), Host(machine="x86_64", virtual_machine="QEMU"))),
    Case("an Arm machine", (Cpu(clock_source="arch_sys_counter"), Host(machine="aarch64"))),
    Case("the hardware chooses", (Cpu({"powersave": 96}, "intel_pstate"), METAL)),
    Case("tiered memory", (Cpu(numa_nodes=4, numa_balancing=2), METAL)),
    Case("nothing is known", (Missing("cpu", "not-supported"), METAL)),
    Case("saving power", (Cpu({"powersave": 90, "performance": 6}, "acpi-cpufreq"), METAL), {"cpu-governor": "note"}),
    Case(
        "ondemand under intel_pstate's passive mode",
        (Cpu({"ondemand": 8}, "intel_cpufreq"), METAL),
        {"cpu-governor": "note"},
    ),
    Case(
        "the TSC was given up",
        (Cpu(clock_source="hpet", clock_sources=("hpet", "acpi_pm")), METAL),
        {"clocksource-slow": "warning"},
    ),
    Case("pages are moved", (Cpu(numa_nodes=2, numa_balancing=1), METAL), {"numa-balancing": "note"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_topic_s_line() -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(Cpu(clock_source="tsc", numa_nodes=2), METAL)
    assert told is not None
    assert told[0].say("en", told[1]) == "96 CPUs, 2 NUMA nodes, clock tsc"
