"""checks/node_versions.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.libraries import Libraries, LoadedLibrary, MappedLibraries, MappedLibrary
from envdoctor.facts.torch import Pin, TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, FIRST, SECOND

FILE = CHECKS / "node_versions.py"
THIRD = replace(SECOND, index=2, node="gpu03", host="gpu03|c|3", torch="2.12.1+cu126", nccl="2.27.5")
THIRD_TOO = replace(THIRD, index=3)  # another rank of that machine
TORCH = TorchInstall(version="2.9.1+cu128", pins=(Pin("nvidia-nccl-cu12", "2.27.5"),))
BEHIND = TorchInstall(version="2.8.0+cu128", pins=(Pin("nvidia-nccl-cu12", "2.27.3"),))
UNKNOWN = Missing("torch-install", "hung")

CASES = [
    Case("the same on all", (FINE,)),
    Case("nobody came far enough to tell", (replace(FINE, members=(replace(FIRST, torch="", nccl=""), SECOND)),)),
    Case(
        "one node is behind",
        (replace(FINE, per="process", members=(FIRST, SECOND, THIRD, THIRD_TOO)),),
        {"torch-version-mismatch": "error", "nccl-version-mismatch": "error"},
    ),
    Case(
        "the same torch finds another NCCL",
        (replace(FINE, members=(FIRST, replace(SECOND, nccl="2.18.3"))),),
        {"nccl-version-mismatch": "error"},
    ),
    Case("examined nodes with the same", nodes={"a": (TORCH,), "b": (TORCH,), "c": (UNKNOWN,)}),
    Case(
        "one of three examined nodes is behind",
        nodes={"gpu1": (TORCH,), "gpu2": (BEHIND,), "gpu3": (TORCH,)},
        expect={"torch-version-mismatch": "error", "nccl-version-mismatch": "error"},
    ),
    Case(
        "another libnccl is found on one of two",
        nodes={
            "gpu1": (TORCH, Libraries(loads=(LoadedLibrary("libnccl.so.2", version="2.26.2"),))),
            "gpu2": (TORCH, MappedLibraries((MappedLibrary("libnccl", version="2.27.5"),))),
        },
        expect={"nccl-version-mismatch": "error"},
    ),
    Case("a file name that tells less", nodes={
        "gpu1": (TORCH, Libraries(loads=(LoadedLibrary("libnccl.so.2", version="2"),))), "gpu2": (TORCH,)}),
    Case("a login node with a build of its own", nodes={
        "gpu1": (TORCH, Gpus(count=8)), "login": (replace(TORCH, version="2.9.1+cpu"), Missing("gpu", "not-here"))}),
    Case("ranks count more than disks", nodes={"gpu01": (FINE, TORCH), "gpu02": (BEHIND,)}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_odd_one_out_is_named_once_and_among_equals_the_later_one() -> None:
    first, second = CASES[2].assert_holds(FILE)
    assert first.nodes == second.nodes == ("gpu03",)
    (of_two,) = CASES[3].assert_holds(FILE)
    assert of_two.nodes == ("gpu02",)
    assert of_two.evidence["usual"] == "2.29.2"


def test_of_examined_nodes_the_odd_one_is_named() -> None:
    torch, nccl = next(case for case in CASES if case.about.startswith("one of three exam")).assert_holds(FILE)
    assert torch.nodes == nccl.nodes == ("gpu2",)
    assert (torch.evidence["odd"], torch.evidence["usual"]) == ("2.8.0+cu128", "2.9.1+cu128")
    assert nccl.because_of == "torch-version-mismatch"
    (split,) = next(case for case in CASES if case.about.startswith("another libnccl")).assert_holds(FILE)
    assert split.nodes == ("gpu1", "gpu2")
