"""envdoctor/readers/decisions/cuda.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes, findings

LISTED = "The current PyTorch install supports CUDA capabilities {}.\n"
REFUSED = (
    "NVIDIA Some GPU with CUDA capability sm_{} is not compatible with the current PyTorch installation.\n" + LISTED
)


@pytest.mark.parametrize(
    ("capability", "built", "code"),
    [
        (120, "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90", "gpu-arch-unsupported-new"),
        (103, "sm_75 sm_80 sm_90 sm_120", "gpu-arch-unsupported-new"),
        (61, "sm_50 sm_70 sm_80", "gpu-arch-unsupported-old"),
        (70, "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "gpu-arch-unsupported-old"),
        (37, "sm_50 sm_60 compute_70", "gpu-arch-unsupported-old"),
    ],
)
def test_a_gpu_is_too_new_or_was_dropped(capability: int, built: str, code: str) -> None:
    assert list(codes(REFUSED.format(capability, built))) == [code]


def test_error_803_is_the_containers_libcuda_or_the_hosts_driver() -> None:
    line = (
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver\n"
    )
    assert list(codes(line)) == ["driver-library-mismatch"]
    assert list(codes("root@0a1b2c3d4e5f:/workspace# python train.py\n" + line)) == ["cuda-compat-mismatch"]


def test_a_report_of_a_machine_without_gpu_is_no_alarm() -> None:
    warned = "UserWarning: CUDA initialization: Found no NVIDIA driver on your system. Please check that\n"
    report = "PyTorch version: 2.4.0+cu121\nCUDA used to build PyTorch: 12.1\nIs CUDA available: False\n"
    none = "GPU models and configuration: No CUDA\nNvidia driver version: No CUDA\n"
    assert set(codes(warned + report + none).values()) == {"note"}
    assert codes("RuntimeError: Found no NVIDIA driver on your system. Please check\n")["driver-missing"] == "error"
    assert [finding.code for finding in findings(warned)] == ["driver-missing"]
