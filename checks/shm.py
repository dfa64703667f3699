"""Is there enough shared memory for DataLoader workers and NCCL?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Plan, Problem, Severity, Situation, Text, Topic, check, fix, said, summary
from envdoctor.edits import by_hand
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Scalar

TOPIC = Topic(
    "shm", 420, Text("shared memory for DataLoader workers and NCCL", "DataLoader 进程与 NCCL 所用的共享内存")
)

MB = 1_000_000
# docker gives 64 MiB. DeepSpeed's ds_report warns below 512 MiB (deepspeed/env_report.py), and NCCL between the GPUs
# of a node then fails as well; AMD's Primus asks for 8 GiB on a node of several GPUs (tools/preflight/node_smoke).
TOO_SMALL = 512 << 20
SMALL_FOR_SEVERAL_GPUS = 8 << 30
NOTHING_LEFT = 64 << 20

SHM_TOO_SMALL = Problem(
    code="shm-too-small",
    severity=Severity.WARNING,
    title=Text(
        "/dev/shm holds {size_mb:.0f} MB, too little for DataLoader workers and NCCL",
        "/dev/shm 只有 {size_mb:.0f} MB，不够 DataLoader 进程与 NCCL 使用",
    ),
    why=Text(
        "DataLoader workers die of a bus error; NCCL cannot open its shared memory segments",
        "DataLoader 工作进程会因 bus error 退出；NCCL 无法建立共享内存段",
    ),
    seen=Text(
        "/dev/shm: {size_mb:.0f} MB, {free_mb:.0f} MB free (statvfs)",
        "/dev/shm：{size_mb:.0f} MB，空闲 {free_mb:.0f} MB（statvfs）",
    ),
    command="sudo mount -o remount,size=50% /dev/shm",
    help=Text(
        "needs root and holds until the next boot; for good, give /dev/shm a size= in /etc/fstab",
        "需要 root 权限，重启后失效；如需永久生效，请在 /etc/fstab 中为 /dev/shm 指定 size=",
    ),
    confirm="df -h /dev/shm",
    refs=("https://docs.pytorch.org/docs/stable/multiprocessing.html",),
    situations={
        "docker": Situation(
            command="docker run --shm-size=16g ...",
            help=Text(
                "cannot be changed from inside: start the container again; in a compose file it is `shm_size: 16gb`",
                "容器内无法更改：请重新启动容器；compose 文件中写作 `shm_size: 16gb`",
            ),
        ),
        "podman": Situation(
            command="podman run --shm-size=16g ...",
            help=Text(
                "cannot be changed from inside: start the container again",
                "容器内无法更改：请重新启动容器",
            ),
        ),
        "kubernetes": Situation(
            command="volumes: [{{name: shm, emptyDir: {{medium: Memory, sizeLimit: 16Gi}}}}]",
            help=Text(
                "in the pod's `spec`, and in its container `volumeMounts: [{{name: shm, mountPath: /dev/shm}}]`; "
                "a running pod cannot be changed, and what is written there counts against the memory limit",
                "写入 Pod 的 `spec`，并在容器中加入 `volumeMounts: [{{name: shm, mountPath: /dev/shm}}]`；"
                "运行中的 Pod 无法更改，写入其中的内容计入内存上限",
            ),
        ),
        "container": Situation(
            look="findmnt /dev/shm",
            help=Text(
                "set by whoever starts the container: ask for 16 GB on /dev/shm",
                "由启动容器的一方决定：请申请 16 GB 的 /dev/shm",
            ),
        ),
        "several-gpus": Situation(
            title=Text(
                "/dev/shm holds {size_mb:.0f} MB for {gpus} {gpus:GPU|GPUs}",
                "{gpus} 张 GPU 共用 {size_mb:.0f} MB 的 /dev/shm",
            ),
            why=Text(
                "enough for NCCL, but DataLoader workers of {gpus} {gpus:rank|ranks} may fill it with large batches",
                "足够 NCCL 使用，但 {gpus} 个 rank 的 DataLoader 进程在大批次时可能将其写满",
            ),
            severity=Severity.NOTE,
        ),
        "full": Situation(
            title=Text(
                "/dev/shm is full: {free_mb:.0f} MB of {size_mb:.0f} MB are free",
                "/dev/shm 已满：{size_mb:.0f} MB 中仅剩 {free_mb:.0f} MB",
            ),
            look="fuser -v /dev/shm/* ; ls -l /dev/shm",
            help=Text(
                "remove what ended jobs left ({left_over} {left_over:segment|segments} of NCCL, torch or "
                "multiprocessing {left_over:is|are} there)",
                "清除已结束作业的残留（现有 {left_over} 个 NCCL、torch 或 multiprocessing 段）",
            ),
        ),
    },
)


@check(SHM_TOO_SMALL)
def shm_too_small(
    limits: Limits, host: Host, pci: PciDevices | None, gpus: Gpus | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """Below 512 MiB in all, or less than 64 MiB left of more; several GPUs want 8 GiB.

    Where there is neither a GPU nor torch, nobody trains: that is a note.
    """
    shm = limits.shm
    if shm.size_bytes is None or shm.free_bytes is None:
        return
    count = gpus.count if gpus is not None else len(pci.nvidia_gpus) if pci is not None else None
    evidence: dict[str, Scalar] = {
        "size_mb": shm.size_bytes / MB,
        "free_mb": shm.free_bytes / MB,
        "left_over": len(shm.left_over),
        "gpus": count,
    }
    if shm.size_bytes < TOO_SMALL:
        finding = SHM_TOO_SMALL.found(_situation(host), **evidence)
        nobody_trains = count == 0 and (torch is None or not (torch.version or torch.dist_version))
        yield finding.at(Severity.ERROR if (count or 0) > 1 else Severity.NOTE if nobody_trains else Severity.WARNING)
    elif shm.free_bytes < NOTHING_LEFT:
        yield SHM_TOO_SMALL.found("full", **evidence)
    elif (count or 0) > 1 and shm.size_bytes < SMALL_FOR_SEVERAL_GPUS:
        finding = SHM_TOO_SMALL.found("several-gpus", **evidence)
        where = _situation(host)
        yield finding.mended_by(SHM_TOO_SMALL.found(where, **evidence).command) if where else finding


def _situation(host: Host) -> str | None:
    """Where the size was decided; None on the machine itself. Apptainer shows the host's /dev/shm."""
    if host.container in ("docker", "podman", "kubernetes"):
        return host.container
    return "container" if host.container and host.container not in ("apptainer", "singularity") else None


@fix(
    "shm",
    Text(
        "the command that enlarges /dev/shm, for root or the container's owner",
        "扩大 /dev/shm 的命令，由 root 或容器所有者执行",
    ),
    mends=("shm-too-small",),
)
def enlarge_shm(
    limits: Limits, host: Host, pci: PciDevices | None, gpus: Gpus | None, torch: TorchInstall | None
) -> Plan:
    title = said("Have enough shared memory on /dev/shm", "让 /dev/shm 有足够的共享内存")
    return by_hand.plan(title, shm_too_small(limits, host, pci, gpus, torch))


@summary
def line(limits: Limits) -> tuple[Text, Mapping[str, Scalar]] | None:
    if limits.shm.size_bytes is None:
        return None
    return Text("{size:.1f} GB, {free:.1f} GB free", "{size:.1f} GB，空闲 {free:.1f} GB"), {
        "size": limits.shm.size_bytes / 1e9,
        "free": (limits.shm.free_bytes or 0) / 1e9,
    }
