"""Which one state keeps CUDA from coming up: a ladder from the kernel module up to the process.

Each rung looks at what the lower ones have left open and names a cause or passes. The first cause is the answer, so
that one broken thing is one finding: an empty mask is no news while no driver is loaded. The checks hold the words;
a cause is a finding code, the situation and the values.

Meaning of the error numbers: cuda.h (CUresult), NVIDIA's "CUDA Compatibility" guide, nvml.h (nvmlReturn_t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envdoctor.facts import gpu_state
from envdoctor.facts.cuda_evidence import NO_DEVICE, Evidence
from envdoctor.model import Scalar

OUT_OF_MEMORY, NOT_INITIALIZED, STUB_LIBRARY, INSUFFICIENT_DRIVER, UNAVAILABLE = 2, 3, 34, 35, 46
INVALID_DEVICE, ECC_UNCORRECTABLE, OPERATING_SYSTEM = 101, 214, 304
NOT_READY, DRIVER_MISMATCH, COMPAT_REFUSED, UNKNOWN = 802, 803, 804, 999
# What Slurm writes into CUDA_VISIBLE_DEVICES of a job without GPUs.
NO_GPU_MASKS = ("", "NoDevFiles")
APPTAINER = ("apptainer", "singularity")


@dataclass(frozen=True)
class Cause:
    """Why CUDA does not come up. An empty code: it does, or nothing shows that it does not.

    Attributes:
        code: of the finding.
        situation: of its Problem, None for the usual one.
        values: the evidence.
    """

    code: str = ""
    situation: str | None = None
    values: Mapping[str, Scalar] = field(default_factory=dict)


def _hangs(e: Evidence) -> Cause | None:
    if e.driver.stuck or e.hung or (not e.works and gpu_state.stuck(e.gpus)):
        return Cause("driver-hangs")
    return None


def _wsl(e: Evidence) -> Cause | None:
    """Windows lends its driver to WSL 2: /usr/lib/wsl/lib/libcuda.so.1 (NVIDIA, "CUDA on WSL User Guide")."""
    driver = e.driver
    values: dict[str, Scalar] = {
        "libcuda": driver.libcuda,
        "error": driver.cuda_init,
        "text": driver.nvml_error_text or driver.cuda_init_name or driver.libcuda_error,
    }
    if not e.host.wsl or e.works or "driver" in e.unseen:
        return None
    if e.host.wsl == 1:
        return Cause("wsl-driver", "wsl1", values) if e.cuda_build else None
    if not driver.libcuda or driver.libcuda_error:
        return Cause("wsl-driver", "absent", values) if e.cuda_build else None
    if driver.libcuda_origin == "driver":
        return Cause("wsl-driver", "shadowed", values)
    refused = driver.nvml_error is not None or e.code not in (None, DRIVER_MISMATCH, COMPAT_REFUSED)
    if driver.libcuda_origin == "wsl" and e.works is False and refused and not e.selection.hides_all:
        return Cause("wsl-driver", None, values)
    return None


def _no_module(e: Evidence) -> Cause | None:
    """A GPU is on the bus and NVIDIA's module does not drive it."""
    driver, kernel = e.driver, e.host.kernel
    unreachable = driver.nvml_error == gpu_state.DRIVER_NOT_LOADED
    if e.loaded or e.host.wsl or not (e.devices or (unreachable and e.pci is None)):
        return None
    gpus = e.devices
    values: dict[str, Scalar] = {
        "gpus": len(gpus) or None,
        "pci": ", ".join(device.address for device in gpus) or None,
        "bound": ", ".join(sorted({device.driver for device in gpus if device.driver})) or None,
        "kernel": kernel,
        "library": driver.library_release,
        "modules": ", ".join(driver.module_kernels),
        "secure_boot": driver.secure_boot,
    }
    if e.host.container:
        situation = "host"
    elif any(device.driver == "nouveau" for device in gpus) or (driver.nouveau and not driver.module_kernels):
        situation = "nouveau"
    elif driver.module_kernels and kernel not in driver.module_kernels:
        situation = "other-kernel"
    elif driver.module_kernels and driver.secure_boot:
        situation = "secure-boot"
    elif driver.module_kernels or driver.library_release or driver.libcuda or unreachable:
        situation = "not-loaded"
    else:
        return Cause("driver-missing", None, values)
    return Cause("driver-missing", situation, values)


def _container(e: Evidence) -> Cause | None:
    """The machine has a driver and a GPU; the container was not given them."""
    driver, kind = e.driver, e.host.container
    if not kind or e.host.wsl or e.works or not e.has_gpu or "driver" in e.unseen:
        return None
    visible = e.environment.get("NVIDIA_VISIBLE_DEVICES")
    values: dict[str, Scalar] = {
        "container": kind,
        "shown_by": e.host.container_shown_by,
        "gpus": len(e.devices) or None,
        "driver": driver.kernel_release or driver.release,
        "visible": "unset" if visible is None else repr(visible),
        "capabilities": e.environment.get("NVIDIA_DRIVER_CAPABILITIES") or "unset",
        "nvml": driver.nvml_error_text or driver.nvml_error,
    }
    how = "docker"
    if kind in APPTAINER:
        how = "apptainer"
    elif kind == "kubernetes":
        how = "kubernetes"
    elif kind != "docker":
        how = "podman" if kind == "podman" else "other"
    if not e.nodes:
        return None if e.answering else Cause("gpu-not-in-container", how, values)
    if not driver.libcuda and driver.cuda_init is None:
        return Cause("gpu-not-in-container", how if kind in APPTAINER else "capabilities", values)
    # systemd rewrote the device rules of running containers: the nodes are there and may not be opened
    # (NVIDIA/nvidia-container-toolkit#48).
    cut_off = driver.nvml_error == gpu_state.UNKNOWN_ERROR or set(e.nodes) <= set(driver.denied_nodes)
    return Cause("gpu-not-in-container", "lost", values) if cut_off and e.works is False else None


def _mismatch(e: Evidence) -> Cause | None:
    driver, compat = e.driver, e.driver.libcuda_origin == "compat"
    differ = bool(
        driver.kernel_release
        and driver.library_release
        and not compat
        and driver.kernel_release != driver.library_release
    )
    refused = e.code == DRIVER_MISMATCH or (e.code == COMPAT_REFUSED and differ)
    nvml = driver.nvml_error == gpu_state.LIBRARY_MISMATCH
    if not (nvml or (refused and not compat) or (differ and e.works is None and not e.answering)):
        return None
    values: dict[str, Scalar] = {
        "kernel": driver.kernel_release or None,
        "library": driver.library_release or None,
        "shown": f"NVML error 18, {driver.nvml_error_text or 'Driver/library version mismatch'}"
        if nvml
        else f"{e.call} error {e.code}"
        if refused
        else "the two releases differ",
    }
    return Cause("driver-library-mismatch", "container" if e.host.container else None, values)


def _compat(e: Evidence) -> Cause | None:
    if e.code not in (DRIVER_MISMATCH, COMPAT_REFUSED):
        return None
    values: dict[str, Scalar] = {
        "error": e.code,
        "call": e.call,
        "libcuda": e.driver.libcuda or None,
        "libcuda_release": e.driver.libcuda_release or None,
        "kernel": e.driver.kernel_release or None,
        "gpu": e.answering[0].name if e.answering else None,
        "path": e.environment.get("LD_LIBRARY_PATH"),
    }
    on_path = e.driver.libcuda_origin == "compat" and "compat" in (e.environment.get("LD_LIBRARY_PATH") or "")
    return Cause("cuda-compat-mismatch", "path" if on_path else None, values)


def _library(e: Evidence) -> Cause | None:
    """The module is loaded, and there is no libcuda to speak to it with."""
    driver = e.driver
    values: dict[str, Scalar] = {"kernel": driver.kernel_release, "libcuda": driver.libcuda}
    if driver.libcuda_origin == "stub" or e.code == STUB_LIBRARY:
        return Cause("cuda-init-failed-unknown", "stub", values)
    if not driver.kernel_release or e.works or driver.cuda_init is not None or not e.has_gpu or e.host.wsl:
        return None
    if driver.libcuda_error:
        return Cause("driver-missing", "unreadable", {**values, "text": driver.libcuda_error})
    # A snapshot of another tool's text knows no libcuda either; there NVML or torch have spoken.
    return None if driver.libcuda or e.answering else Cause("driver-missing", "library", values)


def _lost(e: Evidence) -> Cause | None:
    if e.works is False and gpu_state.lost_addresses(e.gpus, e.pci, None):
        return Cause("gpu-fell-off-bus")
    return None


def _not_allocated(e: Evidence) -> Cause | None:
    """A Slurm job without GPUs, or its shell on a node that is not the job's."""
    job = e.host.scheduler
    if job.kind != "slurm" or e.works:
        return None
    values: dict[str, Scalar] = {
        "job": job.job,
        "mask": "unset" if e.mask is None else f"'{e.mask}'",
        "partition": e.environment.get("SLURM_JOB_PARTITION"),
    }
    if e.slurm_gpus:
        elsewhere = not e.has_gpu and e.environment.get("SLURMD_NODENAME") is None and e.cuda_build
        return Cause("gpu-not-allocated", "elsewhere", values) if elsewhere else None
    if not e.has_gpu:
        return Cause("gpu-not-allocated", "cpu-node", values) if e.cuda_build else None
    if e.mask is None:
        fenced = bool(e.nodes) and set(e.nodes) <= set(e.driver.denied_nodes)
        return Cause("gpu-not-allocated", None, values) if fenced and e.works is False else None
    return Cause("gpu-not-allocated", None, values) if e.mask in NO_GPU_MASKS else None


def _mask(e: Evidence) -> Cause | None:
    if not e.has_gpu or e.works or not e.selection.hides_all or e.code not in (None, NO_DEVICE, INVALID_DEVICE):
        return None
    return Cause("cuda-visible-devices-empty" if e.selection.fault == "empty" else "cuda-visible-devices-invalid")


def _nodes(e: Evidence) -> Cause | None:
    """The device files are there and may not be opened, or the one of unified memory is not there."""
    driver = e.driver
    values: dict[str, Scalar] = {
        "nodes": ", ".join(f"/dev/{name}" for name in driver.denied_nodes),
        "error": e.code,
        "call": e.call,
    }
    if e.works is not False or not e.nodes:
        return None
    needed = {"nvidiactl", "nvidia-uvm"} & set(driver.denied_nodes)
    if needed or set(e.nodes) <= set(driver.denied_nodes):
        return Cause("gpu-not-visible", "denied", values)
    if "nvidia-uvm" not in driver.device_nodes and e.code in (NOT_INITIALIZED, NO_DEVICE, OPERATING_SYSTEM, UNKNOWN):
        return Cause("gpu-not-visible", "uvm", values)
    return None


def _mig(e: Evidence) -> Cause | None:
    gpus = e.answering
    if gpus and e.works is False and all(gpu.mig and not gpu.mig_instances for gpu in gpus):
        return Cause("mig-not-configured")
    return None


def _fabric(e: Evidence) -> Cause | None:
    """NVSwitches route nothing before the fabric manager has set them up: cuInit says 802 until then."""
    driver = e.driver
    if e.works or e.host.wsl or not e.has_gpu:
        return None
    unready = [gpu for gpu in e.answering if gpu.fabric_state in ("not-started", "in-progress")]
    failed = [
        gpu for gpu in e.answering if gpu.fabric_state == "completed" and gpu.fabric_status not in ("success", "")
    ]
    switches = len(e.pci.nvswitches) if e.pci else 0
    silent = driver.fabric_manager in ("inactive", "absent") and switches > 0
    said = e.code == NOT_READY and e.fits_fabric
    joined = switches > 0 or len(e.answering) > 1
    untried = e.works is None and joined and (unready or failed or silent)
    if not (said or untried or (e.works is False and failed and joined)):
        return None
    release = driver.kernel_release or driver.release
    values: dict[str, Scalar] = {
        "error": e.code,
        "call": e.call,
        "manager": driver.fabric_manager or None,
        "manager_release": driver.fabric_manager_release or None,
        "driver": release or None,
        "major": release.partition(".")[0] or None,
        "switches": switches or None,
        "state": (unready or failed)[0].fabric_state if unready or failed else None,
        "status": failed[0].fabric_status if failed else None,
    }
    if driver.fabric_manager_release and release and driver.fabric_manager_release != release:
        return Cause("fabric-manager-down", "version", values)
    if driver.fabric_manager == "absent" and not e.host.container:
        return Cause("fabric-manager-down", "absent", values)
    if failed:
        return Cause("fabric-manager-down", "failed", values)
    if e.host.container or (e.host.virtual_machine and not switches):
        return Cause("fabric-manager-down", "outside", values)
    return Cause("fabric-manager-down", None, values)


def _faulty(e: Evidence) -> Cause | None:
    """A GPU that itself says what it needs; the health checks say it."""
    if e.works is not False:
        return None
    if any(gpu_state.memory_fault(gpu) for gpu in e.answering) and e.code in (ECC_UNCORRECTABLE, UNAVAILABLE, UNKNOWN):
        return Cause("gpu-ecc")
    if e.gpus and any(gpu_state.asks_for(gpu) for gpu in e.gpus.gpus):
        return Cause("gpu-needs-recovery")
    return None


def _busy(e: Evidence) -> Cause | None:
    if e.works is False and e.code in (OUT_OF_MEMORY, UNAVAILABLE) and e.answering:
        return Cause("gpu-busy")
    return None


def _not_started(e: Evidence) -> Cause | None:
    """The driver is loaded and drives none of the GPUs on the bus."""
    none_listed = e.gpus is not None and e.gpus.source != "proc" and e.gpus.count == 0
    unbound = bool(e.devices) and not any(device.driver == "nvidia" for device in e.devices)
    if e.works or not e.loaded or not e.devices or e.answering or not (none_listed or unbound):
        return None
    values: dict[str, Scalar] = {
        "gpus": len(e.devices),
        "pci": ", ".join(device.address for device in e.devices),
        "driver": e.driver.kernel_release or e.driver.release,
        "bound": ", ".join(sorted({device.driver or "none" for device in e.devices})),
    }
    return Cause("gpu-not-visible", "not-started", values)


def _unknown(e: Evidence) -> Cause | None:
    """CUDA has said no, and nothing that is known says why."""
    error: Scalar = e.error_name or "unknown" if e.code is None else e.code
    values: dict[str, Scalar] = {"call": e.call, "error": error, "name": e.error_name}
    if e.driver.crashed_call and e.has_gpu:
        return Cause("cuda-init-failed-unknown", "crashed", {**values, "call": e.driver.crashed_call})
    if e.torch and not e.torch.available and (e.code == INSUFFICIENT_DRIVER or "too old" in e.torch.error):
        return Cause("driver-too-old")
    if e.driver_works and e.torch and not e.torch.available:
        return Cause("cuda-init-failed-unknown", "torch", values)
    if e.works is not False or not e.has_gpu:
        return None
    situation = {UNKNOWN: "unknown-error", NOT_READY: "not-ready"}.get(e.code or 0)
    return Cause("cuda-init-failed-unknown", situation, values)


RUNGS = (
    _hangs,
    _wsl,
    _no_module,
    _container,
    _mismatch,
    _compat,
    _library,
    _lost,
    _not_allocated,
    _mask,
    _nodes,
    _mig,
    _fabric,
    _faulty,
    _busy,
    _not_started,
    _unknown,
)


def explain(e: Evidence) -> Cause:
    """The lowest rung that is broken; an empty cause where none is."""
    return next((cause for rung in RUNGS if (cause := rung(e)) is not None), Cause())
