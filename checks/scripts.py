"""Does a training script ask for its rank and its GPU in a way that works on several nodes?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("scripts", 238, Text("training scripts", "训练脚本"))

SCRIPT_RANK_WRONG = Problem(
    code="script-rank-wrong",
    severity=Severity.WARNING,
    title=Text("the script confuses the local with the global rank", "脚本混淆了 local rank 与全局 rank"),
    why=Text(
        "it works on one node; on two, ranks repeat or GPU numbers run out",
        "单节点可以运行；两个节点时 rank 重复或 GPU 编号越界",
    ),
    help=Text(
        "RANK is for the process group and for who writes files, LOCAL_RANK for the GPU of this node",
        "RANK 用于进程组以及决定由谁写文件，LOCAL_RANK 用于选择本节点的 GPU",
    ),
    confirm="torchrun --nproc-per-node=2 --nnodes=2 ... train.py",
    refs=("https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables",),
)

SCRIPT_DEVICE_UNSET = Problem(
    code="script-device-unset",
    severity=Severity.WARNING,
    title=Text("the ranks of a node are left on one GPU", "同一节点的各 rank 都停留在同一块 GPU 上"),
    why=Text(
        "all ranks of a node use cuda:0: out of memory, `Duplicate GPU detected`, or a hang",
        "同一节点的所有 rank 都使用 cuda:0：显存不足、`Duplicate GPU detected` 或挂起",
    ),
    help=Text(
        "torch.cuda.set_device(int(os.environ['LOCAL_RANK'])) before init_process_group",
        "在 init_process_group 之前调用 torch.cuda.set_device(int(os.environ['LOCAL_RANK']))",
    ),
    confirm="nvidia-smi",
    refs=("https://docs.pytorch.org/docs/stable/distributed.html",),
)

SCRIPT_VISIBLE_DEVICES_LATE = Problem(
    code="script-visible-devices-late",
    severity=Severity.WARNING,
    title=Text("CUDA_VISIBLE_DEVICES is set after CUDA was touched", "CUDA_VISIBLE_DEVICES 在使用 CUDA 之后才设置"),
    why=Text(
        "CUDA reads it once, at its first use: the setting has no effect",
        "CUDA 只在首次使用时读取它：此设置不起作用",
    ),
    help=Text(
        "set it in the shell, or in front of the first import of torch",
        "请在 shell 中设置，或放在第一次 import torch 之前",
    ),
    confirm="python -c 'import torch; print(torch.cuda.device_count())'",
    refs=("https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables",),
)

DETERMINISM_SLOW = Problem(
    code="determinism-slow",
    severity=Severity.NOTE,
    title=Text(
        "settings for reproducible results cost speed, or do not do what they are for",
        "为可复现而做的设置牺牲了速度，或没有达到目的",
    ),
    why=Text(
        "deterministic algorithms are slower, and some operations have none",
        "确定性算法较慢，且部分运算没有确定性实现",
    ),
    help=Text(
        "torch.backends.cudnn.benchmark = True and deterministic = False for speed; the reverse, with "
        "torch.use_deterministic_algorithms(True), for results that repeat",
        "追求速度时设 torch.backends.cudnn.benchmark = True、deterministic = False；需要可复现时相反，并调用 "
        "torch.use_deterministic_algorithms(True)",
    ),
    confirm="python -c 'import torch; print(torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)'",
    refs=("https://docs.pytorch.org/docs/stable/notes/randomness.html",),
)
