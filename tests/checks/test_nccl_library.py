"""checks/nccl_library.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import summaries
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

FILE = CHECKS / "nccl_library.py"
SITE = "/env/lib/python3.11/site-packages"
WHEEL = SITE + "/nvidia/nccl/lib/libnccl.so.2"
SYSTEM = "/usr/lib/x86_64-linux-gnu/libnccl.so.2.18.3"
TORCH = TorchInstall(
    folder=SITE + "/torch", version="2.8.0+cu128", cuda="12.8", pins=(Pin("nvidia-nccl-cu12", "2.27.3"),)
)
CPU = TorchInstall(folder=SITE + "/torch", version="2.13.0+cpu")
PACKAGES = Packages(1, (Distribution("nvidia-nccl-cu12", "2.27.3", SITE),))
COPY = LibraryCopy("libnccl", "libnccl.so.2", WHEEL, WHEEL, "2.27.3", "wheel")
IMPORTED = TorchImport(version="2.8.0+cu128", nccl_header="2.27.3")
NOT_IMPORTED = Missing("torch-import", "not-asked")
NOT_MAPPED = Missing("mapped-libraries", "not-asked")


def loads(path: str, version: str, through: str, folder: str = "") -> Libraries:
    return Libraries(
        library_path=(SearchFolder(folder, set_in="/etc/profile.d/nccl.sh:3"),) if folder else (),
        copies=(COPY,),
        loads=(LoadedLibrary("libnccl.so.2", path, path, version, through),),
    )


def mapped(path: str, version: str, asked: bool = True) -> MappedLibraries:
    return MappedLibraries((MappedLibrary("libnccl", path, version, asked),))


HEALTHY = loads(WHEEL, "2.27.3", "rpath")

CASES = [
    Case("the wheel's, foreseen", (HEALTHY, TORCH, PACKAGES, NOT_IMPORTED, NOT_MAPPED)),
    Case("the wheel's, mapped", (HEALTHY, TORCH, PACKAGES, IMPORTED, mapped(WHEEL, "2.27.3"))),
    Case("the wheel's, mapped, not asked", (HEALTHY, TORCH, PACKAGES, IMPORTED, mapped(WHEEL, "", False))),
    Case("a CPU torch", (Libraries(), CPU, Packages(), TorchImport(), MappedLibraries())),
    Case(
        "an older one on LD_LIBRARY_PATH will be found",
        (
            loads("/opt/nccl/lib/libnccl.so.2", "2.18.3", "LD_LIBRARY_PATH", "/opt/nccl/lib"),
            TORCH,
            PACKAGES,
            NOT_IMPORTED,
            NOT_MAPPED,
        ),
        {"nccl-library-conflict": "error"},
    ),
    Case(
        "an older one is mapped and the import went well",
        (HEALTHY, TORCH, PACKAGES, IMPORTED, mapped(SYSTEM, "2.18.3")),
        {"nccl-library-conflict": "warning"},
    ),
    Case(
        "a newer one is preloaded on purpose",
        (loads("/opt/libnccl.so.2", "2.29.1", "preload"), TORCH, PACKAGES, NOT_IMPORTED, NOT_MAPPED),
        {"nccl-library-conflict": "note"},
    ),
    Case(
        "one of unknown version",
        (loads("/opt/libnccl.so.2", "", "ldconfig"), TORCH, PACKAGES, NOT_IMPORTED, NOT_MAPPED),
        {"nccl-library-conflict": "warning"},
    ),
    Case(
        "the wheel's file is not the wheel's",
        (HEALTHY, TORCH, PACKAGES, IMPORTED, mapped(WHEEL, "2.14.3")),
        {"nccl-library-conflict": "warning"},
    ),
    Case(
        "the same version elsewhere",
        (loads("/opt/libnccl.so.2", "2.27.3", "ldconfig"), TORCH, PACKAGES, NOT_IMPORTED, NOT_MAPPED),
    ),
    Case(
        "NVIDIA's container, where vllm brought a wheel",
        (
            loads("/usr/lib/libnccl.so.2", "2.18.3", "ldconfig"),
            TorchInstall(folder="/t", version="2.8.0a0+5228986c39.nv25.6", cuda="12.9"),
            PACKAGES,
            NOT_IMPORTED,
            NOT_MAPPED,
        ),
    ),
    Case(
        "torch's own, whose release is not known from outside",
        (replace(HEALTHY, copies=(replace(COPY, version=""),)), TORCH, Packages(), IMPORTED, mapped(WHEEL, "2.27.3")),
    ),
    Case("a torch without a copy of its own", (Libraries(), TORCH, PACKAGES, IMPORTED, mapped(SYSTEM, "2.18.3"))),
    Case(
        "the package is not installed",
        (Libraries(absent=(AbsentLibrary("libnccl.so.2", "/t"),)), TORCH, Packages(), NOT_IMPORTED, NOT_MAPPED),
        {"nccl-library-missing": "error"},
    ),
    Case(
        "not installed, the system has one",
        (Libraries(loads=(LoadedLibrary("libnccl.so.2", SYSTEM, SYSTEM),)), TORCH, Packages(), NOT_IMPORTED),
        {"nccl-library-missing": "warning"},
    ),
    Case("not installed, and imported all the same", (Libraries(), TORCH, Packages(), IMPORTED, MappedLibraries())),
    Case(
        "the cu11 package was removed, and the file with it",
        (
            Libraries(absent=(AbsentLibrary("libnccl.so.2", "/t"),)),
            TORCH,
            Packages(1, PACKAGES.distributions, (DamagedFile(WHEEL, ("nvidia-nccl-cu12",), False),)),
            NOT_IMPORTED,
        ),
        {"nccl-library-missing": "error"},
    ),
    Case(
        "gone with a package that torch does not pin",
        (
            TorchInstall(folder="/t", version="2.0.0", cuda="11.8"),
            Packages(
                1, (Distribution("nvidia-nccl-cu11", "2.14.3"),), (DamagedFile(WHEEL, ("nvidia-nccl-cu11",), False),)
            ),
            NOT_IMPORTED,
        ),
        {"nccl-library-missing": "error"},
    ),
    Case(
        "a torch that pins none and finds none",
        (
            Libraries(absent=(AbsentLibrary("libnccl.so.2", "/t/lib/libtorch_cuda.so"),)),
            TorchInstall(folder="/t", version="2.5.0", cuda="12.4"),
            Packages(),
            NOT_IMPORTED,
        ),
        {"nccl-library-missing": "error"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_the_pinned_package_is_put_back() -> None:
    (finding,) = case("the cu11 package was removed, and the file with it").assert_holds(FILE)
    assert finding.command == "pip install --force-reinstall --no-deps nvidia-nccl-cu12==2.27.3"
    (finding,) = case("gone with a package that torch does not pin").assert_holds(FILE)
    assert finding.command == "pip install --force-reinstall --no-deps nvidia-nccl-cu11==2.14.3"


def test_the_line_to_remove_is_named() -> None:
    (finding,) = case("an older one on LD_LIBRARY_PATH will be found").assert_holds(FILE)
    assert (finding.command, finding.evidence["set_in"]) == ("unset LD_LIBRARY_PATH", "/etc/profile.d/nccl.sh:3")


def test_the_line() -> None:
    def said(*given: object) -> str | None:
        (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type(given)})
        return line.text.say("en", line.values) if line.text else None

    assert said(TORCH, HEALTHY, PACKAGES, mapped(WHEEL, "2.27.3")) == f"2.27.3, {WHEEL}"
    assert said(TORCH, HEALTHY, PACKAGES) == "nvidia-nccl-cu12 2.27.3"
    assert said(CPU, Libraries()) == "this torch has none"
    assert said(TORCH, Libraries()) is None
