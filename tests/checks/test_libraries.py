"""checks/libraries.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.driver import Driver
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import (
    AbsentLibrary,
    Libraries,
    LibraryCopy,
    LoadedLibrary,
    MappedLibraries,
    MappedLibrary,
    SearchFolder,
)
from envdoctor.facts.packages import DamagedFile, Distribution, Packages
from envdoctor.facts.torch import Pin, TorchImport, TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS

FILE = CHECKS / "libraries.py"
SITE = "/env/lib/python3.11/site-packages"
WHEEL = SITE + "/nvidia/nvjitlink/lib/libnvJitLink.so.12"
SPARSE = SITE + "/nvidia/cusparse/lib/libcusparse.so.12"
MODULE = "/apps/cuda/12.1/lib64"
TORCH = TorchInstall(
    folder=SITE + "/torch",
    version="2.7.1+cu126",
    cuda="12.6",
    pins=(Pin("nvidia-nvjitlink-cu12", "12.6.85"), Pin("nvidia-cusparse-cu12", "12.5.4.2")),
)
CPU = TorchInstall(folder=SITE + "/torch", version="2.13.0+cpu")
INSTALLED = (
    Distribution("nvidia-nvjitlink-cu12", "12.6.85", SITE),
    Distribution("nvidia-cusparse-cu12", "12.5.4.2", SITE),
)
IMPORTED = TorchImport(version="2.7.1+cu126", cuda="12.6")
NOT_IMPORTED = Missing("torch-import", "not-asked")
FAILED = TorchImport(error="ImportError", message="undefined symbol: __nvJitLinkComplete_12_4")
COPIES = (
    LibraryCopy("libnvJitLink", "libnvJitLink.so.12", WHEEL, WHEEL, "12.6.85", "wheel"),
    LibraryCopy("libcusparse", "libcusparse.so.12", SPARSE, SPARSE, "12.5.4.2", "wheel"),
)


def found_in(folder: str, version: str, through: str = "LD_LIBRARY_PATH") -> Libraries:
    """nvJitLink is found in a folder, cusparse in its wheel."""
    path = folder + "/libnvJitLink.so.12"
    return Libraries(
        library_path=(SearchFolder(folder, set_in="~/.bashrc:12"),) if through == "LD_LIBRARY_PATH" else (),
        copies=COPIES,
        loads=(
            LoadedLibrary("libcusparse.so.12", SPARSE, SPARSE, "12.5.4.2", "rpath"),
            LoadedLibrary("libnvJitLink.so.12", path, path, version, through, SPARSE),
        ),
    )


def stub(folder: str) -> Libraries:
    path = folder + "/libcuda.so.1"
    return Libraries(loads=(LoadedLibrary("libcuda.so.1", path, path, "", "LD_LIBRARY_PATH", stub=True),))


HEALTHY = found_in(SITE + "/nvidia/nvjitlink/lib", "12.6.85", "runpath")
PACKAGES = Packages(2, INSTALLED)

CASES = [
    Case("all from the wheels", (HEALTHY, TORCH, PACKAGES, IMPORTED, Host())),
    Case(
        "a CPU torch and the system's libraries",
        (Libraries(), CPU, Packages(), TorchImport(), Missing("driver", "not-here")),
    ),
    Case(
        "an older nvJitLink on LD_LIBRARY_PATH, not imported",
        (found_in(MODULE, "12.1.105"), TORCH, PACKAGES, NOT_IMPORTED, Host(modules=("gcc/12", "cuda/12.1"))),
        {"library-path-pollution": "error"},
    ),
    Case(
        "the same, and the import failed",
        (found_in(MODULE, "12.1.105"), TORCH, PACKAGES, FAILED),
        {"library-path-pollution": "error"},
    ),
    Case(
        "the same, and the import went well",
        (found_in(MODULE, "12.1.105"), TORCH, PACKAGES, IMPORTED),
        {"library-path-pollution": "warning"},
    ),
    Case("the same version elsewhere", (found_in(MODULE, "12.6.85"), TORCH, PACKAGES, NOT_IMPORTED)),
    Case(
        "a newer one of the same major version",
        (found_in(MODULE, "12.9.86"), TORCH, PACKAGES, NOT_IMPORTED),
        {"library-path-pollution": "note"},
    ),
    Case(
        "one of unknown version",
        (found_in(MODULE, ""), TORCH, PACKAGES, NOT_IMPORTED),
        {"library-path-pollution": "warning"},
    ),
    Case(
        "preloaded",
        (found_in(MODULE, "12.1.105", "preload"), TORCH, PACKAGES, FAILED),
        {"library-path-pollution": "error"},
    ),
    Case(
        "found through ldconfig",
        (found_in("/usr/local/cuda/lib64", "12.1.105", "ldconfig"), TORCH, PACKAGES, NOT_IMPORTED),
        {"library-path-pollution": "error"},
    ),
    Case(
        "harmless folders on LD_LIBRARY_PATH",
        (
            Libraries(
                library_path=(SearchFolder("/opt/openmpi/lib"), SearchFolder("/gone", exists=False)),
                copies=COPIES,
                loads=HEALTHY.loads,
            ),
            TORCH,
            PACKAGES,
            NOT_IMPORTED,
        ),
    ),
    Case(
        "conda's torch with conda's libraries",
        (
            Libraries(
                copies=(
                    LibraryCopy(
                        "libcudart", "libcudart.so.12", "/c/lib/libcudart.so.12", "/c/lib/x", "12.4.127", "conda"
                    ),
                ),
                loads=(LoadedLibrary("libcudart.so.12", "/c/lib/libcudart.so.12", "/c/lib/x", "12.4.127", "rpath"),),
            ),
            TorchInstall(folder="/c/torch", version="2.5.1", cuda="12.4", installer="conda"),
            Packages(),
            IMPORTED,
        ),
    ),
    Case(
        "NVIDIA's container: torch built against the system, a wheel lies about",
        (
            found_in("/usr/local/cuda/lib64", "12.1.105", "ldconfig"),
            TorchInstall(folder="/t", version="2.8.0a0+5228986c39.nv25.6", cuda="12.9"),
            PACKAGES,
            NOT_IMPORTED,
        ),
    ),
    Case(
        "mapped from elsewhere, unforeseen",
        (
            MappedLibraries((MappedLibrary("libnvJitLink", "/opt/old/libnvJitLink.so.12.1.105", "12.1.105"),)),
            Libraries(copies=COPIES),
            TORCH,
            IMPORTED,
        ),
        {"library-path-pollution": "warning"},
    ),
    Case(
        "mapped, foreseen and said already",
        (
            MappedLibraries((MappedLibrary("libnvJitLink", MODULE + "/libnvJitLink.so.12", "12.1.105"),)),
            found_in(MODULE, "12.1.105"),
            TORCH,
            IMPORTED,
        ),
        {"library-path-pollution": "warning"},
    ),
    Case(
        "mapped twice: another package has its own",
        (
            MappedLibraries(
                (MappedLibrary("libnvJitLink", WHEEL), MappedLibrary("libnvJitLink", "/tf/libnvJitLink.so.12", "12.1"))
            ),
            HEALTHY,
            TORCH,
            IMPORTED,
        ),
    ),
    Case(
        "mapped, newer",
        (
            MappedLibraries(
                (
                    MappedLibrary("libnvJitLink", "/opt/new/libnvJitLink.so.12", "12.9.86"),
                    MappedLibrary("libstdc++", "/l/libstdc++.so.6"),
                )
            ),
            Libraries(copies=COPIES),
            TORCH,
            IMPORTED,
        ),
    ),
    Case(
        "a stub in the driver's place",
        (stub("/usr/local/cuda/lib64/stubs"), TORCH, Driver(kernel_release="580.65.06"), Host()),
        {"library-path-pollution": "error"},
    ),
    Case(
        "the driver's own libcuda",
        (
            Libraries(loads=(LoadedLibrary("libcuda.so.1", "/usr/lib64/libcuda.so.1", through="ldconfig"),)),
            Driver(kernel_release="580.65.06"),
        ),
    ),
    Case(
        "a stub while an image is built",
        (stub("/usr/local/cuda/lib64/stubs"), TORCH, Missing("driver", "not-here")),
        {"library-path-pollution": "note"},
    ),
    Case(
        "a pinned package is not installed",
        (
            TORCH,
            Packages(1, INSTALLED[:1]),
            Libraries(absent=(AbsentLibrary("libcusparse.so.12", SITE + "/torch/lib/libtorch_cuda.so"),)),
            NOT_IMPORTED,
        ),
        {"cuda-library-missing": "error"},
    ),
    Case(
        "not installed, yet the system has the library",
        (TORCH, Packages(1, INSTALLED[:1]), HEALTHY, NOT_IMPORTED),
        {"cuda-library-missing": "warning"},
    ),
    Case(
        "pins that hold on another platform only",
        (TorchInstall(folder="/t", version="2.5.1", pins=TORCH.pins), Packages(), NOT_IMPORTED),
    ),
    Case(
        "only metadata of torch is left",
        (TorchInstall(pins=TORCH.pins), Packages(), NOT_IMPORTED),
    ),
    Case(
        "another package was removed, and this one's library with it",
        (TORCH, Packages(2, INSTALLED, (DamagedFile(WHEEL, ("nvidia-nvjitlink-cu12",), False),)), NOT_IMPORTED),
        {"cuda-library-missing": "error"},
    ),
    Case(
        "an image slimmed on purpose",
        (TORCH, Packages(2, INSTALLED, (DamagedFile(WHEEL, ("nvidia-nvjitlink-cu12",), False),)), IMPORTED),
        {"cuda-library-missing": "warning"},
    ),
    Case(
        "a left-over package that torch does not need",
        (CPU, Packages(1, INSTALLED[:1], (DamagedFile(WHEEL, ("nvidia-nvjitlink-cu12",), False),)), NOT_IMPORTED),
        {"cuda-library-missing": "note"},
    ),
    Case(
        "NCCL's library is another topic's",
        (TORCH, Packages(2, INSTALLED, (DamagedFile("/s/libnccl.so.2", ("nvidia-nccl-cu12",), False),)), NOT_IMPORTED),
    ),
    Case(
        "libcupti is found nowhere",
        (
            Libraries(
                copies=COPIES,
                loads=HEALTHY.loads,
                absent=(AbsentLibrary("libcupti.so.12", SITE + "/torch/lib/libtorch_cpu.so"),),
            ),
            TORCH,
            PACKAGES,
            NOT_IMPORTED,
        ),
        {"cuda-library-missing": "error"},
    ),
    Case(
        "torch opens it from the wheel itself",
        (
            Libraries(
                copies=COPIES, absent=(AbsentLibrary("libcusparse.so.12", "/t"), AbsentLibrary("libcurl.so.4", "/t"))
            ),
            TORCH,
            PACKAGES,
            NOT_IMPORTED,
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_the_line_to_remove_is_named() -> None:
    (finding,) = case("an older nvJitLink on LD_LIBRARY_PATH, not imported").assert_holds(FILE)
    assert finding.command == "envdoctor fix library-path"
    assert finding.evidence["set_in"] == "~/.bashrc:12"
    assert finding.evidence["own_version"] == "12.6.85"


def test_a_module_is_named_where_no_line_is() -> None:
    facts = (stub("/apps/cuda/12.1/lib64/stubs"), Host(modules=("gcc/12", "cuda/12.1")))
    (finding,) = Case("", facts, {"library-path-pollution": "note"}).assert_holds(FILE)
    assert finding.evidence["set_in"] == "module cuda/12.1"


def test_the_missing_package_is_named_with_its_pin() -> None:
    (finding,) = case("a pinned package is not installed").assert_holds(FILE)
    assert finding.command == "pip install --no-deps nvidia-cusparse-cu12==12.5.4.2"


def test_the_emptied_package_is_put_back() -> None:
    (finding,) = case("another package was removed, and this one's library with it").assert_holds(FILE)
    assert finding.command == "pip install --force-reinstall --no-deps nvidia-nvjitlink-cu12==12.6.85"


def test_the_line() -> None:
    def said(libraries: Libraries, torch: TorchInstall) -> str | None:
        (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type((libraries, torch))})
        return line.text.say("en", line.values) if line.text else None

    assert said(found_in(MODULE, "12.1.105"), TORCH) == "1 of 2 from torch's own packages"
    assert said(Libraries(), CPU) == "this torch loads none"
    assert said(Libraries(), TORCH) is None
