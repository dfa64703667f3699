"""checks/extensions.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.libraries import Binary, Libraries
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.torch import TorchInstall
from envdoctor.testing import Case
from tests import CHECKS

FILE = CHECKS / "extensions.py"
SITE = "/env/lib/python3.11/site-packages"


def torch(version: str) -> TorchInstall:
    tag = version.partition("+")[2]
    return TorchInstall(
        folder=SITE + "/torch",
        version=version,
        cuda=f"{tag[2:-1]}.{tag[-1]}" if tag.startswith("cu") else "",
        installer="pip",
    )


def flash(local: str) -> Packages:
    wheel = f"flash_attn-2.7.4.post1+{local}-cp311-cp311-linux_x86_64.whl"
    return Packages(1, (Distribution("flash-attn", "2.7.4.post1", SITE, wheel=wheel),))


def one(name: str, version: str, **more: str) -> Packages:
    return Packages(1, (Distribution(name, version, SITE, **more),))  # type: ignore[arg-type]


def lacking(*symbols: str) -> Libraries:
    return Libraries(binaries=(Binary(SITE + "/flash_attn_2_cuda.so", "flash_attn", lacks=symbols),))


CASES = [
    Case("made for this torch", (torch("2.6.0+cu124"), flash("cu12torch2.6cxx11abiFALSE"))),
    Case(
        "made for another torch",
        (torch("2.7.1+cu126"), flash("cu12torch2.6cxx11abiTRUE")),
        {"extension-abi-mismatch": "error"},
    ),
    Case(
        "made for another CUDA",
        (torch("2.6.0+cu118"), flash("cu12torch2.6cxx11abiFALSE")),
        {"extension-abi-mismatch": "error"},
    ),
    Case(
        "the old C++ ABI under torch 2.7",
        (torch("2.7.1+cu126"), flash("cu12torch2.7cxx11abiFALSE")),
        {"extension-abi-mismatch": "error"},
    ),
    Case(
        "the new C++ ABI under torch 2.5",
        (torch("2.5.1+cu124"), flash("cu12torch2.5cxx11abiTRUE")),
        {"extension-abi-mismatch": "error"},
    ),
    Case("of torch 2.6 both ABIs were published", (torch("2.6.0+cu126"), flash("cu12torch2.6cxx11abiTRUE"))),
    Case("PyG's tag fits", (torch("2.5.1+cu124"), one("torch-scatter", "2.1.2+pt25cu124"))),
    Case(
        "PyG's tag does not",
        (torch("2.6.0+cu124"), one("torch-scatter", "2.1.2+pt25cu124")),
        {"extension-abi-mismatch": "error"},
    ),
    Case("NATTEN's tag fits", (torch("2.5.0+cu124"), one("natten", "0.17.4+torch250cu124"))),
    Case("a CPU extension says nothing about CUDA", (torch("2.5.1+cu124"), one("torch-scatter", "2.1.2+pt25cpu"))),
    Case(
        "xformers' own file names another torch",
        (torch("2.6.0+cu124"), one("xformers", "0.0.28.post3", built_torch="2.5.1+cu124", built_cuda="12.4")),
        {"extension-abi-mismatch": "error"},
    ),
    Case(
        "a pin in the metadata may be met by a build of one's own",
        (
            torch("2.6.0+cu124"),
            Packages(1, (Distribution("vllm", "0.6.6", SITE, requires=("torch==2.5.1", "torchvision==0.20.1")),)),
        ),
        {"extension-abi-mismatch": "warning"},
    ),
    Case("a floor is no pin", (torch("2.6.0"), Packages(1, (Distribution("mmcv", "2.2.0", requires=("torch>=2",)),)))),
    Case("a package of pure Python", (torch("2.6.0+cu124"), one("accelerate", "1.2.0+torch1.9"))),
    Case("a torch of unknown version", (TorchInstall(leftover="/x/torch"), flash("cu12torch2.6cxx11abiTRUE"))),
    Case(
        "a function that torch no longer has",
        (torch("2.7.1+cu126"), flash("cu12torch2.6cxx11abiTRUE"), lacking("_ZN3c105ErrorC2ENS_14SourceLocationE")),
        {"extension-abi-mismatch": "error"},
    ),
    Case("all functions are there", (torch("2.6.0+cu124"), flash("cu12torch2.6cxx11abiFALSE"), lacking())),
    Case(
        "an extension without a distribution",
        (torch("2.7.1+cu126"), lacking("_ZN2at6Tensor3oldEv")),
        {"extension-abi-mismatch": "error"},
    ),
    Case(
        "FlashAttention on a T4",
        (one("flash-attn", "2.7.4"), Gpus(count=1, gpus=(Gpu(name="Tesla T4", compute_capability="7.5"),))),
        {"extension-arch-mismatch": "warning"},
    ),
    Case(
        "FlashAttention on an A100",
        (one("flash-attn", "2.7.4"), Gpus(count=1, gpus=(Gpu(name="NVIDIA A100", compute_capability="8.0"),))),
    ),
    Case("a GPU that does not tell", (one("flash-attn", "2.7.4"), Gpus(count=1, gpus=(Gpu(error="GPU is lost"),)))),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("version", "wheel", "torch_version", "cuda"),
    [
        ("2.1.2+pt25cu124", "", "2.5", "12.4"),
        ("2.1.2+pt210cu128", "", "2.10", "12.8"),
        ("2.1.2+pt113cu117", "", "1.13", "11.7"),
        ("0.17.4+torch250cu124", "", "2.5.0", "12.4"),
        ("0.21.0+torch2100cu128", "", "2.10.0", "12.8"),
        ("1.0", "flash_attn-1.0+cu12torch2.6cxx11abiTRUE-cp311-cp311-linux_x86_64.whl", "2.6", "12"),
        ("0.3.0+cu92", "", "", "9.2"),
        ("2.13.0+cpu", "", "", "cpu"),
        ("1.2.3", "", "", ""),
    ],
)
def test_what_local_versions_tell(version: str, wheel: str, torch_version: str, cuda: str) -> None:
    found = Distribution("x", version, wheel=wheel)
    assert (found.torch, found.cuda) == (torch_version, cuda)


def test_a_proof_stands_for_what_the_version_says() -> None:
    (finding,) = next(case for case in CASES if case.about == "a function that torch no longer has").assert_holds(FILE)
    assert finding.situation == "symbol" and finding.evidence["version"] == "2.7.4.post1"
