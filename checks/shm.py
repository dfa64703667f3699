"""Is there enough shared memory for DataLoader workers and NCCL?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits
from envdoctor.model import Scalar

TOPIC = Topic(
    "shm", 420, Text("shared memory for DataLoader workers and NCCL", "DataLoader 进程与 NCCL 所用的共享内存")
)

MB = 1_000_000
# docker gives 64 MiB. DeepSpeed's ds_report warns below 512 MiB (deepspeed/env_report.py).
TOO_SMALL = 512 * 1024 * 1024

SHM_TOO_SMALL = Problem(
    code="shm-too-small",
    severity=Severity.WARNING,
    title=Text(
        "/dev/shm holds {size_mb:.0f} MB, too little for DataLoader workers and NCCL",
        "/dev/shm 只有 {size_mb:.0f} MB,不够 DataLoader 进程与 NCCL 使用",
    ),
    why=Text(
        "DataLoader workers die of a bus error; NCCL cannot open its shared memory segments",
        "DataLoader 工作进程会因 bus error 退出;NCCL 无法建立共享内存段",
    ),
    seen=Text(
        "/dev/shm: {size_mb:.0f} MB, {free_mb:.0f} MB free (statvfs)",
        "/dev/shm:{size_mb:.0f} MB,空闲 {free_mb:.0f} MB(statvfs)",
    ),
    command="mount -o remount,size=50% /dev/shm",
    help=Text("needs root", "需要 root 权限"),
    confirm="df -h /dev/shm",
    refs=("https://docs.pytorch.org/docs/stable/multiprocessing.html",),
    situations={
        "docker": Situation(
            command="docker run --ipc=host ...",
            help=Text(
                "cannot be changed from inside: start the container again, with --ipc=host or --shm-size=16g",
                "容器内无法更改:请以 --ipc=host 或 --shm-size=16g 重新启动容器",
            ),
        ),
        "kubernetes": Situation(
            command="kubectl patch ...",
            help=Text(
                "mount an emptyDir with `medium: Memory` at /dev/shm in the pod's specification",
                "在 Pod 定义中把 `medium: Memory` 的 emptyDir 挂载到 /dev/shm",
            ),
        ),
        "full": Situation(
            title=Text(
                "/dev/shm is full: {free_mb:.0f} MB of {size_mb:.0f} MB are free",
                "/dev/shm 已满:{size_mb:.0f} MB 中仅剩 {free_mb:.0f} MB",
            ),
            command="ls -l /dev/shm",
            help=Text(
                "remove what ended jobs left ({left_over} segments of NCCL, torch or multiprocessing are there)",
                "清除已结束作业的残留(现有 {left_over} 个 NCCL、torch 或 multiprocessing 段)",
            ),
        ),
    },
)


@check(SHM_TOO_SMALL)
def shm_too_small(limits: Limits, host: Host) -> Iterable[Finding]:
    """Below 512 MiB in all, or less than 64 MiB left of more."""
    shm = limits.shm
    if shm.size_bytes is None or shm.free_bytes is None:
        return
    evidence: dict[str, Scalar] = {
        "size_mb": shm.size_bytes / MB,
        "free_mb": shm.free_bytes / MB,
        "left_over": len(shm.left_over),
    }
    if shm.size_bytes < TOO_SMALL:
        kind = {"docker": "docker", "podman": "docker", "kubernetes": "kubernetes"}.get(host.container)
        yield SHM_TOO_SMALL.found(kind, **evidence)
    elif shm.free_bytes < 64 * 1024 * 1024:
        yield SHM_TOO_SMALL.found("full", **evidence)


@summary
def line(limits: Limits) -> tuple[Text, Mapping[str, Scalar]] | None:
    if limits.shm.size_bytes is None:
        return None
    return Text("{size:.1f} GB, {free:.1f} GB free", "{size:.1f} GB,空闲 {free:.1f} GB"), {
        "size": limits.shm.size_bytes / 1e9,
        "free": (limits.shm.free_bytes or 0) / 1e9,
    }
