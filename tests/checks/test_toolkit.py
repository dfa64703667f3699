"""checks/toolkit.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.asked import Asked
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.toolkit import Compiler, CudaToolkit, Toolkit
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import host_compilers
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS

FILE = CHECKS / "toolkit.py"
TORCH = TorchInstall(folder="/env/torch", version="2.7.1+cu126", cuda="12.6")
CPU = TorchInstall(folder="/env/torch", version="2.13.0+cpu")
DEEPSPEED = Packages(1, (Distribution("deepspeed", "0.16.0"),))
GCC_12 = Compiler("g++", "/usr/bin/g++", "gcc", "12")


def nvcc(version: str, source: str = "PATH", newest_gcc: int | None = None) -> CudaToolkit:
    root = f"/usr/local/cuda-{version}"
    return CudaToolkit(root + "/bin/nvcc", root, source, version, "file", newest_gcc)


def toolkit(*found: CudaToolkit, cxx: Compiler = GCC_12, home: str = "") -> Toolkit:
    return Toolkit(home, "CUDA_HOME" if home else "", bool(home), found, cxx=cxx)


CASES = [
    Case("as torch was built", (toolkit(nvcc("12.6")), TORCH)),
    Case("another minor version will do", (toolkit(nvcc("12.8")), TORCH)),
    Case("a CPU torch compiles no CUDA", (toolkit(nvcc("13.0")), CPU)),
    Case("a CPU torch needs no toolkit", (toolkit(), CPU)),
    Case("wheels need no toolkit", (toolkit(), TORCH), {"cuda-home-missing": "note"}),
    Case("DeepSpeed compiles when used", (toolkit(), TORCH, DEEPSPEED), {"cuda-home-missing": "warning"}),
    Case("asked for", (toolkit(), TORCH, Asked(topics=("toolkit",))), {"cuda-home-missing": "warning"}),
    Case(
        "not where a build looks",
        (toolkit(nvcc("12.6", "/usr/local")), TORCH),
        {"cuda-home-missing": "note"},
    ),
    Case("CUDA_HOME leads nowhere", (toolkit(home="/opt/cuda"), TORCH), {"cuda-home-missing": "note"}),
    Case("an old toolkit beside torch", (toolkit(nvcc("11.8")), TORCH), {"cuda-home-mismatch": "note"}),
    Case(
        "CUDA_HOME names it",
        (toolkit(nvcc("11.8", "CUDA_HOME"), nvcc("12.6", "/usr/local"), home="/usr/local/cuda-11.8"), TORCH),
        {"cuda-home-mismatch": "note"},
    ),
    Case(
        "asked for the mismatch",
        (toolkit(nvcc("11.8")), TORCH, Asked(topics=("cuda-home-mismatch",))),
        {"cuda-home-mismatch": "error"},
    ),
    Case("a toolkit of unknown version", (toolkit(CudaToolkit("/usr/bin/nvcc", "/usr", "PATH")), TORCH)),
    Case(
        "gcc 13 and CUDA 12.0, by the table",
        (toolkit(nvcc("12.0"), cxx=Compiler("g++", "/usr/bin/g++", "gcc", "13.2.0")), TORCH),
        {"compiler-too-new": "note"},
    ),
    Case(
        "gcc 14 and CUDA 12.6, by its own header",
        (toolkit(nvcc("12.6", newest_gcc=13), cxx=Compiler("g++", "/usr/bin/g++", "gcc", "14")), TORCH, DEEPSPEED),
        {"compiler-too-new": "warning"},
    ),
    Case(
        "clang",
        (toolkit(nvcc("12.6"), cxx=Compiler("clang++", "/usr/bin/clang++", "clang", "20.1.0")), TORCH),
        {"compiler-too-new": "note"},
    ),
    Case("the newest accepted", (toolkit(nvcc("12.6"), cxx=Compiler("g++", "/usr/bin/g++", "gcc", "13")), TORCH)),
    Case("no compiler", (toolkit(nvcc("12.6"), cxx=Compiler("g++")), TORCH)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_a_fitting_toolkit_that_is_there_is_the_remedy() -> None:
    (finding,) = next(case for case in CASES if case.about == "CUDA_HOME names it").assert_holds(FILE)
    assert finding.command == "envdoctor fix cuda-path --toolkit /usr/local/cuda-12.6"


@pytest.mark.parametrize(
    ("cuda", "kind", "newest"),
    [("10.2", "gcc", None), ("11.0", "gcc", 9), ("11.8", "gcc", 11), ("12.4", "gcc", 13), ("12.9", "clang", 18),
     ("13.0", "gcc", 15), ("13.1", "gcc", None), ("", "gcc", None), ("12.4", "icc", None), ("11.0", "clang", None)],
)  # fmt: skip
def test_the_table_of_host_compilers(cuda: str, kind: str, newest: int | None) -> None:
    assert host_compilers.newest(cuda, kind) == newest


def test_the_line() -> None:
    def said(fact: Toolkit) -> str:
        (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type((fact,))})
        assert line.text
        return line.text.say("en", line.values)

    assert said(toolkit(nvcc("12.6"))) == "CUDA 12.6 in /usr/local/cuda-12.6; gcc 12"
    assert said(toolkit(cxx=Compiler("g++"))) == "no toolkit; no compiler"
