"""The GPUs, as NVML or nvidia-smi tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU. `user` and `command` are empty where they cannot be read.

    `own` is true for processes of the doctor itself and of its ancestors' job.
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
        pci: address in sysfs form, "0000:1b:00.0".
        compute_capability: "9.0".
        error: NVML's words where the GPU does not answer ("GPU is lost"), else empty.
        error_code: NVML's return code for it (15 is "GPU is lost").
        ecc_uncorrected: volatile uncorrected ECC errors; None without ECC.
        remap_pending, remap_failed: of row remapping.
        remap_uncorrectable: rows remapped for uncorrectable errors.
        retired_pages: number of retired pages (before Ampere); retirement_pending asks for a reboot.
        sram_threshold_exceeded: the SRAM ECC threshold flag.
        recovery_action: "none", "reset", "reboot", "drain-p2p", "drain-and-reset", "" if the driver does not tell.
        clock_reasons: why clocks are lower than they could be: "hw-slowdown", "hw-thermal", "sw-thermal",
            "power-brake", "sw-power", "idle", "app-clocks", "sync-boost", "display".
        pcie_width, pcie_width_max, pcie_generation, pcie_generation_max: of the link now, and what both ends can do.
        nvlinks: the links the GPU has, in order; empty without NVLink.
        fabric_state: "not-supported", "not-started", "in-progress", "completed" or "" if unknown; with fabric_status
            the status word of a completed registration ("success" or an error).
        mig: MIG mode is on; mig_instances counts compute instances that exist.
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
    mig: bool | None = None
    mig_instances: tuple[str, ...] = ()
    persistence: bool | None = None


@dataclass(frozen=True)
class Gpus:
    """All GPUs the driver knows. The section is missing where neither NVML nor nvidia-smi can run.

    Attributes:
        source: "nvml" or "nvidia-smi", which tells less.
        count: what nvmlDeviceGetCount said; GPUs that do not answer are counted and have `error` set.
    """

    source: str = "nvml"
    count: int = 0
    gpus: tuple[Gpu, ...] = ()
