"""checks/nvidia_wheels.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.packages import DamagedFile, Distribution, Packages
from envdoctor.facts.torch import Pin, TorchInstall
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS

FILE = CHECKS / "nvidia_wheels.py"
SITE = "/env/lib/python3.11/site-packages"
NCCL = SITE + "/nvidia/nccl/lib/libnccl.so.2"
CUDNN = SITE + "/nvidia/cudnn/lib/libcudnn.so.9"
TORCH = TorchInstall(
    folder=SITE + "/torch",
    version="2.8.0+cu128",
    cuda="12.8",
    pins=(Pin("nvidia-nccl-cu12", "2.27.3"), Pin("nvidia-cudnn-cu12", "9.10.2.21"), Pin("triton", "3.4.0")),
)
CPU = TorchInstall(folder=SITE + "/torch", version="2.8.0+cpu")


def packages(*named: str, damaged: tuple[DamagedFile, ...] = (), more: tuple[Distribution, ...] = ()) -> Packages:
    found = tuple(Distribution(name, version, SITE) for name, _, version in (n.partition(" ") for n in named))
    return Packages(count=len(found), distributions=found + more, damaged=damaged)


PINNED = ("nvidia-nccl-cu12 2.27.3", "nvidia-cudnn-cu12 9.10.2.21", "triton 3.4.0")
BOTH_NCCL = ("nvidia-nccl-cu12", "nvidia-nccl-cu11")
BOTH_CUDNN = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu11")

CASES = [
    Case("all as pinned", (TORCH, packages(*PINNED))),
    Case(
        "a local version does not count",
        (TORCH, packages(*PINNED[:2], "triton 3.4.0+git1")),
    ),
    Case(
        "two NCCL wheels, the older one on disk",
        (
            TORCH,
            packages(
                *PINNED, "nvidia-nccl-cu11 2.14.3", damaged=(DamagedFile(NCCL, BOTH_NCCL, True, "nvidia-nccl-cu11"),)
            ),
        ),
        {"nvidia-wheel-conflict": "error"},
    ),
    Case(
        "two NCCL wheels, a newer one on disk",
        (
            TORCH,
            packages(
                *PINNED,
                "nvidia-nccl-cu13 2.28.9",
                damaged=(DamagedFile(NCCL, ("nvidia-nccl-cu12", "nvidia-nccl-cu13"), True, "nvidia-nccl-cu13"),),
            ),
        ),
        {"nvidia-wheel-conflict": "warning"},
    ),
    Case(
        "two NCCL wheels, the right one on disk",
        (
            TORCH,
            packages(
                *PINNED, "nvidia-nccl-cu11 2.14.3", damaged=(DamagedFile(NCCL, BOTH_NCCL, True, "nvidia-nccl-cu12"),)
            ),
        ),
        {"nvidia-wheel-conflict": "warning"},
    ),
    Case(
        "two cuDNN wheels of one version for two CUDAs",
        (
            TORCH,
            packages(
                *PINNED,
                "nvidia-cudnn-cu11 9.10.2.21",
                damaged=(
                    DamagedFile(CUDNN, BOTH_CUDNN, True, "nvidia-cudnn-cu12"),
                    DamagedFile(CUDNN.replace("cudnn.so", "cudnn_ops.so"), BOTH_CUDNN, True, "nvidia-cudnn-cu11"),
                ),
            ),
        ),
        {"nvidia-wheel-conflict": "error"},
    ),
    Case(
        "not settled whose it is",
        (TORCH, packages(*PINNED, "nvidia-nccl-cu11 2.14.3", damaged=(DamagedFile(NCCL, BOTH_NCCL, True),))),
        {"nvidia-wheel-conflict": "warning"},
    ),
    Case(
        "a CPU torch needs neither",
        (
            CPU,
            packages(
                "nvidia-nccl-cu12 2.27.3",
                "nvidia-nccl-cu11 2.14.3",
                damaged=(DamagedFile(NCCL, BOTH_NCCL, True, "nvidia-nccl-cu11"),),
            ),
        ),
        {"nvidia-wheel-conflict": "note"},
    ),
    Case(
        "an absent file is another topic's",
        (TORCH, packages(*PINNED, damaged=(DamagedFile(NCCL, ("nvidia-nccl-cu12",), False),))),
    ),
    Case(
        "cuDNN upgraded past the pin",
        (TORCH, packages(PINNED[0], "nvidia-cudnn-cu12 9.14.0.64", PINNED[2])),
        {"nvidia-wheel-pin": "warning"},
    ),
    Case(
        "NCCL upgraded on purpose",
        (TORCH, packages("nvidia-nccl-cu12 2.28.9", *PINNED[1:])),
        {"nvidia-wheel-pin": "note"},
    ),
    Case(
        "NCCL older than the pin, wanted by another package",
        (
            TORCH,
            packages(
                "nvidia-nccl-cu12 2.20.5",
                *PINNED[1:],
                more=(Distribution("vllm", "0.5.0", SITE, requires=("nvidia-nccl-cu12==2.20.5",)),),
            ),
        ),
        {"nvidia-wheel-pin": "warning"},
    ),
    Case("an absent package is another topic's", (TORCH, packages(*PINNED[:1]))),
    Case("a CPU torch pins none", (CPU, packages())),
    Case(
        "torch 2.11 pins through cuda-toolkit",
        (
            TorchInstall(folder=SITE + "/torch", version="2.13.0+cu130", pins=(Pin("cuda-toolkit", "13.0.3"),)),
            packages(
                "nvidia-cublas 13.1.0.3",
                "nvidia-cufft 12.0.0.61",
                more=(
                    Distribution("torch", "2.13.0", SITE, requires=("cuda-toolkit[cublas]==13.0.3",)),
                    Distribution(
                        "cuda-toolkit",
                        "13.0.3",
                        SITE,
                        requires=(
                            'nvidia-cublas==13.2.0.*; extra == "cublas"',
                            'nvidia-cufft==12.1.*; extra == "cufft"',
                        ),
                    ),
                ),
            ),
        ),
        {"nvidia-wheel-pin": "warning"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_the_loser_is_removed_and_the_pinned_one_put_back() -> None:
    (finding,) = case("two NCCL wheels, the older one on disk").assert_holds(FILE)
    assert finding.command == (
        "pip uninstall -y nvidia-nccl-cu11 && pip install --force-reinstall --no-deps nvidia-nccl-cu12==2.27.3"
    )


def test_a_file_of_the_loser_speaks_for_the_group() -> None:
    (finding,) = case("two cuDNN wheels of one version for two CUDAs").assert_holds(FILE)
    assert finding.evidence["files"] == 2 and finding.evidence["belongs_to"] == "nvidia-cudnn-cu11"


def test_who_asks_for_the_other_version_is_named() -> None:
    (finding,) = case("NCCL older than the pin, wanted by another package").assert_holds(FILE)
    assert "vllm 0.5.0 -> nvidia-nccl-cu12==2.20.5" in str(finding.evidence["asked"])
    assert finding.command == "pip install --no-deps nvidia-nccl-cu12==2.27.3"


def test_a_wildcard_pin_is_quoted_for_the_shell() -> None:
    (finding,) = case("torch 2.11 pins through cuda-toolkit").assert_holds(FILE)
    assert finding.command == "pip install --no-deps 'nvidia-cublas==13.2.0.*'"


def test_the_line_counts_pins() -> None:
    def line_of(torch: TorchInstall) -> str:
        (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type((torch, packages(*PINNED[:1])))})
        assert line.text is not None
        return line.text.say("en", line.values)

    assert line_of(TORCH) == "1 of 3 as torch pins them"
    assert line_of(CPU) == "torch pins none"
