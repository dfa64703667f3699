"""envdoctor/readers/launch_lines.py with what it parses and judges by, through whole texts."""

from __future__ import annotations

import pytest

from envdoctor.readers.launch_parse import parse
from tests.readers.texts import codes, findings

TWO = "torchrun --nnodes={} --node_rank={} --nproc_per_node=8 --master_addr={} --master_port=29500 train.py\n"


@pytest.mark.parametrize(
    ("line", "severity", "said"),
    [
        ("torchrun --nproc_per_nodes=4 train.py", "error", "--nproc-per-node is near"),
        ("torchrun --nproc 4 train.py", "error", "no option --nproc;"),
        ("torchrun --nproc_per-node=4 train.py", "error", "--nproc-per-node is near"),
        ("torchrun --num_processes=4 train.py", "error", "--nproc-per-node is near"),
        ("torchrun --num_machines=2 train.py", "error", "--nnodes is near"),
        ("torchrun --something-else=4 train.py", "warning", "no option --something-else"),
        ("torchrun --use_env --nproc_per_node=2 train.py", "error", "always sets LOCAL_RANK"),
        ("torchrun \u2013nproc_per_node=2 train.py", "error", "two plain hyphens"),
        ("torchrun --nproc_per_node=8, train.py", "error", "takes no 8, for --nproc-per-node"),
        ("torchrun --master_port=99999 train.py", "error", "takes no 99999 for --master-port"),
        ("torchrun --nnodes=two train.py", "error", "takes no two for --nnodes"),
        ("torchrun train.py --nproc_per_node 4", "warning", "stands behind train.py"),
        ("torchrun --nproc_per_node=4", "warning", "names no script"),
        ("accelerate launch --num_process 4 train.py", "error", "--num_processes is near"),
        ("accelerate launch --nproc_per_node 4 train.py", "error", "--num_processes is near"),
        ("deepspeed --num-gpus 4 train.py", "error", "--num_gpus is near"),
        (
            "torchrun \\\n --nproc_per_node=4 \\ \n --nnodes=1 \\\n t.py",
            "warning",
            "a blank follows a backslash",
        ),
        (
            "torchrun \\\n --nproc_per_node=4\n --nnodes=1 \\\n t.py",
            "warning",
            "--nnodes stands on a line of its own",
        ),
    ],
)
def test_what_a_launcher_does_not_understand(line: str, severity: str, said: str) -> None:
    found = findings(line + "\n")
    assert [finding.code for finding in found] == ["launch-command-malformed"]
    assert found[0].severity.value == severity
    assert found[0].words.title is not None
    assert said in found[0].words.title.say("en", found[0].evidence)
    assert found[0].words.help is not None
    assert "{" not in found[0].words.help.say("zh", found[0].evidence)


@pytest.mark.parametrize(
    "text",
    [
        "torchrun --nnodes=$NNODES --nproc_per_node=8 --rdzv_backend=c10d --rdzv_endpoint=$H:29500 train.py\n",
        "torchrun --standalone --nproc_per_node=4 train.py --batch_size=32 --port 1\n",
        "torchrun --nproc_per_n=4 --max-res 3 -r 3 -t3 train.py\n",
        "$ accelerate launch --multi_gpu --mixed_precision=fp16 --num_processes=2 ./nlp_example.py\n",
        "accelerate launch --fsdp_some_new_option 1 --use_fsdp train.py\n",
        "deepspeed --num_gpus=8 train.py --deepspeed ds.json\ndeepspeed --hostfile=hosts --master_port 29501 run.py\n",
        "srun torchrun --nnodes 4 --rdzv_id $RANDOM --rdzv_endpoint $(scontrol show hostnames | head -n 1):1 a.py 9\n",
        "On node 0:\n" + TWO.format(2, 0, "10.0.0.1", "") + "On node 1:\n" + TWO.format(2, 1, "10.0.0.1", ""),
        "OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m my.module --x 1 > log 2>&1 &\n",
        "please start it with torchrun and see torchrun --help for the options of train.py\n",
        "torchrun [-h] [--nnodes NNODES] [--nproc-per-node N]\n",
        "torchrun --nproc_per_node=NUM_GPUS_YOU_HAVE train.py\ntorchrun $ARGS --foo\n",
        "torchrun --nproc_per_node=gpu --local-ranks-filter 0 --role r --tee 3 train.py # four GPUs\n",
        'docker run --gpus all -it img bash -c "torchrun --nproc_per_node=8 train.py"\n',
        'LAUNCHER="torchrun --nproc_per_node 8"\n$LAUNCHER train.py\n',
        'export L="accelerate launch \\\n  --num_processes $((A * B)) \\\n  --main_process_port 1 \\\n "\nsrun $L\n',
        "python -m torch.distributed.run --nproc_per_node=2 --no_python ./run.sh 'an open quote\n",
    ],
)
def test_sound_lines_are_passed_over(text: str) -> None:
    assert codes(text) == {}


def test_the_old_launcher_is_told_in_the_new_ones_words() -> None:
    found = findings("python -m torch.distributed.launch --nproc_per_node=4 --use_env train.py --lr 1\n")
    assert [(finding.code, finding.severity.value) for finding in found] == [("launch-deprecated", "note")]
    assert found[0].words.help is not None
    assert "torchrun --nproc-per-node=4 train.py --lr 1 " in found[0].words.help.say("en", found[0].evidence)


@pytest.mark.parametrize(
    ("text", "code", "severity"),
    [
        (TWO.format(2, 2, "10.0.0.1"), "world-size-mismatch", "error"),
        (TWO.format(2, 0, "10.0.0.1") + TWO.format(3, 1, "10.0.0.1"), "world-size-mismatch", "error"),
        (TWO.format(2, 0, "10.0.0.1") + TWO.format(2, 1, "10.0.0.2"), "master-unreachable", "error"),
        (TWO.format(2, 1, "127.0.0.1"), "master-unreachable", "warning"),
        (TWO.format(2, 1, "10.0.0.1") + TWO.format(2, 1, "10.0.0.1")[:-1] + " -v\n", "world-size-mismatch", "warning"),
        ("torchrun --nnodes=2 --nproc_per_node=8 train.py\n", "master-unreachable", "warning"),
        ("torchrun --standalone --nnodes=2 --nproc_per_node=8 train.py\n", "world-size-mismatch", "warning"),
        ("accelerate launch --num_machines 2 --num_processes 3 --main_process_ip a --machine_rank 0 t.py\n",
         "world-size-mismatch", "warning"),
        ("CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc_per_node=4 train.py\n", "nproc-exceeds-gpus", "error"),
        ("srun --ntasks-per-node=8 torchrun --nproc_per_node=8 train.py\n", "srun-torchrun-nested", "warning"),
        ("srun -N2 -n16 torchrun --nproc_per_node=8 train.py\n", "srun-torchrun-nested", "warning"),
    ],
)  # fmt: skip
def test_nodes_ranks_and_gpus_must_add_up(text: str, code: str, severity: str) -> None:
    assert next(iter(codes(text).items()), None) == (code, severity)


def test_different_jobs_wait_for_each_other() -> None:
    line = "torchrun --nnodes=2 --rdzv-backend=c10d --rdzv-endpoint=n0:29500 --rdzv-id={} train.py\n"
    assert codes(line.format(1) + line.format(2)) == {"rendezvous-timeout": "warning"}
    assert codes(line.format(1) + line.format(1)) == {}


def test_the_local_rank_is_passed_as_the_global_one() -> None:
    call = "dist.init_process_group(\n    'nccl',\n    world_size=args.world_size,\n    rank=args.local_rank,\n)\n"
    assert codes(call) == {"script-rank-wrong": "warning"}
    several = call + "python3 -m torch.distributed.launch --nproc_per_node=2 --nnodes=2 --node_rank=0 "
    several += "--master_addr=10.0.0.1 train.py\n"
    assert codes(several) == {"world-size-mismatch": "error", "launch-deprecated": "note"}


def test_where_the_line_stands_and_what_it_says_are_quoted() -> None:
    seen = findings("a\nb\n[rank2]: torchrun --nproc 4 train.py\n")[0].evidence["seen"]
    assert "train.log:3" in str(seen)
    assert "torchrun --nproc 4 train.py" in str(seen)


def test_parts_of_a_line() -> None:
    line = parse(
        "(env) u@host:~$ CUDA_VISIBLE_DEVICES=0 mpirun -np 2 -x A=1 torchrun --nnodes 1:3 -m a.b --c d | tee l"
    )
    assert line is not None
    assert (line.launcher, line.outer, line.script, line.after) == ("torchrun", "mpirun", "a.b", ("--c", "d"))
    assert line.options == {"nnodes": "1:3", "module": ""}
    assert line.environment == {"CUDA_VISIBLE_DEVICES": "0", "A": "1"}


def test_one_line_on_two_nodes_gives_both_one_rank() -> None:
    line = "torchrun --nnodes=2 --nproc_per_node=8 --node_rank=0 --master_addr=10.1.0.4 --master_port=29500 train.py\n"
    assert codes(f"# node 1\n{line}# node 2\n{line}") == {"world-size-mismatch": "warning"}
    assert codes(f"gpu-01$ {line}gpu-02$ {line}") == {"world-size-mismatch": "warning"}
    assert codes(f"{line}+ {line}") == {}
