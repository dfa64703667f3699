"""facts/libraries.py and facts/packages.py: versions compared, and what belongs to torch."""

from __future__ import annotations

import pytest

from envdoctor.facts.libraries import Libraries, LibraryCopy, older, same
from envdoctor.facts.packages import Distribution, fits
from envdoctor.facts.toolkit import CudaToolkit, Toolkit
from envdoctor.facts.torch import Pin, TorchInstall


@pytest.mark.parametrize(
    ("one", "other", "is_older", "is_same"),
    [("12.1.105", "12.6.85", True, False),
     ("12.9.86", "12.6.85", False, False),
     ("9.10.2", "9.10.2.21", False, True),  # a file against its wheel
     ("2.27.10", "2.27.5", False, False),
     ("2.27.5", "2.27.10", True, False),
     ("", "2.27.5", None, None),
     ("2.27.5", "", None, None)],
)  # fmt: skip
def test_versions_compare_as_far_as_both_are_given(
    one: str, other: str, is_older: bool | None, is_same: bool | None
) -> None:
    assert (older(one, other), same(one, other)) == (is_older, is_same)


@pytest.mark.parametrize(
    ("version", "pin", "answer"),
    [("2.27.3", "2.27.3", True), ("3.4.0+git1", "3.4.0", True), ("13.1.0.30", "13.1.0.3.*", False),
     ("13.1.0.3", "13.1.0.3.*", True), ("13.1.0.3.7", "13.1.0.3.*", True), ("2.27.30", "2.27.3", False)],
)  # fmt: skip
def test_what_fits_a_pin(version: str, pin: str, answer: bool) -> None:
    assert fits(version, pin) is answer


def test_which_copy_is_torchs_own() -> None:
    conda = LibraryCopy("libcudart", "libcudart.so.12", "/c/lib/libcudart.so.12", place="conda")
    wheel = LibraryCopy("libcudart", "libcudart.so.12", "/s/nvidia/lib/libcudart.so.12", place="wheel")
    inside = LibraryCopy("libcudart", "libcudart.so.12", "/s/torch/lib/libcudart.so.12", place="torch")
    system = LibraryCopy("libnccl", "libnccl.so.2", "/usr/lib/libnccl.so.2", place="ldconfig")
    from_wheels = TorchInstall(installer="pip", pins=(Pin("nvidia-cuda-runtime-cu12", "12.6.77"),))
    found = Libraries(copies=(conda, wheel, inside, system))
    assert found.own("libcudart.so.12", from_wheels) is wheel
    assert found.own("libcudart.so.12", TorchInstall()) is inside
    assert Libraries(copies=(conda, wheel)).own("libcudart.so.12", TorchInstall(installer="conda")) is conda
    assert Libraries(copies=(conda, wheel)).own("libcudart.so.12", TorchInstall(installer="pip")) is None
    assert found.own("libnccl.so.2", from_wheels) is None


@pytest.mark.parametrize(
    ("told", "specifier"),
    [("torch (==2.7.1)", "==2.7.1"), ("torch==2.7.1", "==2.7.1"), ("torch >=2, <3 ; python_version>'3'", ">=2,<3"),
     ("torch[opt]==2.7.1", "==2.7.1"), ('torch==2.7.1; extra == "all"', ""), ("Torch", ""), ("", ""), ("!!", "")],
)  # fmt: skip
def test_requirements(told: str, specifier: str) -> None:
    assert Distribution("x", requires=(told,)).requirement("torch") == specifier


def test_torch_takes_the_toolkit_of_path_before_usr_local() -> None:
    path, local = CudaToolkit(source="PATH", version="12.4"), CudaToolkit(source="/usr/local/cuda", version="13.0")
    assert Toolkit(toolkits=(local, path)).used is path
    assert Toolkit(toolkits=(local,)).used is local
    assert Toolkit(cuda_home="/x", cuda_home_source="CUDA_HOME", toolkits=(local, path)).used is None
    assert Toolkit(toolkits=(CudaToolkit(source="/usr/local"),)).used is None
    assert CudaToolkit().major is None
