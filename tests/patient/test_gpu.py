"""GPUs without NVML: nvidia-smi's table and /proc. NVML itself is held against the lab (tests/lab)."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.gpu import Gpus
from envdoctor.patient import driver_libraries, gpu, gpu_nvml, reading
from envdoctor.patient.sections import Ask, NotHere

FULL = "0, GPU-8a56-1, NVIDIA A100 80GB, 00000000:07:00.0, 8.0, 81920, 431, 0, 12, 33, 4, 4, 16, 16, Disabled, Enabled"
PLAIN = "1, GPU-8a56-2, Quadro P4000, 00000000:08:00.0, [N/A], 8119, 12, [N/A], 0, 41, 1, 3, 16, 16, [N/A], Disabled"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """libnvidia-ml.so.1 seems to lie there."""
    monkeypatch.setattr(driver_libraries, "candidates", lambda name: {name: ["/usr/lib64/" + name]})


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gpu, "PROC", str(tmp_path / "gpus"))
    return tmp_path / "gpus"


def put(proc: Path, address: str, text: str) -> None:
    (proc / address).mkdir(parents=True)
    (proc / address / "information").write_text(text)


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A program of that name on PATH; $1 is the question."""
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + body)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def seen(**asked: Any) -> Gpus:
    fact = decode.fact("gpu", gpu.gpu(Ask(asked)))
    assert isinstance(fact, Gpus), fact
    return fact


def test_nothing_here(proc: Path) -> None:
    with pytest.raises(NotHere):
        gpu.gpu(Ask({}))


def test_nothing_here_takes_no_time(proc: Path) -> None:
    began = time.perf_counter()
    with pytest.raises(NotHere):
        gpu.gpu(Ask({}))
    assert time.perf_counter() - began < 0.5


def test_proc_where_there_is_no_library(proc: Path) -> None:
    put(proc, "0000:1B:00.0", "Model: \t\t NVIDIA H100 80GB HBM3\nGPU UUID: \t GPU-1234\nBus Type: \t PCIe\n")
    put(proc, "0000:2b:00.0", "Model: \t\t Unknown\nGPU UUID: \t GPU-????????-????\n")
    fact = seen()
    assert (fact.source, fact.count) == ("proc", 2)
    assert [(one.index, one.pci, one.uuid) for one in fact.gpus] == [
        (0, "0000:1b:00.0", "GPU-1234"),
        (1, "0000:2b:00.0", ""),
    ]
    assert fact.gpus[0].name == "NVIDIA H100 80GB HBM3"


def test_nvidia_smi_where_there_is_no_pynvml(
    library: None, proc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path / "bin", monkeypatch, f"echo '{FULL}'\necho '{PLAIN}'\n")
    fact = seen()
    assert (fact.source, fact.count) == ("nvidia-smi", 2) and "pynvml" in fact.source_error
    first, second = fact.gpus
    assert (first.pci, first.compute_capability, first.memory_bytes) == ("0000:07:00.0", "8.0", 80 << 30)
    assert (first.ecc_uncorrected, first.mig, first.persistence, first.pcie_width) == (0, False, True, 16)
    assert (second.compute_capability, second.ecc_uncorrected, second.mig) == ("", None, None)


def test_an_old_nvidia_smi_is_asked_less(
    library: None, proc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = "case $1 in *compute_cap*) echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2;; esac\n"
    nvidia_smi(tmp_path / "bin", monkeypatch, refusal + "echo '0, GPU-1, Tesla V100, 00000000:07:00.0, 32510, 0'\n")
    fact = seen()
    assert [(one.name, one.memory_bytes) for one in fact.gpus] == [("Tesla V100", 32510 << 20)]


def test_an_nvidia_smi_that_fails_leaves_proc(
    library: None, proc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path / "bin", monkeypatch, "echo 'Failed to initialize NVML: Unknown Error'; exit 255\n")
    put(proc, "0000:1b:00.0", "Model: \t\t NVIDIA H100 80GB HBM3\n")
    assert seen().source == "proc"


def test_a_pynvml_that_does_not_load(library: None, proc: Path, tmp_path: Path) -> None:
    broken = tmp_path / "pynvml.py"
    broken.write_text("raise SyntaxError('too new')\n")
    put(proc, "0000:1b:00.0", "Model: \t\t NVIDIA H100 80GB HBM3\n")
    fact = seen(pynvml=str(broken))
    assert fact.source == "proc" and "too new" in fact.source_error


def test_a_library_without_anything_else(library: None, proc: Path) -> None:
    """The real pynvml finds no library to open."""
    import pynvml

    with pytest.raises(NotHere, match="NVML"):
        gpu.gpu(Ask({"pynvml": pynvml.__file__}))


def test_a_lost_gpu_in_nvidia_smis_table() -> None:
    lost = "0, GPU-1, NVIDIA A100, 00000000:07:00.0, " + ", ".join(["[GPU is lost]"] * 12)
    told = gpu.row(lost)
    assert (told["error"], told["error_code"], told["pci"]) == ("GPU is lost", 15, "0000:07:00.0")
    assert "memory_bytes" not in told


@given(st.lists(st.text(alphabet=st.characters(exclude_characters=",\n"), max_size=8), min_size=16, max_size=16))
def test_any_row_of_nvidia_smi(cells: list[str]) -> None:
    told = gpu.row(",".join(cells))
    assert isinstance(decode.fact("gpu", {"gpus": [told]}), Gpus)


def test_whose_processes_are() -> None:
    told = gpu.whose([os.getpid(), 1, 2**22 - 3])
    assert told[str(os.getpid())]["own"] is True
    assert told[str(os.getpid())]["command"].startswith(os.path.basename(sys.executable)[:6])
    assert str(2**22 - 3) not in told, "no such process: nothing is said"


def test_arguments_of_a_program_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/cmdline").write_bytes(b"/opt/bin/python\0-u\0/home/me/train.py\0--token\0hunter2\0")
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    assert gpu.program(77) == "python train.py"
    assert gpu.program(78) == ""


def test_batch_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/cgroup").write_text("0::/system.slice/slurmstepd.scope/job_812/step_0/user/task_0\n")
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    assert (gpu.batch_job(77), gpu.batch_job(78)) == ("job_812", "")


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (0, []),
        (0b10101010, []),
        (0b01, ["degraded-bandwidth"]),
        (0b010000, ["route-unhealthy"]),
        (0x100, []),
        (0x201, ["degraded-bandwidth", "incorrect-configuration"]),
    ],
)
def test_the_health_of_the_fabric(mask: int, found: list[str]) -> None:
    """Values and shifts as in nvml.h: 1 true, 2 false, two bits each; the configuration's 1 means none."""
    assert gpu_nvml.fabric_health(mask) == found


def test_the_constants_are_those_of_pynvml() -> None:
    import pynvml

    assert pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION == gpu_nvml.RECOVERY_FIELD
    assert gpu_nvml.RECOVERY.index("drain-and-reset") == pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET
    assert gpu_nvml.FABRIC_STATES.index("completed") == pynvml.NVML_GPU_FABRIC_STATE_COMPLETED
    assert (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED) == gpu_nvml.LOST
    assert dict(gpu_nvml.CLOCK_REASONS)[0x40] == "hw-thermal"
    assert pynvml.nvmlClocksEventReasonHwThermalSlowdown == 0x40
    assert pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED == gpu_nvml.UNCORRECTED
    assert pynvml.NVML_VOLATILE_ECC == gpu_nvml.VOLATILE
    assert pynvml.NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_INCORRECT_CONFIGURATION == gpu_nvml.FABRIC_CONFIGURATION
