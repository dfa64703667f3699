"""Reports of an environment, by the tools that make them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.packages import Packages
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.readers.collect_env import Report
from tests.readers.texts import codes, read

TORCH = """\
Collecting environment information...
PyTorch version: {torch}
Is debug build: False
CUDA used to build PyTorch: {cuda}
ROCM used to build PyTorch: N/A

OS: Ubuntu 22.04.5 LTS (x86_64)
GCC version: (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0
Libc version: glibc-2.35

Python version: 3.11.9 (main, Apr  6 2024, 17:59:24) [GCC 11.4.0] (64-bit runtime)
Python platform: Linux-5.15.0-119-generic-x86_64-with-glibc2.35
Is CUDA available: {available}
CUDA runtime version: 12.4.131
GPU models and configuration:
GPU 0: {gpu}
GPU 1: {gpu}

Nvidia driver version: {driver}
cuDNN version: Could not collect

CPU:
Architecture:                         x86_64

Versions of relevant libraries:
[pip3] numpy==1.26.4
[pip3] torch=={torch}
[conda] Could not collect
"""
FINE = {
    "torch": "2.5.1+cu124",
    "cuda": "12.4",
    "available": "True",
    "gpu": "NVIDIA A100-SXM4-80GB",
    "driver": "550.90.07",
}

MMENGINE = """\
------------------------------------------------------------
System environment:
    sys.platform: linux
    Python: 3.8.18 (default, Sep 11 2023, 13:40:15) [GCC 11.2.0]
    CUDA available: True
    GPU 0,1,2,3: NVIDIA GeForce RTX 3090
    CUDA_HOME: /usr/local/cuda
    NVCC: Cuda compilation tools, release 11.6, V11.6.124
    PyTorch: 1.13.1+cu116
    TorchVision: 0.14.1+cu116
------------------------------------------------------------
"""
DETECTRON2 = """\
----------------------  ----------------------------------------------------------------
sys.platform            linux
Python                  3.8.10 (default, Nov 22 2023, 10:22:35) [GCC 9.4.0]
PyTorch                 1.10.2+cu113 @/opt/venv/lib/python3.8/site-packages/torch
PyTorch debug build     False
GPU available           Yes
GPU 0                   NVIDIA GeForce RTX 3090 (arch=8.6)
Driver version          515.65.01
----------------------  ----------------------------------------------------------------
"""
TRANSFORMERS = """\
- `transformers` version: 4.44.2
- Platform: Linux-5.15.0-91-generic-x86_64-with-glibc2.35
- Python version: 3.10.12
- PyTorch version (GPU?): 2.4.0+cu121 (True)
- Using GPU in script?: yes
- GPU type: NVIDIA A10G
"""
DEEPSPEED = """\
DeepSpeed general environment info:
torch install path ............... ['/opt/venv/lib/python3.10/site-packages/torch']
torch version .................... 2.1.2+cu118
deepspeed info ................... 0.13.1, unknown, unknown
torch cuda version ............... 11.8
torch hip version ................ None
nvcc version ..................... 11.8
"""


def facts(text: str) -> dict[str, object]:
    return dict(read(text).sections)


def test_torchs_own_report() -> None:
    told = facts(TORCH.format(**FINE))
    assert told["torch-install"] == TorchInstall(version="2.5.1+cu124", cuda="12.4")
    assert told["torch-cuda"] == TorchCuda(True, 2)
    driver, gpus, host, packages = told["driver"], told["gpu"], told["host"], told["packages"]
    assert isinstance(driver, Driver) and driver.release == "550.90.07"
    assert isinstance(gpus, Gpus) and [gpu.compute_capability for gpu in gpus.gpus] == ["8.0", "8.0"]
    assert isinstance(host, Host) and (host.system, host.glibc, host.machine) == ("linux", "2.35", "x86_64")
    assert isinstance(packages, Packages) and {one.name for one in packages.distributions} == {"numpy", "torch"}
    assert codes(TORCH.format(**FINE)) == {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"driver": "470.57.02", "available": "False"}, "driver-too-old"),
        ({"gpu": "NVIDIA GeForce RTX 5090", "driver": "580.65.06"}, "gpu-arch-unsupported-new"),
        ({"cuda": "Could not collect", "torch": "2.5.1", "available": "False"}, "torch-cpu-build"),
        ({"torch": "2.5.1+cpu", "cuda": "None", "available": "False"}, "torch-cpu-build"),
    ],
)
def test_the_checks_judge_a_report(change: dict[str, str], code: str) -> None:
    found = codes(TORCH.format(**{**FINE, **change}))
    assert next(iter(found.items())) == (code, "error")


@pytest.mark.parametrize(
    ("text", "version", "cuda", "gpus"),
    [
        (MMENGINE, "1.13.1+cu116", "11.6", 4),
        (DETECTRON2, "1.10.2+cu113", "11.3", 1),
        (TRANSFORMERS, "2.4.0+cu121", "12.1", 1),
        (DEEPSPEED, "2.1.2+cu118", "11.8", 0),
    ],
)
def test_other_tools_reports(text: str, version: str, cuda: str, gpus: int) -> None:
    told = facts("some words before\n" + text + "and after\n")
    torch, cards = told["torch-install"], told.get("gpu")
    assert isinstance(torch, TorchInstall) and (torch.version, torch.cuda) == (version, cuda)
    assert (cards.count if isinstance(cards, Gpus) else 0) == gpus


def test_a_machine_without_a_gpu_is_no_case() -> None:
    text = TORCH.format(**{**FINE, "available": "False"})
    none = "\n".join(
        "GPU models and configuration: No CUDA" if line.startswith("GPU models") else line
        for line in text.splitlines()
        if not line.startswith(("GPU 0", "GPU 1", "Nvidia driver"))
    )
    assert codes(none) == {"driver-missing": "note"}
    assert codes(none.replace("generic", "microsoft-standard-WSL2")) == {"wsl-driver": "note"}
    assert codes(none.replace("12.4", "None").replace("+cu124", "+cpu")) == {}


def test_a_torch_that_does_not_import_tells_nothing_of_itself() -> None:
    told = facts(TORCH.format(**{**FINE, "torch": "N/A", "cuda": "N/A", "available": "N/A"}))
    assert "torch-install" not in told
    assert "torch-cuda" not in told
    assert "driver" in told


def test_quoted_and_indented_in_an_issue() -> None:
    text = "\n".join("    " + line for line in TORCH.format(**FINE).splitlines())
    assert isinstance(facts(text)["torch-install"], TorchInstall)


@given(st.lists(st.sampled_from(TORCH.splitlines() + MMENGINE.splitlines() + DEEPSPEED.splitlines()), max_size=30))
def test_any_order_of_lines_is_read(lines: list[str]) -> None:
    assert Report(lines).facts() is not None


SHORT = (
    "Collecting environment information...\nPyTorch version: {torch}\nCUDA used to build PyTorch: {cuda}\n"
    "Is CUDA available: {available}\nGPU models and configuration: GPU 0: {gpu}\nNvidia driver version: {driver}\n\n"
)
SOUND = SHORT.format(torch="2.4.1+cu121", cuda="12.1", available="True", gpu="NVIDIA A10", driver="550.54.15")
CPU_BUILD = SHORT.format(torch="2.4.1+cpu", cuda="None", available="False", gpu="NVIDIA L4", driver="550.54.15")
OLD_DRIVER = SHORT.format(torch="2.4.1+cu121", cuda="12.1", available="False", gpu="Tesla V100", driver="418.67")


def test_the_reports_of_two_machines_are_kept_apart() -> None:
    assert codes(SOUND + SOUND) == {}
    assert codes(SOUND + CPU_BUILD) == {"torch-cpu-build": "error"}
    assert codes(SOUND + OLD_DRIVER) == {"driver-too-old": "error"}
    assert list(codes(SOUND + CPU_BUILD + OLD_DRIVER)) == ["torch-cpu-build", "driver-too-old"]
