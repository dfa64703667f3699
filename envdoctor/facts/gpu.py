"""The GPUs, as NVML or nvidia-smi tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU. `user` and `command` are empty where they cannot be read.

    `command` is the program and its script, without further arguments. `own` is true for processes of the doctor
    itself, its ancestors, and their batch job.
    """

    pid: int = 0
    memory_bytes: int | None = None
    user: str = ""
    command: str = ""
    own: bool = False


@dataclass(frozen=True)
class NvLink:
    """One NVLink of a GPU. `active` is None where it could not be read."""

    index: int = 0
    active: bool | None = None


@dataclass(frozen=True)
class Gpu:
    """One GPU. None and "" are unknown, never zero.

    Attributes:
        index: NVML's index, the order of nvidia-smi (PCI bus order).
        pci: address in sysfs form, "0000:1b:00.0"; empty if unknown.
        compute_capability: "9.0".
        error: NVML's words where the GPU does not answer ("GPU is lost"), else empty.
        error_code: NVML's return code for it (15 is "GPU is lost"); None where the call hung or crashed.
        ecc: ECC mode is on.
        ecc_uncorrected: volatile uncorrected ECC errors; None without ECC.
        remap_pending, remap_failed: of row remapping.
        remap_uncorrectable: rows remapped for uncorrectable errors.
        retired_pages: number of retired pages (before Ampere); retirement_pending asks for a reboot.
        sram_threshold_exceeded: the SRAM ECC threshold flag.
        recovery_action: "none", "reset", "reboot", "drain-p2p", "drain-and-reset", "recover-imex-domain",
            "bus-reset", "system-reboot"; "" if the driver does not tell (before R570).
        clock_reasons: why clocks are lower than they could be: "hw-slowdown", "hw-thermal", "sw-thermal",
            "power-brake", "sw-power", "idle", "app-clocks", "sync-boost", "display".
        pcie_width, pcie_width_max, pcie_generation, pcie_generation_max: of the link now, and what both ends can do.
        nvlinks: the links the GPU has, in order; empty without NVLink.
        fabric_state: "not-supported", "not-started", "in-progress", "completed" or "" if unknown; with fabric_status
            the status word of a completed registration ("success" or an error).
        fabric_health: what the fabric finds wrong with the GPU: "degraded-bandwidth", "route-recovery",
            "route-unhealthy", "access-timeout-recovery", "incorrect-configuration"; empty is healthy or unknown.
        mig: MIG mode is on; mig_pending: it will be after a reset; mig_instances: UUIDs of its compute instances.
        persistence: persistence mode.
        temperature_c, slowdown_c: now, and where the GPU slows itself down.
    """

    index: int = 0
    uuid: str = ""
    name: str = ""
    pci: str = ""
    compute_capability: str = ""
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    error: str = ""
    error_code: int | None = None
    ecc: bool | None = None
    ecc_uncorrected: int | None = None
    ecc_corrected: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    remap_uncorrectable: int | None = None
    retired_pages: int | None = None
    retirement_pending: bool | None = None
    sram_threshold_exceeded: bool | None = None
    recovery_action: str = ""
    clock_reasons: tuple[str, ...] = ()
    utilisation_percent: int | None = None
    temperature_c: int | None = None
    slowdown_c: int | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    pcie_generation: int | None = None
    pcie_generation_max: int | None = None
    nvlinks: tuple[NvLink, ...] = ()
    fabric_state: str = ""
    fabric_status: str = ""
    fabric_health: tuple[str, ...] = ()
    mig: bool | None = None
    mig_pending: bool | None = None
    mig_instances: tuple[str, ...] = ()
    persistence: bool | None = None


@dataclass(frozen=True)
class Gpus:
    """All GPUs the driver knows. The section is missing where neither NVML nor nvidia-smi nor /proc tells of any.

    Attributes:
        source: "nvml"; or "nvidia-smi", which tells less; or "proc" (/proc/driver/nvidia/gpus), which tells address,
            name and UUID only.
        source_error: why NVML did not tell, where another source did.
        count: what nvmlDeviceGetCount said; GPUs that do not answer are counted and have `error` set.
    """

    source: str = "nvml"
    source_error: str = ""
    count: int = 0
    gpus: tuple[Gpu, ...] = ()
