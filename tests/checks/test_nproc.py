"""checks/nproc.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.test_launch import MASTER, env, srun, torchrun

FILE = CHECKS / "nproc.py"

CASES = [
    Case("a plain shell", (env(PATH="/bin"), Gpus(count=8))),
    Case("one worker of torchrun on a node of 8", (env(**torchrun(3, 8, 3, 8)), Gpus(count=8))),
    Case(
        "srun --gpus-per-task=1 shows each task one GPU",
        (env(**MASTER, **srun(1, 8, "8", 1), CUDA_VISIBLE_DEVICES="0"), Driver(cuda_devices=1)),
    ),
    Case(
        "an actor of Ray's with a GPU of its own",
        (
            env(**MASTER, RANK=3, WORLD_SIZE=8, LOCAL_RANK=0, LOCAL_WORLD_SIZE=8, CUDA_VISIBLE_DEVICES="3"),
            Driver(cuda_devices=1),
        ),
    ),
    Case(
        "eight processes by hand on a machine with one GPU",
        (env(**MASTER, RANK=0, WORLD_SIZE=8, LOCAL_RANK=0, LOCAL_WORLD_SIZE=8), Driver(cuda_devices=1)),
        {"nproc-exceeds-gpus": "error"},
    ),
    Case("torchrun --virtual-local-rank", (env(**torchrun(3, 8, 0, 8)), Driver(cuda_devices=1))),
    Case("ranks on the CPU", (env(**torchrun(1, 4, 1, 4)), Driver(cuda_devices=0))),
    Case("a mask that nobody could count", (env(**torchrun(1, 4, 1, 4), CUDA_VISIBLE_DEVICES="0,1"), Gpus(count=2))),
    Case("8 workers for 1 GPU", (env(**torchrun(1, 8, 1, 8)), Gpus(count=1)), {"nproc-exceeds-gpus": "error"}),
    Case(
        "8 workers behind a mask of 4",
        (env(**torchrun(5, 8, 5, 8), CUDA_VISIBLE_DEVICES="0,1,2,3"), Gpus(count=8), Driver(cuda_devices=4)),
        {"nproc-exceeds-gpus": "error"},
    ),
    Case(
        "the platform promises 8 GPUs, 7 are there",
        (env(ARNOLD_WORKER_NUM=2, ARNOLD_WORKER_GPU=8, ARNOLD_ID=0), Gpus(count=7)),
        {"nproc-exceeds-gpus": "warning"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_too_many_processes_are_mended_by_as_many_as_gpus() -> None:
    (finding,) = next(case for case in CASES if case.about.startswith("8 workers for 1")).assert_holds(FILE)
    assert finding.command == "torchrun --nproc-per-node=1 train.py"
