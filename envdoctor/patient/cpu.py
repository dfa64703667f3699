"""How the kernel runs the CPUs: frequency governor, clock source, page migration between NUMA nodes."""

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .sections import Ask

POLICIES = "/sys/devices/system/cpu/cpufreq"
CLOCK = "/sys/devices/system/clocksource/clocksource0/"


def cpu(ask: "Ask") -> "Dict[str, Any]":
    governors: "Dict[str, int]" = {}
    driver = ""
    for policy in reading.names(POLICIES)[:1024]:
        governor = reading.line("%s/%s/scaling_governor" % (POLICIES, policy))
        if governor:
            governors[governor] = governors.get(governor, 0) + 1
            driver = driver or reading.line("%s/%s/scaling_driver" % (POLICIES, policy)) or ""
    return {
        "governors": governors,
        "frequency_driver": driver,
        "clock_source": reading.line(CLOCK + "current_clocksource") or "",
        "clock_sources": (reading.line(CLOCK + "available_clocksource") or "").split(),
        "numa_nodes": len([name for name in reading.names("/sys/devices/system/node") if name[4:].isdigit()]),
        "numa_balancing": reading.number("/proc/sys/kernel/numa_balancing"),
    }
