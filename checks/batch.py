"""Does a batch file ask the scheduler for what its launch line starts?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("batch", 239, Text("batch files", "批处理文件"))

BATCH_RESOURCES_MISMATCH = Problem(
    code="batch-resources-mismatch",
    severity=Severity.WARNING,
    title=Text(
        "nodes, tasks and GPUs of the job do not fit its launch line", "作业的节点、任务和 GPU 数与启动命令不一致"
    ),
    why=Text(
        "ranks are missing or share GPUs, or the scheduler refuses the step",
        "rank 数不足、多个 rank 共用 GPU，或调度器拒绝该作业步",
    ),
    help=Text(
        "one task per node and as many processes as GPUs: --nodes, --ntasks-per-node=1, --gpus-per-node=8 and "
        "srun torchrun --nnodes=$SLURM_NNODES --nproc-per-node=8",
        "每节点一个任务，进程数等于 GPU 数：--nodes、--ntasks-per-node=1、--gpus-per-node=8，并用 "
        "srun torchrun --nnodes=$SLURM_NNODES --nproc-per-node=8",
    ),
    look="scontrol show job $SLURM_JOB_ID",
    confirm="scontrol show job JOB",
    refs=("https://slurm.schedmd.com/sbatch.html",),
)
