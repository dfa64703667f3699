"""Do the ranks of a job run the same NCCL?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("nccl", 214, Text("the same NCCL on all ranks", "各 rank 的 NCCL 是否一致"))

NCCL_VERSION_MISMATCH = Problem(
    code="nccl-version-mismatch",
    severity=Severity.ERROR,
    title=Text("ranks run different versions of NCCL", "各 rank 的 NCCL 版本不同"),
    why=Text(
        "their messages differ in length and meaning: the job stops at its first communicator, or hangs there",
        "不同版本的消息长度与含义不同：作业在建立第一个通信组时报错或卡住",
    ),
    help=Text(
        "install the same torch in all images and environments; a LD_LIBRARY_PATH or LD_PRELOAD that only some nodes "
        "have brings another libnccl as well",
        "请在所有镜像和环境中安装相同的 torch；仅部分节点设置的 LD_LIBRARY_PATH 或 LD_PRELOAD 也会引入另一个 libnccl",
    ),
    look="python -c 'import torch; print(torch.cuda.nccl.version())'",
    confirm="NCCL_DEBUG=VERSION torchrun ...",
    caused_by=("nccl-library-conflict", "nvidia-wheel-pin"),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html",),
)
