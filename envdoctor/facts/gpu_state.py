"""What the state of a GPU amounts to: lost, asking for recovery, with a fault of its memory."""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.facts.pci import PciDevice, PciDevices

# NVML's return codes (nvml.h, nvmlReturn_t).
NO_PERMISSION, DRIVER_NOT_LOADED, GPU_IS_LOST, RESET_REQUIRED, OPERATING_SYSTEM, LIBRARY_MISMATCH = 4, 9, 15, 16, 17, 18
UNKNOWN_ERROR = 999
# Kernel drivers that hold a device for a virtual machine: its GPU is not meant for this system.
GIVEN_AWAY = ("vfio-pci", "pci-stub", "xen-pciback")


def spans(numbers: Iterable[int]) -> str:
    """The numbers in few characters: "0-3,6"."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def own_devices(pci: PciDevices | None) -> tuple[PciDevice, ...]:
    """NVIDIA's GPUs on the bus that are meant for this system."""
    return tuple(device for device in (pci.nvidia_gpus if pci else ()) if device.driver not in GIVEN_AWAY)


def answering(gpus: Gpus | None) -> tuple[Gpu, ...]:
    """The GPUs that the driver can talk to. /proc lists GPUs whether they answer or not."""
    if gpus is None or gpus.source == "proc":
        return ()
    return tuple(gpu for gpu in gpus.gpus if not gpu.error and gpu.error_code is None)


def stuck(gpus: Gpus | None) -> tuple[Gpu, ...]:
    """The GPUs about which NVML was asked and did not return (patient/gpu.py words it so)."""
    return tuple(gpu for gpu in (gpus.gpus if gpus else ()) if gpu.error.startswith("does not return"))


def lost(gpu: Gpu) -> bool:
    """The GPU does not answer on the bus any more."""
    return gpu.error_code == GPU_IS_LOST or "is lost" in gpu.error or "fallen off" in gpu.error


def lost_addresses(gpus: Gpus | None, pci: PciDevices | None, log: KernelLog | None) -> dict[str, str]:
    """PCI address -> who says so, of every GPU that has fallen off the bus and has not come back."""
    alive = {gpu.pci for gpu in answering(gpus)}
    found: dict[str, str] = {}
    for gpu in gpus.gpus if gpus else ():
        if lost(gpu):
            found[gpu.pci or f"GPU {gpu.index}"] = f"NVML: {gpu.error or 'GPU is lost'}"
    for device in own_devices(pci):
        if device.responds is False:
            found.setdefault(device.address, "its PCI configuration space reads all ones")
    for entry in log.entries if log else ():
        if entry.pci and entry.pci not in alive and (entry.kind == "fell-off-bus" or entry.xid == 79):
            found.setdefault(entry.pci, entry.text or "Xid 79 in the kernel's log")
    return found


def asks_for(gpu: Gpu) -> str:
    """The recovery that a GPU asks for, "" for none."""
    if gpu.error_code == RESET_REQUIRED:
        return "reset"
    return "" if gpu.recovery_action == "none" else gpu.recovery_action


def memory_fault(gpu: Gpu) -> bool:
    """The GPU has a fault of its memory that gpu-ecc reports."""
    return bool(
        gpu.ecc_uncorrected
        or gpu.remap_failed
        or gpu.remap_pending
        or gpu.retirement_pending
        or gpu.sram_threshold_exceeded
    )
