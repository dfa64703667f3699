"""checks/torch_fit.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.host import Host
from envdoctor.facts.torch import Pin, TorchCuda, TorchInstall
from envdoctor.model import Finding
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.torch_machines import LINUX, NO_DRIVER, NO_GPUS, NO_TORCH, driver, gpus, python, torch

FILE = CHECKS / "torch_fit.py"
TOO_OLD, NO_JIT = {"driver-too-old": "error"}, {"driver-no-ptx-jit": "note"}
INDEX = "--index-url https://download.pytorch.org/whl"
PIP = "/opt/envs/train/bin/python -m pip install"

A100 = gpus("NVIDIA A100-SXM4-80GB")
DRIVER_470 = Case(
    "driver 470 with CUDA 12",
    (driver("470.82.01", "11.4"), torch("2.7.1+cu126"), A100, LINUX, python()),
    TOO_OLD,
)
DRIVER_550 = Case(
    "driver 550 with the default wheel of 2.11",
    (
        driver("550.54.15", "12.4"),
        torch("2.11.0+cu130", pins=(Pin("nvidia-cudnn-cu13", "9.19.0.56"), Pin("nvidia-nccl-cu13", "2.28.9"))),
        A100,
        LINUX,
        python(),
    ),
    TOO_OLD,
)
H100_535 = Case(
    "an H100 with driver 535 and CUDA 12.8",
    (driver("535.104.05", "12.2"), torch("2.10.0+cu128"), gpus("NVIDIA H100 80GB HBM3"), LINUX, python()),
    NO_JIT,
)
V100_535 = Case(
    "no newer driver than 580 for a V100",
    (
        driver("535.104.05", "12.2"),
        replace(torch("2.15.0+cu132"), cuda="13.2"),
        gpus("Tesla V100-SXM2-32GB"),
        LINUX,
        python(),
    ),
    TOO_OLD,
)
K80 = Case(
    "driver 470 is the last for a K80",
    (driver("470.256.02", "11.4"), torch("2.8.0+cu126"), gpus("Tesla K80"), LINUX, python()),
    TOO_OLD,
)
K40 = Case(
    "no torch of PyTorch's runs on a K40",
    (driver("470.256.02", "11.4"), torch("2.8.0+cu126"), gpus("Tesla K40c"), LINUX, python()),
    TOO_OLD,
)
NOTHING = Case(
    "Python 3.14 begins with CUDA 12, driver 470 ends before it",
    (driver("470.82.01", "11.4"), torch("2.9.1+cu128"), A100, LINUX, python("3.14.0")),
    TOO_OLD,
)
OLD_LIBCUDA = Case(
    "an old libcuda of a container image in front of driver 580",
    (
        replace(
            driver("580.65.06", "12.4"), libcuda="/usr/local/cuda-12.4/compat/libcuda.so.1", libcuda_origin="compat"
        ),
        torch("2.13.0+cu130"),
        A100,
        LINUX,
        python(),
    ),
    TOO_OLD,
)
ONLY_PTX = Case(
    "a GPU newer than the build, which the driver cannot compile for",
    (
        driver("570.86.10", "12.8"),
        torch("2.8.0+cu129"),
        replace(A100, gpus=(replace(A100.gpus[0], name="a GPU to come", compute_capability="13.0"),)),
        LINUX,
        python(),
    ),
    {"driver-no-ptx-jit": "error"},
)
SAID_SO = Case(
    "nothing is known of the driver, and CUDA says it is too old",
    (
        Driver(),
        torch("2.13.0+cu130"),
        TorchCuda(error="The NVIDIA driver on your system is too old (found version 12040).", code=None),
        LINUX,
        python(),
    ),
    TOO_OLD,
)
CODE_35 = Case(
    "CUDA's own code for it, and no number", (Driver(), torch("2.13.0+cu130"), TorchCuda(code=35), LINUX), TOO_OLD
)
NOT_EVEN_A_FULL_ONE = Case(
    "Python 3.14 has no torch that driver 535 serves in full",
    (driver("535.104.05", "12.2"), torch("2.13.0+cu126"), A100, LINUX, python("3.14.0")),
    NO_JIT,
)
CASES = [
    DRIVER_470,
    DRIVER_550,
    H100_535,
    V100_535,
    K80,
    K40,
    NOTHING,
    OLD_LIBCUDA,
    ONLY_PTX,
    SAID_SO,
    CODE_35,
    NOT_EVEN_A_FULL_ONE,
    Case("driver 470 runs CUDA 11.8", (driver("470.82.01", "11.4"), torch("2.7.1+cu118"), A100, LINUX), NO_JIT),
    Case("all that is needed", (driver("580.65.06", "13.0"), torch("2.13.0+cu130"), A100, LINUX, python())),
    Case("a new driver with an old build", (driver("595.58.03", "13.2"), torch("2.1.2+cu121"), A100, LINUX, python())),
    Case("compatible by release alone", (driver("550.54.15"), torch("2.4.1+cu124"), A100, LINUX, python())),
    Case(
        "a forward-compatible libcuda lifts driver 535",
        (
            replace(driver("535.104.05", "13.0"), libcuda_origin="compat"),
            torch("2.13.0+cu130"),
            A100,
            LINUX,
            python(),
        ),
    ),
    Case("Windows counts its own drivers", (
        driver("531.14", "12.1"), torch("2.1.2+cu121"), gpus("NVIDIA GeForce RTX 3090"), Host(system="windows"),
    )),
    Case("WSL with a driver of Windows", (
        driver("452.06", "11.0"), torch("2.1.2+cu118"), replace(LINUX, wsl=2), python(),
    ), NO_JIT),
    Case("a build newer than the tables", (driver("700.10"), TorchInstall(version="3.0.0+cu140", cuda="14.0"), LINUX)),
    Case("a CPU build needs no driver", (driver("470.82.01", "11.4"), torch("2.13.0+cpu"), A100, LINUX, python())),
    Case("a machine without NVIDIA", (NO_DRIVER, torch("2.13.0+cu130"), NO_GPUS, LINUX, python())),
    Case("no torch", (driver("470.82.01", "11.4"), NO_TORCH, A100, LINUX, python())),
    Case("nothing is known of the driver", (Driver(), torch("2.13.0+cu130"), LINUX)),
    Case("CUDA works, whatever the numbers say", (
        Driver(), torch("2.13.0+cu130"), TorchCuda(available=True, device_count=1), LINUX,
    )),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def only(case: Case) -> Finding:
    (finding,) = case.assert_holds(FILE)
    return finding


def test_driver_470_runs_the_cuda_11_build_of_the_same_release() -> None:
    finding = only(DRIVER_470)
    assert finding.command == f"{PIP} torch==2.7.1+cu118 {INDEX}/cu118"
    assert finding.evidence["needs"] == "525.60.13"


def test_driver_550_keeps_the_release_and_removes_what_would_clash() -> None:
    finding = only(DRIVER_550)
    remove = "/opt/envs/train/bin/python -m pip uninstall -y nvidia-cudnn-cu13 nvidia-nccl-cu13"
    assert finding.command == f"{remove} && {PIP} torch==2.11.0+cu126 {INDEX}/cu126"
    assert finding.evidence["newest"] == "2.14.1+cu126"
    assert finding.evidence["why_not"] == "2.15.0: driver>=580.65.06"
    assert finding.words.title
    assert finding.words.title.say("en", finding.evidence) == (
        "driver 550.54.15 supports CUDA 12.4, torch 2.11.0+cu130 is built for CUDA 13.0"
    )


def test_the_branch_that_would_compile_ptx_is_named() -> None:
    evidence = only(H100_535).evidence
    assert (evidence["branch"], evidence["full"]) == (570, "2.7.1+cu118")
    assert only(H100_535).command is None
    assert only(NOT_EVEN_A_FULL_ONE).situation == "no-torch-in-full"


def test_the_last_driver_of_a_gpu() -> None:
    assert only(V100_535).situation == "no-driver-helps"
    assert only(V100_535).command == f"{PIP} torch==2.14.1+cu126 {INDEX}/cu126"
    finding = only(K80)
    assert finding.situation == "last-branch" and finding.evidence["last"] == 470
    assert finding.command == f"{PIP} torch==2.7.1+cu118 {INDEX}/cu118"
    assert only(K40).situation == "hopeless" and only(K40).command is None
    assert only(NOTHING).situation == "nothing-fits" and only(NOTHING).command is None


def test_an_old_libcuda_is_no_reason_for_another_torch() -> None:
    finding = only(OLD_LIBCUDA)
    assert finding.situation == "old-libcuda" and finding.command is None
    assert finding.evidence["own"] == "13.0"


def test_ptx_without_a_driver_for_it_asks_for_a_build_that_fits() -> None:
    assert only(ONLY_PTX).situation == "needed"


def test_what_cuda_found_decides_what_fits() -> None:
    finding = only(SAID_SO)
    assert (finding.evidence["supports"], finding.evidence["supports_source"]) == ("12.4", "torch.cuda.init")
    assert finding.evidence["newest"] == "2.14.1+cu126"
    assert finding.command and finding.command.endswith(f"torch==2.13.0+cu126 {INDEX}/cu126")


def test_without_a_level_no_build_is_proposed() -> None:
    finding = only(CODE_35)
    assert finding.situation == "level-unknown" and finding.command is None


def test_a_uv_environment_is_mended_with_uv() -> None:
    facts = (driver("550.54.15", "12.4"), torch("2.11.0+cu130", installer="uv"), A100, LINUX, python())
    (finding,) = Case("uv", facts, TOO_OLD).assert_holds(FILE)
    assert finding.command == f"uv pip install --python /opt/envs/train/bin/python torch==2.11.0+cu126 {INDEX}/cu126"


def test_where_this_user_may_install_the_fix_does_it() -> None:
    own = replace(python(), writable=True)
    facts = (driver("550.54.15", "12.4"), torch("2.11.0+cu130"), A100, LINUX, own)
    (finding,) = Case("own", facts, TOO_OLD).assert_holds(FILE)
    assert finding.command == "envdoctor fix torch" and finding.fix == ("torch",)
    marked = replace(own, externally_managed="/usr/lib/python3.11/EXTERNALLY-MANAGED")
    (finding,) = Case("the system's", (*facts[:-1], marked), TOO_OLD).assert_holds(FILE)
    assert finding.fix == () and finding.command


def test_summary() -> None:
    line = topic_file(FILE).summary
    assert line
    told = line.line(driver("550.54.15", "12.4"), torch("2.11.0+cu130"))
    assert told and told[0].say("en", told[1]) == "torch for CUDA 13.0, driver 550.54.15 for CUDA 12.4"
    assert line.line(Driver(), torch("2.11.0+cu130")) is None
