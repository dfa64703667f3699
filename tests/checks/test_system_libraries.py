"""checks/system_libraries.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import Binary, Libraries, LoadedLibrary, StandardLibrary
from envdoctor.facts.python import Python
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS

FILE = CHECKS / "system_libraries.py"
TORCH = "/env/lib/python3.11/site-packages/torch/lib/"
SYSTEM = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
BINARIES = (
    Binary(TORCH + "libc10.so", "torch", "2.17", "3.4.22", "1.3.9"),
    Binary(TORCH + "libtorch_cpu.so", "torch", "2.28", "3.4.29", "1.3.11"),
)


def libraries(
    *more: Binary, path: str = SYSTEM, glibcxx: str = "3.4.30", cxxabi: str = "1.3.13", through: str = "ldconfig"
) -> Libraries:
    return Libraries(
        loads=(LoadedLibrary("libstdc++.so.6", path, path, through=through),),
        binaries=BINARIES + more,
        standard=(StandardLibrary(path, "loaded", glibcxx, cxxabi),),
    )


DEBIAN = Host(system="linux", distribution="debian", distribution_version="12", glibc="2.36")

CASES = [
    Case("a system of today", (libraries(), DEBIAN, Python())),
    Case(
        "CentOS 7 and a wheel of torch 2.6",
        (libraries(), Host(distribution="centos", distribution_version="7", glibc="2.17")),
        {"glibc-too-old": "error"},
    ),
    Case("exactly what is needed", (libraries(glibcxx="3.4.29", cxxabi="1.3.11"), Host(glibc="2.28"))),
    Case(
        "another file of torch that needs less",
        (libraries(Binary(TORCH + "libtorch_python.so", "torch", "2.14", "3.4.11", "1.3")), DEBIAN, Python()),
    ),
    Case("another C library", (libraries(), Host(glibc=""))),
    Case(
        "an extension built on a newer system",
        (libraries(Binary("/env/flash_attn_2_cuda.so", "flash_attn", "2.38", "3.4.22", "1.3.9")), DEBIAN),
        {"glibc-too-old": "error"},
    ),
    Case(
        "an extension built with a newer gcc",
        (libraries(Binary("/env/_C.so", "vllm", "2.28", "3.4.32", "1.3.13")), DEBIAN, Python()),
        {"libstdcxx-too-old": "error"},
    ),
    Case(
        "the C++ ABI alone is too old",
        (libraries(cxxabi="1.3.10"), DEBIAN, Python()),
        {"libstdcxx-too-old": "error"},
    ),
    Case(
        "a module's gcc 8 on LD_LIBRARY_PATH",
        (libraries(path="/apps/gcc/8/lib64/libstdc++.so.6", glibcxx="3.4.25", through="LD_LIBRARY_PATH"), DEBIAN),
        {"libstdcxx-too-old": "error"},
    ),
    Case(
        "a conda environment on Ubuntu 20.04",
        (libraries(glibcxx="3.4.28"), DEBIAN, Python(conda="/opt/conda")),
        {"libstdcxx-too-old": "error"},
    ),
    Case("nothing known of libstdc++", (Libraries(binaries=BINARIES), DEBIAN)),
    Case(
        "torch is not followed, ldconfig tells",
        (Libraries(binaries=BINARIES, standard=(StandardLibrary(SYSTEM, "ldconfig", "3.4.28", "1.3.12"),)), DEBIAN),
        {"libstdcxx-too-old": "error"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_path_that_leads_to_an_old_copy_is_the_thing_to_undo() -> None:
    (finding,) = next(case for case in CASES if case.about.startswith("a module's")).assert_holds(FILE)
    assert finding.command == "unset LD_LIBRARY_PATH"
    assert finding.evidence["needs"] == "GLIBCXX_3.4.29"


def test_the_line() -> None:
    def said(host: Host) -> str | None:
        (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type((host, libraries()))})
        return line.text.say("en", line.values) if line.text else None

    assert said(DEBIAN) == "glibc 2.36, libstdc++ GLIBCXX_3.4.30"
    assert said(Host()) is None
