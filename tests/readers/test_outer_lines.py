"""envdoctor/readers/outer_lines.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes, findings

MISSPELT = [
    ("srun --ntask-per-node=4 python train.py", "--ntasks-per-node"),
    ("srun -N 2 -n 8 --cpus-per-tasks 4 python train.py", "--cpus-per-task"),
    ("$ mpirun -np 4 --mca btl tcp,self --map_by slot python train.py", "--map-by"),
    ("docker run --rm -it --gpu all nvidia/cuda nvidia-smi", "--gpus"),
    ("docker run --rm \\\n  --shm_size=8g image", "--shm-size"),
    ("#SBATCH --gpus-per-nodes=4", "--gpus-per-node"),
]
RIGHT = [
    "srun --ntasks-per-node 4 --gpus-per-node=4 -l python train.py --ntask 3",
    "srun --container-image=x --my-plugin=3 --cpu-bind=none bash -c 'python train.py --gpu all'",
    "srun --ntasks=2 --kill-on-bad-exit=1 --label python train.py",
    "mpirun --allow-run-as-root -np 16 -H a:8,b:8 -bind-to none -map-by slot -x NCCL_DEBUG -mca pml ob1 python t.py",
    "mpirun -n 2 -ppn 1 -genv I_MPI_DEBUG 5 python train.py",
    "docker run --gpus all --ipc=host --ulimit memlock=-1 -v /data:/data -it image python train.py --gpu 0",
    "run `docker run --gpu all` and see",
    "#SBATCH --ntasks-per-node=4",
    "#SBATCH --mem=60G",
]


@pytest.mark.parametrize(("line", "meant"), MISSPELT)
def test_a_misspelt_option_is_named_with_the_right_one(line: str, meant: str) -> None:
    found = next(one for one in findings(line + "\n") if one.code == "launch-command-malformed")
    assert found.evidence["meant"] == meant


@pytest.mark.parametrize("line", RIGHT)
def test_what_is_right_or_not_the_launchers_is_left_alone(line: str) -> None:
    assert "launch-command-malformed" not in codes(line + "\n")
