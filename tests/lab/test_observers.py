"""What the patient observes on the lab's machines, through the real pynvml and a libcuda of ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from envdoctor import decode
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.facts.pci import PciDevices
from tests import needs
from tests.lab.machine import A100, H100, Machine
from tests.lab.machines import HGX, MACHINES
from tests.lab.stage import Stage

pytestmark = [pytest.mark.root, pytest.mark.lab]
Setup = Callable[[Machine], Stage]


@dataclass(frozen=True)
class Seen:
    """The decoded facts of a machine."""

    driver: Driver
    gpu: Gpus
    pci: PciDevices
    log: KernelLog


def look(stage: Stage, user: bool = False, limit_s: float = 30.0) -> Seen:
    answer = stage.facts("driver", "gpu", "pci", "kernel-log", user=user, limit_s=limit_s)
    assert answer["missing"] == {}
    found = [decode.fact(name, answer["values"][name]) for name in ("driver", "gpu", "pci", "kernel-log")]
    assert [type(fact) for fact in found] == [Driver, Gpus, PciDevices, KernelLog], found
    return Seen(*found)  # type: ignore[arg-type]


def test_a_healthy_machine(stage: Setup) -> None:
    seen = look(stage(HGX))
    assert seen.driver.release == seen.driver.kernel_release == seen.driver.library_release == "580.65.06"
    assert seen.driver.release_source == "/sys/module/nvidia/version"
    assert seen.driver.open_kernel_module and not seen.driver.nouveau
    assert (seen.driver.cuda_level, seen.driver.cuda_level_source) == ("13.0", "cuDriverGetVersion")
    assert (seen.driver.cuda_init, seen.driver.cuda_init_name, seen.driver.cuda_devices) == (0, "CUDA_SUCCESS", 8)
    assert seen.driver.libcuda_origin == "driver" and seen.driver.libcuda.endswith("libcuda.so.580.65.06")
    assert seen.driver.nvml_error is None and not seen.driver.stuck and not seen.driver.crashed_call
    assert (seen.driver.fabric_manager, seen.driver.fabric_manager_release) == ("active", "580.65.06")
    assert "nvidia7" in seen.driver.device_nodes and seen.driver.denied_nodes == ()

    assert (seen.gpu.source, seen.gpu.count, len(seen.gpu.gpus)) == ("nvml", 8, 8)
    addresses = tuple(HGX.address(index) for index in range(8))
    assert tuple(gpu.pci for gpu in seen.gpu.gpus) == seen.driver.cuda_order == addresses
    gpu = seen.gpu.gpus[0]
    assert (gpu.name, gpu.compute_capability, gpu.memory_bytes) == ("NVIDIA H100 80GB HBM3", "9.0", 80 << 30)
    assert (gpu.ecc, gpu.ecc_uncorrected, gpu.remap_pending, gpu.recovery_action) == (True, 0, False, "none")
    assert gpu.retired_pages is None, "pages are remapped since Ampere"
    assert gpu.clock_reasons == ("idle",) and gpu.persistence is True and gpu.mig is False
    assert (gpu.pcie_width, gpu.pcie_width_max, gpu.temperature_c, gpu.slowdown_c) == (16, 16, 34, 89)
    assert len(gpu.nvlinks) == 18 and all(link.active for link in gpu.nvlinks)
    assert (gpu.fabric_state, gpu.fabric_status, gpu.fabric_health) == ("completed", "success", ())
    assert not any(one.error for one in seen.gpu.gpus)

    assert tuple(device.address for device in seen.pci.nvidia_gpus) == addresses
    assert len(seen.pci.nvswitches) == 4
    device = seen.pci.nvidia_gpus[0]
    assert (device.driver, device.link_width, device.link_width_max) == ("nvidia", 16, 16)
    assert device.bridges == ("0000:10:01.0",) and device.responds is True
    assert seen.log.source == "/dev/kmsg" and seen.log.entries == ()


def test_a_lost_gpu_hides_no_other(stage: Setup) -> None:
    seen = look(stage(MACHINES["one-lost"]))
    assert [gpu.index for gpu in seen.gpu.gpus if gpu.error] == [3]
    lost = seen.gpu.gpus[3]
    assert (lost.error, lost.error_code, lost.pci) == ("GPU is lost", 15, "0000:4b:00.0")
    assert seen.gpu.count == 8 and all(gpu.memory_bytes for gpu in seen.gpu.gpus if gpu is not lost)
    assert [device.address for device in seen.pci.nvidia_gpus if device.responds is False] == ["0000:4b:00.0"]
    assert seen.driver.cuda_devices == 7
    assert {(entry.kind, entry.xid, entry.pci) for entry in seen.log.entries} == {
        ("xid", 79, "0000:4b:00.0"),
        ("fell-off-bus", None, "0000:4b:00.0"),
    }
    assert all(295 < (entry.seconds_ago or 0) < 360 for entry in seen.log.entries)


def test_a_gpu_that_is_lost_while_it_is_read_keeps_what_it_told(stage: Setup) -> None:
    stopped = H100.but(error_later=15)
    seen = look(stage(Machine((A100, stopped))))
    assert (seen.gpu.gpus[1].error, seen.gpu.gpus[0].error) == ("GPU is lost", "")
    assert seen.gpu.gpus[1].pci == "0000:2b:00.0", "known from /proc"


def test_a_gpu_that_crashes_its_reader(stage: Setup) -> None:
    seen = look(stage(MACHINES["one-crashes"]))
    assert [(gpu.index, gpu.error) for gpu in seen.gpu.gpus if gpu.error] == [(2, "crashed: SIGSEGV")]
    assert len(seen.gpu.gpus) == 8 and seen.gpu.gpus[7].compute_capability == "9.0"


def test_a_gpu_that_does_not_answer(stage: Setup) -> None:
    began = time.monotonic()
    seen = look(stage(MACHINES["one-hangs"]))
    assert time.monotonic() - began < 25
    (silent,) = [gpu for gpu in seen.gpu.gpus if gpu.error]
    assert silent.index == 2 and silent.error.startswith("does not return") and silent.error_code is None
    assert len(seen.gpu.gpus) == 8 and seen.gpu.gpus[7].compute_capability == "9.0"


def test_memory_errors(stage: Setup) -> None:
    seen = look(stage(MACHINES["ecc"]))
    gpu = seen.gpu.gpus[5]
    assert (gpu.ecc_uncorrected, gpu.remap_uncorrectable, gpu.remap_pending) == (3, 1, True)
    assert gpu.recovery_action == "reset" and seen.gpu.gpus[4].recovery_action == "none"
    assert [one.sram_threshold_exceeded for one in seen.gpu.gpus].count(True) == 1


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.13"])
def test_other_pythons_see_the_same(stage: Setup, version: str) -> None:
    """Calls that hand NVML a wrong pointer may work in one Python and crash another."""
    python = needs.python(version)
    facts = stage(MACHINES["ecc"]).facts("gpu", python=python)["values"]["gpu"]
    gpus = decode.fact("gpu", facts)
    assert isinstance(gpus, Gpus) and gpus.source == "nvml"
    assert [gpu.error for gpu in gpus.gpus] == [""] * 8
    assert (gpus.gpus[5].sram_threshold_exceeded, gpus.gpus[5].fabric_state) == (True, "completed")


def test_retired_pages_before_ampere(stage: Setup) -> None:
    worn = MACHINES["v100-cu130"].gpus[0].but(retired_single=2, retired_double=3, retirement_pending=1)
    gpu = look(stage(Machine((worn,)))).gpu.gpus[0]
    assert (gpu.retired_pages, gpu.retirement_pending, gpu.remap_uncorrectable) == (5, True, None)


def test_nvlinks_that_are_down(stage: Setup) -> None:
    seen = look(stage(MACHINES["nvlinks-down"]))
    assert [link.index for link in seen.gpu.gpus[1].nvlinks if not link.active] == [4, 5, 17]


def test_no_nvlinks(stage: Setup) -> None:
    seen = look(stage(MACHINES["mixed"]))
    assert seen.gpu.gpus[0].nvlinks == () and seen.gpu.gpus[0].ecc_uncorrected is None
    assert seen.driver.cuda_order == ("0000:2b:00.0", "0000:1b:00.0"), "CUDA puts the fastest first"


def test_fabric_manager_down(stage: Setup) -> None:
    seen = look(stage(MACHINES["fabric-manager-down"]))
    assert (seen.driver.cuda_init, seen.driver.cuda_init_name) == (802, "CUDA_ERROR_SYSTEM_NOT_READY")
    assert seen.driver.fabric_manager == "inactive"
    assert {gpu.fabric_state for gpu in seen.gpu.gpus} == {"in-progress"}


def test_a_fabric_that_finds_fault(stage: Setup) -> None:
    """Degraded bandwidth is true (1 at bit 0), the configuration incorrect (2 at bit 8)."""
    seen = look(
        stage(Machine((H100.but(fabric_health=0x201), H100.but(fabric_health=0x1AA), H100.but(fabric_status=999))))
    )
    assert seen.gpu.gpus[0].fabric_health == ("degraded-bandwidth", "incorrect-configuration")
    assert seen.gpu.gpus[1].fabric_health == ()
    assert seen.gpu.gpus[2].fabric_status == "Unknown Error"


def test_mig(stage: Setup) -> None:
    seen = look(stage(MACHINES["mig"]))
    assert seen.gpu.gpus[0].mig is True
    assert seen.gpu.gpus[0].mig_instances == ("MIG-11111111-2222-3333-4444-555555555555",)
    assert seen.driver.cuda_devices == 1


def test_mig_without_instances(stage: Setup) -> None:
    seen = look(stage(MACHINES["mig-empty"]))
    assert (seen.gpu.gpus[0].mig, seen.gpu.gpus[0].mig_instances) == (True, ())
    assert (seen.driver.cuda_init, seen.driver.cuda_devices) == (100, 0)


def test_library_and_module_differ(stage: Setup) -> None:
    seen = look(stage(MACHINES["mismatch"]))
    assert (seen.driver.nvml_error, seen.driver.nvml_error_text) == (18, "Driver/library version mismatch")
    assert (seen.driver.kernel_release, seen.driver.library_release) == ("570.86.10", "580.65.06")
    assert seen.driver.cuda_init == 803
    assert (seen.gpu.source, seen.gpu.source_error) == ("proc", "Driver/library version mismatch")
    assert [gpu.name for gpu in seen.gpu.gpus] == ["NVIDIA A100-SXM4-40GB"] * 2
    assert [entry.kind for entry in seen.log.entries] == ["api-mismatch"]


def test_nvml_hangs(stage: Setup) -> None:
    began = time.monotonic()
    seen = look(stage(MACHINES["nvml-hangs"]))
    assert time.monotonic() - began < 25
    assert seen.driver.stuck_call == "nvmlInit" and seen.driver.stuck
    assert seen.driver.cuda_init == 0, "CUDA was asked all the same"
    assert seen.gpu.source == "proc" and "does not return" in seen.gpu.source_error and seen.gpu.count == 2


def test_wsl(stage: Setup) -> None:
    """No kernel module, no NVIDIA device on the bus: NVML names the release."""
    seen = look(stage(MACHINES["wsl"]))
    assert (seen.driver.kernel_release, seen.driver.libcuda_origin) == ("", "wsl")
    assert (seen.driver.release, seen.driver.release_source) == ("580.65.06", "nvmlSystemGetDriverVersion")
    assert seen.driver.device_nodes == ("dxg",) and seen.driver.libcuda_release == ""
    assert seen.pci.nvidia_gpus == () and seen.gpu.count == 1


def test_forward_compatibility(stage: Setup) -> None:
    seen = look(stage(MACHINES["compat"]))
    assert (seen.driver.libcuda_origin, seen.driver.libcuda_release) == ("compat", "560.35.05")
    assert (seen.driver.library_release, seen.driver.kernel_release) == ("535.104.05", "535.104.05")
    assert seen.driver.libcuda_others == ("/usr/lib/nvidia/libcuda.so.1",)
    assert seen.driver.cuda_init_name == "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"


def test_nouveau(stage: Setup) -> None:
    answer = stage(MACHINES["nouveau"]).facts("driver", "gpu", "pci")
    driver, pci = (decode.fact(name, answer["values"][name]) for name in ("driver", "pci"))
    assert isinstance(driver, Driver) and driver.nouveau and driver.release == "" and driver.libcuda == ""
    assert isinstance(pci, PciDevices) and [device.driver for device in pci.nvidia_gpus] == ["nouveau"]
    assert answer["missing"]["gpu"][0] == "not-here"


def test_little_time(stage: Setup) -> None:
    """Too little to tell a hang from a slow driver: what is known comes all the same, and what is not is said."""
    began = time.monotonic()
    seen = look(stage(replace(MACHINES["nvml-hangs"], cu_init="hang")), limit_s=3)
    assert time.monotonic() - began < 6
    assert set(seen.driver.unfinished_calls) == {"cuInit", "nvmlInit"} and not seen.driver.stuck
    assert (seen.driver.cuda_level, seen.driver.release) == ("13.0", "580.65.06")
    assert seen.gpu.count == 2 and "in time" in seen.gpu.source_error


def test_libraries_that_are_not_the_drivers(stage: Setup) -> None:
    """Files of the right names that hold something else."""
    machine = stage(MACHINES["mixed"])
    for name, other in (("libcuda", "libnvidia-ml"), ("libnvidia-ml", "libcuda")):
        file = machine.folder / f"root/usr/lib/nvidia/{name}.so.1"
        file.unlink()
        file.symlink_to(f"{other}.so.580.65.06")
    seen = look(machine)
    assert "no cuInit" in seen.driver.libcuda_error and seen.driver.cuda_init is None
    assert seen.driver.nvml_error == 13 and seen.gpu.source == "proc"


def test_cuda_hangs(stage: Setup) -> None:
    seen = look(stage(MACHINES["cuda-hangs"]))
    assert seen.driver.stuck_call == "cuInit" and seen.driver.stuck
    assert seen.driver.cuda_init is None and seen.driver.cuda_level == "13.0", "known before the call that hangs"
    assert seen.gpu.source == "nvml" and seen.gpu.count == 2


def test_a_driver_call_that_crashes(stage: Setup) -> None:
    seen = look(stage(replace(MACHINES["mixed"], cu_init="crash")))
    assert seen.driver.crashed_call == "cuInit (SIGSEGV)" and seen.driver.stuck == ""
    assert seen.driver.cuda_level == "13.0"


def test_a_user_who_may_not_open_the_gpu(stage: Setup) -> None:
    seen = look(stage(MACHINES["denied"]), user=True)
    assert set(seen.driver.denied_nodes) == {"nvidia0", "nvidiactl", "nvidia-uvm"}
    assert "nvidia1" in seen.driver.device_nodes
    assert seen.driver.nvml_error == 4


def test_nothing_is_denied_to_root(stage: Setup) -> None:
    assert look(stage(MACHINES["denied"])).driver.denied_nodes == ()


def test_a_narrow_link(stage: Setup) -> None:
    seen = look(stage(MACHINES["slow-link"]))
    assert [(device.link_width, device.link_width_max) for device in seen.pci.nvidia_gpus] == [(8, 16), (16, 16)]
    assert (seen.gpu.gpus[0].pcie_width, seen.gpu.gpus[0].pcie_width_max) == (8, 16)


def test_the_mask_counts_for_cuda(stage: Setup) -> None:
    seen = look(stage(replace(MACHINES["mixed"], environ={"CUDA_VISIBLE_DEVICES": "1"})))
    assert (seen.driver.cuda_devices, seen.driver.cuda_order, seen.gpu.count) == (1, ("0000:1b:00.0",), 2)


def test_a_process_on_the_gpu(stage: Setup) -> None:
    """Process 1 holds memory of the GPU; it is nobody's of this test."""
    seen = look(stage(Machine((A100.but(process=f"1:{7 << 30}"), A100))))
    (process,) = seen.gpu.gpus[0].processes
    assert (process.pid, process.memory_bytes, process.user) == (1, 7 << 30, "root")
    assert process.command and seen.gpu.gpus[1].processes == ()
