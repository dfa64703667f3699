"""checks/torch_platform.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.host import Host
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Finding, Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.torch_machines import ARM, LINUX, NO_DRIVER, NO_GPUS, NO_TORCH, driver, gpus, masked, python, torch

FILE = CHECKS / "torch_platform.py"
R580 = driver("580.65.06", "13.0")
RTX_5090 = gpus("NVIDIA GeForce RTX 5090")
NO_PYTHON, NOTE = {"python-unsupported": "error"}, {"python-unsupported": "note"}
ALPINE = Host(system="linux", machine="x86_64", glibc="", distribution="alpine", distribution_version="3.22")
INTEL_MAC = Host(system="macos", machine="x86_64", distribution="macOS", distribution_version="14.7")
NGC = TorchInstall("/opt/torch", "2.6.0a0+ecf3bae40a.nv25.1", "12.8")

TOO_NEW = Case("Python 3.16", (python("3.16.0"), LINUX, NO_TORCH), NO_PYTHON)
BLACKWELL_3_8 = Case(
    "Blackwell needs Python 3.9", (python("3.8.20"), LINUX, torch("2.4.1+cu121"), R580, RTX_5090), NO_PYTHON
)
BEHIND = Case("Python 3.8 stopped at 2.4.1", (python("3.8.20"), LINUX, torch("2.4.1+cu121")), NOTE)
MUSL = Case("Alpine", (python(), ALPINE, NO_TORCH), {"platform-unsupported": "error"})
INTEL = Case("a Mac with an Intel processor", (python("3.11.9"), INTEL_MAC, NO_TORCH), {"platform-unsupported": "note"})

CASES = [
    TOO_NEW,
    BLACKWELL_3_8,
    BEHIND,
    MUSL,
    INTEL,
    Case("Python 3.5", (python("3.5.10"), LINUX, NO_TORCH), NO_PYTHON),
    Case("a free-threaded Python before there were wheels", (python("3.16.0", "cp316t"), LINUX, NO_TORCH), NO_PYTHON),
    Case("PyPy", (python(implementation="pypy"), LINUX, NO_TORCH), NO_PYTHON),
    Case("a torch of one's own for Python 3.16", (python("3.16.0"), LINUX, NGC), NOTE),
    Case("Python 3.9 stopped at 2.8.0", (python("3.9.18"), LINUX, NO_TORCH), NOTE),
    Case("a free-threaded 3.13 stopped at 2.12.0", (python("3.13.5", "cp313t"), LINUX, NO_TORCH), NOTE),
    Case("a torch of one's own knows GPUs that PyTorch's does not", (
        python("3.8.20"), LINUX, NGC, R580, RTX_5090,
    ), NOTE),
    Case("Python 3.10 lacks the last release only", (python("3.10.13"), LINUX, NO_TORCH)),
    Case("Python 3.14", (python("3.14.0"), LINUX, NO_TORCH, R580, RTX_5090)),
    Case("a free-threaded 3.14", (python("3.14.0", "cp314t"), LINUX, NO_TORCH)),
    Case("no torch at all for the GPU is not the Python's fault", (
        python(), LINUX, torch("2.13.0+cpu"), driver("470.82.01", "11.4"), gpus("Tesla K40c"),
    )),
    Case("Blackwell hidden on purpose", (python("3.9.18"), LINUX, torch("2.8.0+cpu"), RTX_5090, masked("")), NOTE),
    Case("a pasted report that does not name the C library", (
        python(), Host(system="linux", machine="x86_64"), NO_TORCH,
    )),
    Case("aarch64", (python(machine="aarch64"), ARM, NO_TORCH)),
    Case("Windows", (python(machine="AMD64"), Host(system="windows", machine="AMD64"), NO_TORCH)),
    Case("Windows on ARM, of which nothing is known", (
        python(machine="ARM64"), Host(system="windows", machine="ARM64"), NO_TORCH,
    )),
    Case("Apple silicon", (python(machine="arm64"), Host(system="macos", machine="arm64"), NO_TORCH)),
    Case("a pasted report of a torch that runs where Python 3.8 is", (
        replace(python("3.8.20"), executable=""), LINUX, torch("2.4.1+cu121"),
    )),
    Case("an unknown Python", (replace(python(), version=""), LINUX, NO_TORCH)),
    Case("torch could not be looked at", (python("3.16.0"), LINUX, Missing("torch-install", "failed", "OSError"))),
    Case("POWER", (python(machine="ppc64le"), Host(system="linux", machine="ppc64le", glibc="2.35"), NO_TORCH), {
        "platform-unsupported": "error",
    }),
    Case("a 32-bit board", (python(machine="armv7l"), Host(system="linux", machine="armv7l", glibc="2.36"), NO_TORCH), {
        "platform-unsupported": "error",
    }),
    Case("POWER with a torch of IBM's", (
        python(machine="ppc64le"), Host(system="linux", machine="ppc64le", glibc="2.35"), torch("2.1.2"),
    ), {"platform-unsupported": "note"}),
    Case("Alpine with its own torch", (python(), ALPINE, torch("2.5.1")), {"platform-unsupported": "note"}),
    Case("a Mac with an Intel processor and a Python that came too late", (python("3.13.1"), INTEL_MAC, NO_TORCH), {
        "platform-unsupported": "error", "python-unsupported": "error",
    }),
    Case("a CPU machine", (python(), LINUX, torch("2.13.0+cpu"), NO_DRIVER, NO_GPUS)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def only(case: Case) -> Finding:
    (finding,) = case.assert_holds(FILE)
    return finding


def test_a_python_that_suits_is_named() -> None:
    evidence = only(TOO_NEW).evidence
    assert (evidence["python"], evidence["newest"], evidence["pythons"], evidence["suited"]) == (
        "Python 3.16",
        "2.15.0",
        "3.11-3.15",
        "3.12",
    )
    assert only(BLACKWELL_3_8).situation == "machine"
    assert only(BLACKWELL_3_8).evidence["newest"] == "2.15.0"


def test_where_a_python_stopped() -> None:
    assert (only(BEHIND).evidence["newest_here"], only(BEHIND).evidence["date"]) == ("2.4.1", "2024-09-04")


def test_what_to_do_on_other_platforms() -> None:
    assert only(MUSL).situation == "musl"
    assert only(INTEL).evidence["newest"] == "2.2.2" and only(INTEL).evidence["pythons"] == "3.8-3.12"
