"""The NVIDIA driver. Its release and the CUDA level it supports are two facts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver as kernel, user space and CUDA see it. Missing ("not-here") without any trace of one.

    Attributes:
        release: of the kernel module if it is loaded, else what NVML or nvidia-smi say: "580.65.06"; empty if unknown.
        release_source: the file or call that said so.
        kernel_release: of the loaded kernel module, empty if none is loaded.
        library_release: of the user-space libraries, from the file name libnvidia-ml.so.X or, without it, libcuda.so.X.
        open_kernel_module: NVIDIA's open kernel modules are loaded.
        cuda_level: newest CUDA the driver supports, cuDriverGetVersion: "13.0"; empty if unknown.
        cuda_level_source: the call that said so.
        libcuda: path of the libcuda.so.1 that the loader finds, empty if none.
        libcuda_origin: "driver", "compat" (forward compatibility), "stub", "wsl" or "" if unknown.
        libcuda_release: from its file name, empty if that has none (as in WSL). Under compat it is newer than
            library_release.
        libcuda_others: further libcuda.so.1 the loader would find after it, in its order.
        libcuda_error: what the loader said where libcuda.so.1 lies there and cannot be opened.
        libnvml: path of the libnvidia-ml.so.1 that the loader finds, empty if none.
        cuda_init: return code of cuInit, None if it was not called or did not return.
        cuda_init_name: such as "CUDA_ERROR_NO_DEVICE".
        cuda_devices: cuDeviceGetCount in this environment, None if unknown.
        cuda_order: PCI addresses of these devices in CUDA's order, "0000:1b:00.0"; a GPU in MIG mode may come twice.
        nvml_error: NVML's code where nvmlInit failed, else None.
        nvml_error_text: its text.
        nouveau: the nouveau module is loaded.
        device_nodes: names in /dev that belong to the driver: "nvidia0", "nvidiactl", "nvidia-uvm".
        denied_nodes: those among them that this user may not open, by their mode or by a device control group.
        stuck: where in the kernel a driver call stays, if one does not return; else empty. "unknown" where the
            kernel does not tell.
        stuck_call: that call: "cuInit", "nvmlInit", "open /dev/nvidia0".
        unfinished_calls: calls that had not returned when the time was up, without having stood still: slow, or stuck.
        crashed_call: a driver call that died of a signal, with the signal: "cuInit (SIGSEGV)"; else empty.
        module_kernels: kernels that have an nvidia module in /lib/modules; looked for only where none is loaded.
        secure_boot: UEFI secure boot is on, None if unknown; looked for only where no module is loaded.
        fabric_manager: "active", "inactive", "absent", or "" if unknown.
        fabric_manager_release: its version, empty if unknown.
    """

    release: str = ""
    release_source: str = ""
    kernel_release: str = ""
    library_release: str = ""
    open_kernel_module: bool = False
    cuda_level: str = ""
    cuda_level_source: str = ""
    libcuda: str = ""
    libcuda_origin: str = ""
    libcuda_release: str = ""
    libcuda_others: tuple[str, ...] = ()
    libcuda_error: str = ""
    libnvml: str = ""
    cuda_init: int | None = None
    cuda_init_name: str = ""
    cuda_devices: int | None = None
    cuda_order: tuple[str, ...] = ()
    nvml_error: int | None = None
    nvml_error_text: str = ""
    nouveau: bool = False
    device_nodes: tuple[str, ...] = ()
    denied_nodes: tuple[str, ...] = ()
    stuck: str = ""
    stuck_call: str = ""
    unfinished_calls: tuple[str, ...] = ()
    crashed_call: str = ""
    module_kernels: tuple[str, ...] = ()
    secure_boot: bool | None = None
    fabric_manager: str = ""
    fabric_manager_release: str = ""
