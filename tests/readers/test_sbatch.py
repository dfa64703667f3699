"""envdoctor/readers/sbatch.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes, findings

HEAD = "#!/bin/bash\n#SBATCH --nodes={}\n#SBATCH --gpus-per-node={}\n#SBATCH --ntasks-per-node={}\nmodule load cuda\n"
RUN = "srun torchrun --nnodes={} --nproc_per_node={} --rdzv_backend=c10d --rdzv_endpoint=$H:29500 train.py\n"
ALONE = "#!/bin/bash\n#SBATCH {}\nsource env/bin/activate\ntorchrun --nproc_per_node=4 train.py\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD.format(4, 8, 1) + RUN.format(2, 8), {"batch-resources-mismatch": "warning"}),
        (HEAD.format(2, 4, 1) + RUN.format(2, 8), {"batch-resources-mismatch": "warning"}),
        (HEAD.format(2, 8, 1) + RUN.format(2, 8).removeprefix("srun "), {"batch-resources-mismatch": "warning"}),
        (HEAD.format(2, 8, 8) + RUN.format(2, 8), {"srun-torchrun-nested": "warning"}),
        (HEAD.format(2, 8, 1) + RUN.format(2, 8) + "#SBATCH --time=1:00\n", {"batch-resources-mismatch": "warning"}),
        (ALONE.format("--gres=gpu:a100:2"), {"batch-resources-mismatch": "warning"}),
        (ALONE.format("-G 8"), {"batch-resources-mismatch": "warning"}),
        (ALONE.format("--time=1:00"), {"batch-resources-mismatch": "note"}),
        (ALONE.format("--gres=gpu:4").replace("source env/bin/activate\n", ""), {"module-not-loaded": "note"}),
    ],
)
def test_what_does_not_fit(text: str, told: dict[str, str]) -> None:
    assert codes(text, "job.sbatch") == told


@pytest.mark.parametrize(
    "text",
    [
        HEAD.format(2, 8, 1) + RUN.format("$SLURM_NNODES", "$SLURM_GPUS_ON_NODE"),
        HEAD.format(2, 8, 1) + RUN.format(2, 8).replace(" --", " \\\n  --"),
        HEAD.format(2, 8, 8) + RUN.format(2, 8).replace("srun", "srun --ntasks-per-node=1"),
        HEAD.format(2, 8, 8) + "srun python train.py\n",
        HEAD.format(2, 8, 1) + "for h in $HOSTS; do ssh $h '" + RUN.format(2, 8).strip()[5:] + "' & done\n",
        ALONE.format("--gres=gpu:a100:4(S:0-1)"),
        ALONE.format("--gpus=a100:4"),
        ALONE.format("--exclusive"),
        ALONE.format("--gpus=8\n#SBATCH -N 2-4").replace("torchrun", "srun torchrun"),
        "#!/bin/bash\n#SBATCH --gres=gpu:1\n/opt/env/bin/python train.py\n",
    ],
)  # fmt: skip
def test_what_fits(text: str) -> None:
    assert codes(text) == {}


def test_the_line_at_fault_is_quoted() -> None:
    found = findings("some words\n" + HEAD.format(4, 8, 1) + RUN.format(2, 8))[0]
    assert "train.log:7" in str(found.evidence["seen"])
    assert (found.evidence["asked"], found.evidence["told"]) == ("4", "2")
