"""checks/packages.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS

FILE = CHECKS / "packages.py"
SITE = "/env/lib/python3.11/site-packages"


def torch(version: str, installer: str = "pip") -> TorchInstall:
    tag = version.partition("+")[2]
    cuda = f"{tag[2:-1]}.{tag[-1]}" if tag.startswith("cu") else ""
    return TorchInstall(folder=SITE + "/torch", version=version, cuda=cuda, installer=installer)


def packages(*found: Distribution) -> Packages:
    return Packages(count=len(found), distributions=found)


def vision(version: str, pin: str = "", module: str = "") -> Distribution:
    requires = ("numpy", f"torch=={pin}") if pin else ()
    return Distribution("torchvision", version, SITE, requires=requires, module_version=module)


CASES = [
    Case("a pair that goes together", (torch("2.7.1+cu126"), packages(vision("0.22.1", "2.7.1", "0.22.1+cu126")))),
    Case(
        "torch upgraded alone",
        (torch("2.7.1+cu126"), packages(vision("0.21.0", "2.6.0"))),
        {"torchvision-mismatch": "error"},
    ),
    Case(
        "known from the table alone",
        (torch("2.7.1+cu126"), packages(vision("0.21.0"))),
        {"torchvision-mismatch": "error"},
    ),
    Case("in the table", (torch("2.7.1+cu126"), packages(vision("0.22.1")))),
    Case(
        "a patch apart",
        (torch("2.7.1+cu126"), packages(vision("0.22.0", "2.7.0"))),
        {"torchvision-mismatch": "warning"},
    ),
    Case(
        "a release the table does not know, torchvision's own pin does",
        (torch("9.9.0"), packages(vision("0.21.0", "2.6.0"))),
        {"torchvision-mismatch": "error"},
    ),
    Case("neither knows", (torch("9.9.0"), packages(vision("0.99.0")))),
    Case("a build from source pairs by commit", (torch("2.7.0a0+7c8ec84"), packages(vision("0.22.0a0", "2.6.0")))),
    Case("NVIDIA's container", (torch("2.8.0a0+5228986c39.nv25.6"), packages(vision("0.22.0a0+95f10a4e")))),
    Case(
        "CUDA 11 torchvision beside a CUDA 12 torch",
        (torch("2.5.1+cu121"), packages(vision("0.20.1+cu118", "2.5.1"))),
        {"torchvision-mismatch": "error"},
    ),
    Case("another minor CUDA will do", (torch("2.5.1+cu124"), packages(vision("0.20.1+cu121", "2.5.1")))),
    Case(
        "a CPU torchvision beside a CUDA torch",
        (torch("2.13.0+cu130"), packages(vision("0.28.0+cpu", "2.13.0"))),
        {"torchvision-mismatch": "warning"},
    ),
    Case("both CPU", (torch("2.13.0+cpu"), packages(vision("0.28.0+cpu", "2.13.0")))),
    Case(
        "a CUDA torchvision beside a CPU torch",
        (torch("2.13.0+cpu"), packages(vision("0.28.0", "2.13.0", "0.28.0+cu130"))),
        {"torchvision-mismatch": "error"},
    ),
    Case("torchaudio stopped at 2.11", (torch("2.13.0+cpu"), packages(Distribution("torchaudio", "2.11.0", SITE)))),
    Case(
        "torchaudio of another torch",
        (torch("2.7.1+cu126"), packages(Distribution("torchaudio", "2.5.1", SITE, requires=("torch==2.5.1",)))),
        {"torchaudio-mismatch": "error"},
    ),
    Case(
        "torchaudio a patch apart",
        (torch("2.7.1+cu126"), packages(Distribution("torchaudio", "2.7.0", SITE, requires=("torch==2.7.0",)))),
        {"torchaudio-mismatch": "warning"},
    ),
    Case("torchaudio beside an unknown torch", (torch("9.9"), packages(Distribution("torchaudio", "2.7.0", SITE)))),
    Case(
        "torch 2.1 under numpy 2",
        (torch("2.1.2+cu121"), packages(Distribution("numpy", "2.0.1", SITE))),
        {"numpy-abi": "error"},
    ),
    Case("torch 2.3 under numpy 2", (torch("2.3.0+cu121"), packages(Distribution("numpy", "2.0.1", SITE)))),
    Case("torch 2.1 under numpy 1", (torch("2.1.2+cu121"), packages(Distribution("numpy", "1.26.4", SITE)))),
    Case(
        "conda built torch 2.1 again: only an import can tell",
        (torch("2.1.2", "conda"), packages(Distribution("numpy", "2.0.1", SITE))),
        {"numpy-abi": "note"},
    ),
    Case(
        "conda, imported without a complaint",
        (torch("2.1.2", "conda"), packages(Distribution("numpy", "2.0.1", SITE)), TorchImport(version="2.1.2")),
    ),
    Case(
        "conda, imported with the complaint",
        (
            torch("2.1.2", "conda"),
            packages(Distribution("numpy", "2.0.1", SITE)),
            TorchImport(warnings=("UserWarning: Failed to initialize NumPy: _ARRAY_API not found",)),
        ),
        {"numpy-abi": "error"},
    ),
    Case(
        "a package that asks for numpy 1",
        (
            torch("2.6.0+cu124"),
            packages(
                Distribution("numpy", "2.2.0", SITE),
                Distribution("fairseq", "0.12.2", SITE, requires=("numpy<2.0,>=1.21.3", "torch>=1.13")),
            ),
        ),
        {"numpy-abi": "warning"},
    ),
    Case(
        "a package that goes along with numpy 2",
        (
            torch("2.6.0+cu124"),
            packages(
                Distribution("numpy", "2.2.0", SITE),
                Distribution("accelerate", "1.2.0", SITE, requires=("numpy<3.0.0,>=1.17", "torch>=1.10.0")),
            ),
        ),
    ),
    Case(
        "numpy 1 wanted by an extra only",
        (
            Missing("torch-install", "not-here"),
            packages(
                Distribution("numpy", "2.2.0", SITE),
                Distribution("ray", "2.1.0", SITE, requires=('numpy<2; extra == "old"',)),
            ),
        ),
    ),
    Case("the NVML binding of old", (packages(Distribution("pynvml", "11.5.0", SITE)),), {"pynvml-deprecated": "note"}),
    Case("the one of today", (packages(Distribution("nvidia-ml-py", "13.580.65", SITE)),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_the_fitting_torchvision_comes_from_the_index_of_the_torch_build() -> None:
    (finding,) = case("torch upgraded alone").assert_holds(FILE)
    assert finding.command is not None and finding.command.startswith("pip install --no-deps torchvision==0.22.1")
    assert finding.evidence["wants"] == "torch 2.6.0"
    (finding,) = case("CUDA 11 torchvision beside a CUDA 12 torch").assert_holds(FILE)
    assert finding.command == (
        "pip install --no-deps torchvision==0.20.1 --index-url https://download.pytorch.org/whl/cu121"
    )


def test_what_a_companion_goes_with_is_known_from_the_table() -> None:
    (finding,) = case("known from the table alone").assert_holds(FILE)
    assert finding.evidence["wants"] == "torch 2.6.0"


def test_where_the_fitting_release_is_unknown_no_command_is_made_up() -> None:
    (finding,) = case("a release the table does not know, torchvision's own pin does").assert_holds(FILE)
    assert finding.command is None


def line_of(*facts: object) -> str:
    (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type(facts)})
    assert line.text is not None
    return line.text.say("en", line.values)


def test_the_line_names_what_must_fit_torch() -> None:
    assert line_of(packages(vision("0.22.1"), Distribution("numpy", "2.2.0", SITE))) == (
        "torchvision 0.22.1, numpy 2.2.0; 2 distributions"
    )
    assert line_of(Packages(count=7)) == "7 distributions"
