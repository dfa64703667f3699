"""Do all nodes run the same torch and the same NCCL?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Text, Topic, check, each
from envdoctor.facts.agreement import agreement
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.libraries import Libraries, MappedLibraries
from envdoctor.facts.nccl import nccl_version
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import peers
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.drift import differs, situations
from envdoctor.knowledge.versions import numbers

TOPIC = Topic("drift", 300, Text("what the nodes must have in common", "各节点是否一致"), nodes=True)

TORCH_WHY = Text(
    "torch promises nothing between versions: ranks may hang, or sum something else",
    "torch 不保证不同版本之间的兼容：各 rank 可能挂起，或得到不同的结果",
)
NCCL_WHY = Text(
    "their messages differ in length and meaning: the job stops at its first communicator, or hangs there",
    "不同版本的消息长度与含义不同：作业在建立第一个通信组时报错或卡住",
)

TORCH_VERSION_MISMATCH = Problem(
    code="torch-version-mismatch",
    severity=Severity.ERROR,
    title=Text("{node} runs torch {version}, the others {usual}", "{node} 使用 torch {version}，其他节点使用 {usual}"),
    why=TORCH_WHY,
    seen=Text(
        "{node}: {python}: torch {version}\n{other}: torch {usual}",
        "{node}：{python}：torch 版本 {version}\n{other}：torch 版本 {usual}",
    ),
    help=Text("install the same torch on all nodes", "请在所有节点上安装相同的 torch"),
    confirm="python -c 'import torch; print(torch.__version__)'",
    caused_by=("torch-shadowed",),
    situations=situations("examined", Text("torch", "torch 版本"), TORCH_WHY),
)


NCCL_VERSION_MISMATCH = Problem(
    code="nccl-version-mismatch",
    severity=Severity.ERROR,
    title=Text("{node} runs NCCL {version}, the others {usual}", "{node} 使用 NCCL {version}，其他节点使用 {usual}"),
    why=NCCL_WHY,
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
    situations=situations("examined", Text("NCCL", "NCCL 版本"), NCCL_WHY),
)


@check(TORCH_VERSION_MISMATCH)
def torch_version_mismatch(
    installs: PerNode[TorchInstall], gpus: PerNode[Gpus], pci: PerNode[PciDevices], results: PerNode[AllreduceResult]
) -> Iterable[Finding]:
    """Builds of one version for other hardware ("2.7.1+cu126", "2.7.1+cpu") differ as well. What the ranks of a
    benchmark said of themselves counts more than what lies on the disks."""
    ran = [result for result in results.values() if isinstance(result, AllreduceResult)]
    if ran:
        for result in ran:
            yield from _torch_of_ranks(result)
        return
    told = {node: installs.get(node) for node in peers(gpus, pci)}
    versions = {
        node: (fact.version or fact.dist_version or None) if isinstance(fact, TorchInstall) else None
        for node, fact in told.items()
    }
    yield from differs(TORCH_VERSION_MISMATCH, "examined", agreement(versions))


def _torch_of_ranks(result: AllreduceResult) -> Iterable[Finding]:
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
def nccl_version_mismatch(
    installs: PerNode[TorchInstall],
    mapped: PerNode[MappedLibraries],
    libraries: PerNode[Libraries],
    gpus: PerNode[Gpus],
    pci: PerNode[PciDevices],
    results: PerNode[AllreduceResult],
) -> Iterable[Finding]:
    """Of the nodes that have one at all: the one that `import torch` has loaded, else the one it will load."""
    ran = [result for result in results.values() if isinstance(result, AllreduceResult)]
    if ran:
        for result in ran:
            yield from _nccl_of_ranks(result)
        return
    versions = each(_nccl, installs, mapped, libraries)
    yield from differs(
        NCCL_VERSION_MISMATCH, "examined", agreement({node: versions.get(node) for node in peers(gpus, pci)})
    )


def _nccl(install: object, mapped: object, libraries: object) -> str | None:
    """ "2.27.5" of what is most certain to be used; None where no source tells three numbers."""
    told = [one.version for one in mapped.of("libnccl")] if isinstance(mapped, MappedLibraries) else []
    told += [one.version for one in libraries.of("libnccl")] if isinstance(libraries, Libraries) else []
    told += [nccl_version(install)] if isinstance(install, TorchInstall) else []
    found = next((numbers(version) for version in told if len(numbers(version)) >= 3), None)
    return ".".join(map(str, found[:3])) if found else None


def _nccl_of_ranks(result: AllreduceResult) -> Iterable[Finding]:
    for member, first in result.outliers("nccl"):
        node = result.named(member.index)
        found = NCCL_VERSION_MISMATCH.found(
            node=node, other=result.named(first.index), version=member.nccl, usual=first.nccl
        )
        yield replace(found, nodes=(node,))
