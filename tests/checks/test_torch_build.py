"""checks/torch_build.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Finding
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.torch_machines import ARM, LINUX, NO_DRIVER, NO_GPUS, NO_TORCH, driver, gpus, masked, python, torch

FILE = CHECKS / "torch_build.py"
CPU, ROCM = {"torch-cpu-build": "error"}, {"torch-rocm-build": "error"}
INDEX = "--index-url https://download.pytorch.org/whl"
PIP = "/opt/envs/train/bin/python -m pip install"

R580, H100 = driver("580.65.06", "13.0"), gpus("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")
AMD = PciDevices((PciDevice("0000:03:00.0", "0x1002", kind="gpu"),))

SAME_RELEASE = Case("the CPU wheel", (R580, torch("2.13.0+cpu"), H100, LINUX, python()), CPU)
CONDA = Case(
    "conda's CPU variant", (R580, TorchInstall("/opt/conda/torch", "2.5.1", installer="conda"), H100, LINUX), CPU
)
K40 = Case(
    "a GPU for which there is no build",
    (driver("470.256.02", "11.4"), torch("2.13.0+cpu"), gpus("Tesla K40c"), LINUX, python()),
    {"torch-cpu-build": "note"},
)
ROCM_BUILD = Case("ROCm on a machine of NVIDIA's", (R580, torch("2.13.0+rocm7.2"), H100, LINUX, python()), ROCM)

CASES = [
    SAME_RELEASE,
    CONDA,
    K40,
    ROCM_BUILD,
    Case("what an aarch64 machine got up to 2.10", (R580, torch("2.10.0"), gpus("NVIDIA GH200 480GB"), ARM), CPU),
    Case("a CPU nightly", (R580, torch("2.16.0.dev20261101+cpu"), H100, LINUX), CPU),
    Case("the right build", (R580, torch("2.13.0+cu130"), H100, LINUX, python())),
    Case("a CPU machine with a CPU build", (NO_DRIVER, torch("2.13.0+cpu"), NO_GPUS, LINUX, python())),
    Case("GPUs hidden on purpose", (R580, torch("2.13.0+cpu"), H100, masked(""), LINUX, python())),
    Case("a driver that does not work", (
        replace(R580, nvml_error=18), torch("2.13.0+cpu"), H100, LINUX, python(),
    )),
    Case("a driver of which nothing is known", (
        replace(R580, release="", cuda_level=""), torch("2.13.0+cpu"), H100, LINUX,
    )),
    Case("a build for Intel's GPUs", (R580, torch("2.13.0+xpu"), H100, LINUX)),
    Case("only metadata is left", (R580, TorchInstall(dist_version="2.13.0"), H100, LINUX)),
    Case("ROCm with a GPU of AMD's beside", (R580, torch("2.13.0+rocm7.2"), H100, AMD, LINUX)),
    Case("ROCm on a machine of AMD's", (NO_DRIVER, torch("2.13.0+rocm7.2"), NO_GPUS, AMD, LINUX)),
    Case("no torch", (R580, NO_TORCH, H100, LINUX)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def only(case: Case) -> Finding:
    (finding,) = case.assert_holds(FILE)
    return finding


def test_the_same_release_with_cuda_must_be_named_with_its_cuda() -> None:
    """pip calls the installed 2.13.0+cpu an answer to torch==2.13.0 and changes nothing."""
    finding = only(SAME_RELEASE)
    assert finding.command == f"{PIP} torch==2.13.0+cu130 {INDEX}/cu130"
    assert finding.evidence["newest"] == "2.15.0+cu132" and finding.evidence["count"] == 2
    assert only(ROCM_BUILD).command == f"{PIP} torch==2.13.0+cu130 {INDEX}/cu130"
    assert only(ROCM_BUILD).evidence["rocm"] == "7.2"


def test_companions_move_along() -> None:
    packages = Packages(distributions=(Distribution("torchvision", "0.28.0+cpu"), Distribution("torchaudio", "2.11.0")))
    finding = only(Case("with both", (*SAME_RELEASE.facts, packages), CPU))
    versions = "torch==2.13.0+cu130 torchvision==0.28.0+cu130 torchaudio==2.11.0+cu130"
    assert finding.command == f"{PIP} {versions} {INDEX}/cu130"


def test_without_a_build_there_is_no_command() -> None:
    assert only(K40).command is None and only(K40).situation == "nothing-fits"
    assert only(CONDA).evidence["build"] == "2.5.1+cu124"
