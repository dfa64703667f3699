"""envdoctor/facts/training_gpus.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.training_gpus import training_gpus

V100, H100 = Gpu(0, "GPU-aa", "Tesla V100"), Gpu(1, "GPU-bb", "NVIDIA H100")
MIXED, ALIKE = Gpus(count=2, gpus=(V100, H100)), Gpus(count=2, gpus=(H100, replace(H100, index=2, uuid="GPU-cc")))


def environment(value: str | None, order: str = "") -> Environment:
    variables = {"CUDA_DEVICE_ORDER": order} if order else {}
    return Environment(variables if value is None else {**variables, "CUDA_VISIBLE_DEVICES": value})


@pytest.mark.parametrize(
    ("about", "gpus", "value", "order", "indices", "certain"),
    [
        ("not set", MIXED, None, "", [0, 1], True),
        ("hidden", MIXED, "", "", [], True),
        ("hidden by -1", MIXED, "-1", "", [], True),
        ("in the order of the bus", MIXED, "1", "PCI_BUS_ID", [1], True),
        ("fastest first: which one 0 means is not known", MIXED, "0", "", [0, 1], False),
        ("all of them in another order", MIXED, "1,0", "", [0, 1], True),
        ("of one model", ALIKE, "1", "", [2], True),
        ("by UUID", MIXED, "GPU-bb", "", [1], True),
        ("a UUID that is not there", MIXED, "GPU-zz", "", [], True),
        ("a MIG device of an unknown GPU", MIXED, "MIG-GPU-aa/1/0", "", [0, 1], False),
    ],
)
def test_what_training_sees(
    about: str, gpus: Gpus, value: str | None, order: str, indices: list[int], certain: bool
) -> None:
    seen = training_gpus(gpus, environment(value, order))
    assert ([gpu.index for gpu in seen.gpus], seen.certain) == (indices, certain), about


def test_gpus_that_do_not_answer_are_left_out() -> None:
    lost = replace(V100, error="GPU is lost")
    assert training_gpus(Gpus(count=2, gpus=(lost, H100)), None).gpus == (H100,)
