"""checks/node_likeness.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from tests import CHECKS
from tests.checks.lines import line_of

FILE = CHECKS / "node_likeness.py"
HOST = Host(kernel="6.1.0-18-amd64")
OLDER = replace(HOST, kernel="5.15.0-91-generic")
PYTHON, TORCH = Python(version="3.11.7"), TorchInstall(version="2.13.0+cu126")
DRIVER, H100 = Driver(release="580.65.06"), Gpus(count=1, gpus=(Gpu(name="NVIDIA H100 80GB HBM3"),))
NO_GPU, DEAD = Missing("gpu", "not-here"), Missing("host", "not-asked")
ALIKE = (HOST, DRIVER, H100, PYTHON, TORCH)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([ALIKE, ALIKE], "2 nodes: the same driver, GPUs, kernel, Python and torch"),
        ([(HOST, NO_GPU, PYTHON), (HOST, NO_GPU, PYTHON)], "2 nodes: the same kernel and Python"),
        ([ALIKE, (OLDER, *ALIKE[1:])], "2 nodes: the same driver, GPUs, Python and torch, different kernel"),
        ([(HOST, NO_GPU), (OLDER, NO_GPU)], "2 nodes: different kernel"),
        ([ALIKE, ALIKE, (DEAD,)], "2 nodes: the same driver, GPUs, kernel, Python and torch"),
        ([ALIKE, ALIKE, (HOST, NO_GPU)], "2 nodes: the same driver, GPUs, kernel, Python and torch"),
        ([ALIKE, (*ALIKE[:4], Missing("torch-install", "hung"))], "2 nodes: the same driver, GPUs, kernel and Python"),
        ([ALIKE, (DEAD,)], ""),
    ],
)  # fmt: skip
def test_what_is_alike_of_all_that_are_compared(nodes: list[tuple[object, ...]], said: str) -> None:
    assert line_of(FILE, {f"gpu{number}": facts for number, facts in enumerate(nodes)}) == said


def test_in_chinese() -> None:
    nodes = {"a": ALIKE, "b": (OLDER, *ALIKE[1:])}
    assert line_of(FILE, nodes, "zh") == "2 个节点：驱动、GPU、Python、torch 一致，内核不同"
