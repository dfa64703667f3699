"""The machines of the lab: healthy ones, and one for each thing that goes wrong."""

from __future__ import annotations

from dataclasses import replace

from tests.lab.machine import A100, CU121, CU130, H100, RTX_3090, RTX_5090, V100, Machine

HGX = Machine((H100,) * 8, nvswitches=4, fabric_manager="active")
WAITING = (H100.but(fabric_state=2),) * 8
LOST_LOG = (
    "NVRM: GPU at PCI:0000:4b:00: GPU-00000003-1111-2222-3333-444444444444",
    "NVRM: Xid (PCI:0000:4b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
    "NVRM: GPU 0000:4b:00.0: GPU has fallen off the bus.",
)
GSP_TIMEOUT = "NVRM: Xid (PCI:0000:2b:00): 119, pid=4711, name=python3, Timeout after 6s of waiting for RPC response"
# An application's own fault: the GPU is well.
PAGE_FAULT = "NVRM: Xid (PCI:0000:2b:00): 31, pid=4711, name=python3, Ch 00000008, intr 00000000. MMU Fault"
WSL = Machine((RTX_3090,), wsl=True, libraries=False, module="", nodes=False)
WORN = H100.but(ecc_uncorrected=3, remap_uncorrectable=1, remap_pending=1, recovery=1, sram_exceeded=1)
MIG_ON = replace(H100, mig=True)


def with_gpu(machine: Machine, index: int, gpu: object) -> Machine:
    """The machine with another GPU at a place."""
    gpus = list(machine.gpus)
    gpus[index] = gpu  # type: ignore[call-overload]
    return replace(machine, gpus=tuple(gpus))


MACHINES = {
    "healthy": HGX,
    "one-lost": replace(with_gpu(HGX, 3, replace(H100.but(error=15), responds=False)), log=LOST_LOG),
    "one-hangs": with_gpu(HGX, 2, H100.but(error="hang")),
    "one-crashes": with_gpu(HGX, 2, H100.but(error_later="crash")),
    "ecc": with_gpu(HGX, 5, WORN),
    "nvlinks-down": with_gpu(HGX, 1, H100.but(nvlinks_down="4,5,17")),
    "fabric-manager-down": replace(
        HGX, gpus=WAITING, fabric_manager="inactive", cu_init="802"
    ),
    "fabric-manager-absent": replace(HGX, gpus=WAITING, fabric_manager="absent", cu_init="802"),
    "fabric-manager-of-another-release": replace(
        HGX, gpus=WAITING, fabric_manager="inactive", fabric_manager_release="575.57.08", cu_init="802"
    ),
    "driver-470": Machine((A100,) * 2, driver="470.256.02", cuda=11040, open_module=False),
    "v100-cu130": Machine((V100,) * 2, open_module=False, torch=CU130),
    "5090-cu121": Machine((RTX_5090,), torch=CU121),
    "mig-empty": Machine((MIG_ON,), cu_init="100"),
    "mig": Machine((replace(H100.but(**{"mig.0": "MIG-11111111-2222-3333-4444-555555555555"}), mig=True),)),
    "mixed": Machine((RTX_3090, A100), open_module=False),
    "mismatch": Machine((A100,) * 2, kernel="570.86.10", nvml_init="18", cu_init="803", log=(
        "NVRM: API mismatch: the client has the version 580.65.06, but",
        "NVRM: this kernel module has the version 570.86.10.  Please",
    )),
    "nvml-hangs": Machine((A100,) * 2, nvml_init="hang"),
    "cuda-hangs": Machine((A100,) * 2, cu_init="hang"),
    "denied": Machine((A100,) * 2, denied=("nvidia0", "nvidiactl", "nvidia-uvm"), nvml_init="4", cu_init="100"),
    "nouveau": Machine((RTX_3090,), libraries=False, module="nouveau", nodes=False),
    "no-driver": Machine((A100,) * 2, libraries=False, module="", nodes=False),
    "container-without-gpus": Machine((A100,) * 2, libraries=False, nodes=False, container=True),
    "no-uvm": Machine((A100,) * 2, uvm=False, cu_init="999"),
    "compat": Machine((RTX_3090,), driver="535.104.05", cuda=12020, compat="560.35.05", cu_init="804", torch=CU121,
                      container=True),
    "mask-empty": Machine((A100,) * 2, environ={"CUDA_VISIBLE_DEVICES": ""}),
    "mask-invalid": Machine((A100,) * 2, environ={"CUDA_VISIBLE_DEVICES": "0,5,1"}),
    "xid": Machine((A100,) * 2, driver="565.57.01", cuda=12070, log=(GSP_TIMEOUT,)),
    "xid-and-reset": Machine((A100, A100.but(recovery=1)), log=(GSP_TIMEOUT,)),
    "application-xid": Machine((A100,) * 2, log=(PAGE_FAULT,)),
    "two-causes": Machine((A100, A100.but(ecc_uncorrected=7)), driver="470.256.02", cuda=11040, open_module=False),
    "throttled": Machine((A100.but(clock_reasons=0x48, temperature=92, utilisation=97), A100)),
    "busy": Machine((A100.but(process=f"4000000:{30 << 30}", memory_used=30 << 30), A100)),
    "no-persistence": Machine((A100.but(persistence=0),) * 2),
    "cpu-only": Machine((), libraries=False, module="", nodes=False),
    "wsl": WSL,
    "wsl-with-a-linux-driver": replace(WSL, libraries=True, nvml_init="9", cu_init="100"),
    "slow-link": Machine((replace(A100, width=8).but(pcie_width=8), A100)),
}  # fmt: skip
