"""checks/torch_gpus.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.torch import Pin, TorchImport, TorchInstall
from envdoctor.model import Finding
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.torch_machines import ARM, LINUX, NO_DRIVER, NO_GPUS, NO_TORCH, driver, gpus, masked, python, torch

FILE = CHECKS / "torch_gpus.py"
OLD, NEW = {"gpu-arch-unsupported-old": "error"}, {"gpu-arch-unsupported-new": "error"}
INDEX = "--index-url https://download.pytorch.org/whl"
PIP = "/opt/envs/train/bin/python -m pip install"
NCCL_2_26_2 = (Pin("nvidia-nccl-cu12", "2.26.2"),)

R580, R570 = driver("580.65.06", "13.0"), driver("570.86.10", "12.8")
V100, H100, RTX_5090 = "Tesla V100-SXM2-32GB", "NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 5090"

VOLTA = Case("a V100 with CUDA 13", (R580, torch("2.13.0+cu130"), gpus(V100), LINUX, python()), OLD)
BLACKWELL = Case("an RTX 5090 with CUDA 12.1", (R570, torch("2.4.1+cu121"), gpus(RTX_5090), LINUX, python()), NEW)
MIXED = Case("V100 and H100 with CUDA 13", (R580, torch("2.13.0+cu130"), gpus(V100, H100), LINUX, python()), OLD)
PASCAL_AND_BLACKWELL = Case(
    "no build holds Pascal and Blackwell",
    (R580, torch("2.13.0+cu126"), gpus("Tesla P100-PCIE-16GB", RTX_5090), LINUX, python()),
    NEW,
)
OLD_PYTHON = Case(
    "no torch for Python 3.8 knows Blackwell",
    (R580, torch("2.4.1+cu121"), gpus(RTX_5090), LINUX, python("3.8.20")),
    NEW,
)
K80 = Case(
    "a K80 with CUDA 12.6, were the driver to allow it",
    (driver("470.256.02", "12.6"), torch("2.7.1+cu126"), gpus("Tesla K80"), LINUX, python()),
    OLD,
)
ORIN = Case(
    "a Jetson Orin with PyTorch's wheel",
    (R580, torch("2.13.0+cu130"), gpus("Orin"), ARM, python(machine="aarch64")),
    NEW,
)
UNSOUND = Case(
    "two RTX 5090 with the NCCL of 2.7",
    (R570, torch("2.7.1+cu128", pins=NCCL_2_26_2), gpus(RTX_5090, RTX_5090), LINUX, python()),
    {"nccl-too-old-for-gpu": "warning"},
)
TOO_OLD_NCCL = Case(
    "an NCCL from before Blackwell, put in by another package",
    (
        R570,
        torch("2.8.0+cu128", pins=(Pin("nvidia-nccl-cu12", "2.27.3"),)),
        Packages(distributions=(Distribution("nvidia-nccl-cu12", "2.21.5"),)),
        gpus("NVIDIA B200", "NVIDIA B200"),
        LINUX,
        python(),
    ),
    {"nccl-too-old-for-gpu": "error"},
)
TRANSLATED = Case(
    "Hopper with an NCCL of the year before",
    (R580, torch("2.0.1+cu118"), TorchImport(nccl_header="2.14.3"), gpus(H100, H100), LINUX),
    {"nccl-too-old-for-gpu": "warning"},
)
DISPLAY = gpus("NVIDIA GeForce GT 1030", "NVIDIA A100-SXM4-80GB")
NGC = TorchInstall("/usr/local/lib/python3.12/dist-packages/torch", "2.6.0a0+ecf3bae40a.nv25.1", "12.8")

CASES = [
    VOLTA,
    BLACKWELL,
    MIXED,
    PASCAL_AND_BLACKWELL,
    OLD_PYTHON,
    K80,
    ORIN,
    UNSOUND,
    TOO_OLD_NCCL,
    TRANSLATED,
    Case("a GTX 1080 Ti with CUDA 12.8", (R580, torch("2.8.0+cu128"), gpus("NVIDIA GeForce GTX 1080 Ti"), LINUX), OLD),
    Case("an H100 with CUDA 11.7", (R580, torch("2.0.1+cu117"), gpus(H100), LINUX), NEW),
    Case("Volta, missing from the first cu128", (R580, torch("2.7.1+cu128"), gpus(V100), LINUX), OLD),
    Case("what torch says counts for more than its name", (
        R580, torch("2.13.0+cu130"), TorchImport(arch_list=("sm_70", "sm_90")), gpus(V100, H100), LINUX,
    )),
    Case("a container's own build, asked", (
        R580, NGC, TorchImport(arch_list=("sm_80", "sm_90")), gpus(RTX_5090), LINUX,
    ), NEW),
    Case("one GPU talks to nobody here", (
        R570, torch("2.7.1+cu128", pins=NCCL_2_26_2), gpus(RTX_5090), LINUX, python(),
    ), {"nccl-too-old-for-gpu": "note"}),
    Case("a display card beside the GPU", (
        R580, torch("2.13.0+cu130"), DISPLAY, LINUX,
    ), {"gpu-arch-unsupported-old": "warning"}),
    Case("which of them an index means is not known", (
        R580, torch("2.13.0+cu130"), gpus(V100, H100), masked("0"), LINUX,
    ), {"gpu-arch-unsupported-old": "warning"}),
    Case("the display card is hidden by its place on the bus", (
        R580, torch("2.13.0+cu130"), DISPLAY, masked("1", "PCI_BUS_ID"), LINUX,
    )),
    Case("hidden by UUID", (R580, torch("2.13.0+cu130"), gpus(V100, H100), masked("GPU-1"), LINUX)),
    Case("all hidden", (R580, torch("2.13.0+cu130"), gpus(V100), masked(""), LINUX)),
    Case("Volta, present in cu128 of 2.8 to 2.10", (R580, torch("2.10.0+cu128"), gpus(V100), LINUX)),
    Case("Pascal and Volta with CUDA 12.6", (R580, torch("2.14.1+cu126"), gpus(V100, "Tesla P100-PCIE-16GB"), LINUX)),
    Case("Blackwell with CUDA 12.8", (R570, torch("2.8.0+cu128"), gpus(RTX_5090, RTX_5090), LINUX)),
    Case("Blackwell with a rebuilt NCCL", (
        R570, torch("2.7.1+cu128", pins=(Pin("nvidia-nccl-cu12", "2.26.2.post1"),)), gpus(RTX_5090, RTX_5090), LINUX,
    )),
    Case("a GB200", (R580, torch("2.13.0+cu130"), gpus("NVIDIA GB200", "NVIDIA GB200"), ARM)),
    Case("an Ada card through the code of Ampere", (R580, torch("2.13.0+cu130"), gpus("NVIDIA L40S"), LINUX)),
    Case("a container's own build, not imported", (R580, NGC, gpus(RTX_5090), LINUX)),
    Case("a GPU of unknown capability", (R580, torch("2.13.0+cu130"), gpus("a GPU to come"), LINUX)),
    Case("a GPU that does not answer", (
        R580, torch("2.13.0+cu130"), Gpus(count=1, gpus=(Gpu(name=V100, error="GPU is lost", error_code=15),)), LINUX,
    )),
    Case("a CPU build has no such code at all", (R580, torch("2.13.0+cpu"), gpus(V100), LINUX)),
    Case("a machine without NVIDIA", (NO_DRIVER, torch("2.13.0+cu130"), NO_GPUS, LINUX)),
    Case("no torch", (R580, NO_TORCH, gpus(V100), LINUX)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def only(case: Case) -> Finding:
    (finding,) = case.assert_holds(FILE)
    return finding


def test_volta_is_kept_by_the_cuda_12_6_build() -> None:
    finding = only(VOLTA)
    assert finding.command == f"{PIP} torch==2.13.0+cu126 {INDEX}/cu126"
    assert finding.evidence["newest"] == "2.14.1+cu126"
    assert finding.evidence["why_not"] == "2.15.0: no sm_70"


def test_blackwell_needs_cuda_12_8_and_what_the_driver_allows() -> None:
    assert only(BLACKWELL).command == f"{PIP} torch==2.13.0+cu129 {INDEX}/cu129"
    newer = Case("a newer driver", (R580, torch("2.6.0+cu124"), gpus(RTX_5090), LINUX, python()), NEW)
    assert only(newer).command == f"{PIP} torch==2.15.0"
    assert only(newer).situation == "newest"


def test_a_build_for_all_gpus_is_named() -> None:
    finding = only(MIXED)
    assert finding.command == f"{PIP} torch==2.13.0+cu126 {INDEX}/cu126"
    assert (finding.evidence["gpu"], finding.evidence["count"]) == (V100, 1)
    assert only(PASCAL_AND_BLACKWELL).situation == "mixed" and only(PASCAL_AND_BLACKWELL).command is None


def test_where_no_build_fits_no_command_is_given() -> None:
    assert only(OLD_PYTHON).situation == "nothing-fits" and only(OLD_PYTHON).command is None
    assert only(ORIN).situation == "jetson" and only(ORIN).command is None
    assert only(K80).command == f"{PIP} torch==2.7.1+cu118 {INDEX}/cu118"


def test_the_installed_nccl_counts_not_the_required_one() -> None:
    assert only(TOO_OLD_NCCL).evidence["nccl_source"] == "nvidia-nccl-cu12 2.21.5"
    assert only(UNSOUND).situation == "unsound" and only(TRANSLATED).situation == "translated"


def test_companions_that_are_installed_move_along() -> None:
    packages = Packages(distributions=(Distribution("torchvision", "0.28.0"),))
    case = Case("with torchvision", (*VOLTA.facts, packages), OLD)
    assert only(case).command == f"{PIP} torch==2.13.0+cu126 torchvision==0.28.0+cu126 {INDEX}/cu126"


def test_where_the_capability_comes_from_is_told() -> None:
    by_name = replace(gpus(V100), source="nvidia-smi", gpus=(Gpu(name=V100),))
    case = Case("by name", (R580, torch("2.13.0+cu130"), by_name, LINUX, python()), OLD)
    assert only(case).evidence["gpu_source"] == "nvidia-smi name" and only(VOLTA).evidence["gpu_source"] == "nvml"


def test_summary() -> None:
    line = topic_file(FILE).summary
    assert line
    told = line.line(gpus(V100, H100), torch("2.13.0+cu130"), None, LINUX, None)
    assert told and told[0].say("en", told[1]) == "code for 1 of 2 GPUs"
    assert line.line(gpus(V100), NGC, None, LINUX, None) is None
