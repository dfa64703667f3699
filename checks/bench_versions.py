"""Do all ranks run the same torch and the same NCCL?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts.allreduce import AllreduceResult

TOPIC = Topic("allreduce", 904, Text("the same versions on all nodes", "各节点的版本是否一致"), bench=True)

TORCH_VERSION_MISMATCH = Problem(
    code="torch-version-mismatch",
    severity=Severity.ERROR,
    title=Text("{node} runs torch {version}, the others {usual}", "{node} 使用 torch {version}，其他节点使用 {usual}"),
    why=Text(
        "torch promises nothing between versions: ranks may hang, or sum something else",
        "torch 不保证不同版本之间的兼容：各 rank 可能挂起，或得到不同的结果",
    ),
    seen=Text(
        "{node}: {python}: torch {version}\n{other}: torch {usual}",
        "{node}：{python}：torch 版本 {version}\n{other}：torch 版本 {usual}",
    ),
    help=Text("install the same torch on all nodes", "请在所有节点上安装相同的 torch"),
    confirm="python -c 'import torch; print(torch.__version__)'",
)


NCCL_VERSION_MISMATCH = Problem(
    code="nccl-version-mismatch",
    severity=Severity.ERROR,
    title=Text("{node} runs NCCL {version}, the others {usual}", "{node} 使用 NCCL {version}，其他节点使用 {usual}"),
    why=Text(
        "their messages differ in length and meaning: the job stops at its first communicator, or hangs there",
        "不同版本的消息长度与含义不同：作业在建立第一个通信组时报错或卡住",
    ),
    seen=Text(
        "{node}: NCCL {version}\n{other}: NCCL {usual}", "{node}：NCCL 版本 {version}\n{other}：NCCL 版本 {usual}"
    ),
    help=Text(
        "install the same torch in all images and environments; a LD_LIBRARY_PATH or LD_PRELOAD that only some nodes "
        "have brings another libnccl as well",
        "请在所有镜像和环境中安装相同的 torch；仅部分节点设置的 LD_LIBRARY_PATH 或 LD_PRELOAD 也会引入另一个 libnccl",
    ),
    look="python -c 'import torch; print(torch.cuda.nccl.version())'",
    confirm="NCCL_DEBUG=VERSION torchrun ...",
    caused_by=("torch-version-mismatch", "nccl-library-conflict", "nvidia-wheel-pin"),
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html",),
)


@check(TORCH_VERSION_MISMATCH)
def torch_version_mismatch(result: AllreduceResult) -> Iterable[Finding]:
    """Builds of one version for other hardware ("2.7.1+cu126", "2.7.1+cpu") differ as well."""
    for member, first in result.outliers("torch"):
        node = result.named(member.index)
        found = TORCH_VERSION_MISMATCH.found(
            node=node,
            other=result.named(first.index),
            python=member.python,
            version=member.torch,
            usual=first.torch,
        )
        yield replace(found, nodes=(node,))


@check(NCCL_VERSION_MISMATCH)
def nccl_version_mismatch(result: AllreduceResult) -> Iterable[Finding]:
    """Of the ranks that have one at all."""
    for member, first in result.outliers("nccl"):
        node = result.named(member.index)
        found = NCCL_VERSION_MISMATCH.found(
            node=node, other=result.named(first.index), version=member.nccl, usual=first.nccl
        )
        yield replace(found, nodes=(node,))
