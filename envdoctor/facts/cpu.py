"""How the kernel runs the CPUs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cpu:
    """Frequency, clock and NUMA settings.

    Attributes:
        governors: governor -> number of frequency policies under it; empty where the kernel does not scale (most VMs).
        frequency_driver: "intel_pstate", "amd-pstate-epp", "acpi-cpufreq", ...
        clock_source: in use, "tsc"; clock_sources: that could be.
        numa_balancing: 0 off, 1 on, 2 tiering; None without the setting.
    """

    governors: dict[str, int] = field(default_factory=dict)
    frequency_driver: str = ""
    clock_source: str = ""
    clock_sources: tuple[str, ...] = ()
    numa_nodes: int = 0
    numa_balancing: int | None = None
