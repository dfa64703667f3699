"""Do the limits of this process and its control group leave room for training?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Plan, Problem, Severity, Situation, Text, Topic, check, fix, said, summary
from envdoctor.edits import by_hand
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.facts.launch import launches, node_count
from envdoctor.facts.limits import Limit, Limits
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.several_nodes import Scale, rdma_is_meant, scale
from envdoctor.model import Scalar

TOPIC = Topic("limits", 430, Text("limits on memory and open files", "内存与打开文件数的限制"))

GIB = 1 << 30
# AWS's gpu-cluster-healthcheck warns below 16 GiB. NCCL registers 4 MiB and more for every channel and peer, so that
# the kernel's and systemd's defaults (64 KiB, 8 MiB) do not get one connection up (nccl-tests#206 saw 8 MiB).
MEMLOCK_LOW = 16 * GIB
MEMLOCK_HOPELESS = 64 << 20
# 1024 is what every distribution gives; 65536 is what guides for clusters ask for.
FILES_LOW = 65536
FILES_DEFAULT = 1024
# A process keeps some sockets open to each rank that it talks to: a few hundred at 64, where 1024 begins to be little.
MANY_RANKS, GPUS_OF_A_NODE = 64, 8
# gpud: components/os, 80 % degraded, 95 % unhealthy.
SYSTEM_FILES_LOW, SYSTEM_FILES_OUT = 0.80, 0.95
RECENT_S = 3600.0
OF_A_GROUP = "Memory cgroup out of memory"  # the kernel's words (mm/oom_kill.c) where not the machine ran out of memory
# Names of training's processes as the kernel has them: python3.11, pt_data_worker, pt_main_thread, pt_elastic, ray::x.
TRAINING = re.compile(r"python|pt_|torchrun|ray|deepspeed|accelerate")

MEMLOCK_LIMIT = Problem(
    code="memlock-limit",
    severity=Severity.WARNING,
    title=Text(
        "only {limit_mb:.1f} MB may be locked in memory, with RDMA adapters present",
        "存在 RDMA 网卡，但仅允许锁定 {limit_mb:.1f} MB 内存",
    ),
    why=Text(
        "NCCL cannot register its buffers: `ibv_reg_mr failed: Cannot allocate memory`",
        "NCCL 无法注册缓冲区：`ibv_reg_mr failed: Cannot allocate memory`",
    ),
    seen=Text(
        "RLIMIT_MEMLOCK: soft {limit_mb:.1f} MB, no CAP_IPC_LOCK; {ports} active RDMA ports",
        "RLIMIT_MEMLOCK：软限制 {limit_mb:.1f} MB，无 CAP_IPC_LOCK；{ports} 个活动的 RDMA 端口",
    ),
    help=Text(
        "the limit that counts is that of the process the launcher starts: ssh, mpirun and slurmstepd differ",
        "起作用的是启动器所起进程的限制：ssh、mpirun 与 slurmstepd 各不相同",
    ),
    command="echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/90-memlock.conf",
    confirm="ulimit -l",
    refs=("https://github.com/NVIDIA/nccl-tests/issues/206",),
    hardware="unconfirmed",
    situations={
        "raise": Situation(command="ulimit -l unlimited"),
        "docker": Situation(command="docker run --ulimit memlock=-1 --cap-add=IPC_LOCK ..."),
        "kubernetes": Situation(
            command="securityContext: {{capabilities: {{add: [IPC_LOCK]}}}}",
            help=Text(
                "add it to the container in the pod's specification",
                "请写入 Pod 定义中该容器的配置",
            ),
        ),
        "slurm": Situation(
            command="sudo systemctl edit slurmd   # [Service] LimitMEMLOCK=infinity",
            help=Text(
                "and PropagateResourceLimitsExcept=MEMLOCK in slurm.conf, or srun hands on the login node's limit",
                "并在 slurm.conf 中设置 PropagateResourceLimitsExcept=MEMLOCK，否则 srun 会沿用登录节点的限制",
            ),
        ),
    },
)

TOO_MANY_OPEN_FILES = Problem(
    code="too-many-open-files",
    severity=Severity.NOTE,
    title=Text("a process may open {soft} files", "每个进程最多打开 {soft} 个文件"),
    why=Text(
        "DataLoader workers and NCCL's sockets to many peers run into `Too many open files`",
        "DataLoader 进程以及 NCCL 与众多节点的连接会遇到 `Too many open files`",
    ),
    seen=Text("RLIMIT_NOFILE: soft {soft}, hard {hard}", "RLIMIT_NOFILE：软限制 {soft}，硬限制 {hard}"),
    command="ulimit -n 65536",
    confirm="ulimit -n",
    situations={
        "hard": Situation(
            command="echo '* - nofile 65536' | sudo tee /etc/security/limits.d/90-nofile.conf",
            help=Text("needs root, and holds from the next login on", "需要 root 权限，下次登录后生效"),
        ),
        "docker": Situation(command="docker run --ulimit nofile=65536:65536 ..."),
        "system": Situation(
            title=Text(
                "{used} of the {most} files that this machine may open are open",
                "本机最多可打开 {most} 个文件，已打开 {used} 个",
            ),
            why=Text(
                "at the limit nothing on this machine can open a file or a socket",
                "达到上限后，本机任何进程都无法再打开文件或套接字",
            ),
            seen=Text("/proc/sys/fs/file-nr: {used} of {most}", "/proc/sys/fs/file-nr：{used}，上限 {most}"),
            command="sudo sysctl -w fs.file-max={twice}",
            severity=Severity.WARNING,
        ),
    },
)

HOST_OUT_OF_MEMORY = Problem(
    code="host-out-of-memory",
    severity=Severity.WARNING,
    title=Text(
        "the kernel has killed {count} {count:process|processes} of this control group for want of memory",
        "因内存不足，内核已杀死本控制组的 {count} 个进程",
    ),
    why=Text(
        "a rank or DataLoader worker ends with signal 9 and no message; the others wait or report a closed connection",
        "rank 或 DataLoader 进程被信号 9 终止且无任何报错；其余进程空等或报告连接关闭",
    ),
    seen=Text(
        "{source}: oom_kill {count}; limit {limit_gb:.1f} GB", "{source}：oom_kill {count}；上限 {limit_gb:.1f} GB"
    ),
    help=Text(
        "ask for more memory (docker --memory, resources.limits.memory, sbatch --mem), or fewer DataLoader workers",
        "请申请更多内存（docker --memory、resources.limits.memory、sbatch --mem），或减少 DataLoader 进程数",
    ),
    look="cat {quoted}",
    confirm="dmesg -T | grep -i 'killed process'",
    situations={
        "log": Situation(
            title=Text(
                "the kernel killed {process} for want of memory {minutes} {minutes:minute|minutes} ago",
                "{minutes} 分钟前，内核因内存不足杀死了 {process}",
            ),
            seen=Text("{source}: {text}", "内核日志（{source}）：{text}"),
            look="dmesg -T | grep -i 'killed process'",
            help=Text(
                "fewer DataLoader workers, a smaller batch on the host, or no pin_memory",
                "请减少 DataLoader 进程数、减小主机端批次，或关闭 pin_memory",
            ),
        ),
        "log-group": Situation(
            title=Text(
                "the kernel killed {process} at the memory limit of its container, job or service "
                "{minutes} {minutes:minute|minutes} ago",
                "{minutes} 分钟前，{process} 因达到所在容器、作业或服务的内存上限而被内核杀死",
            ),
            seen=Text("{source}: {text}", "内核日志（{source}）：{text}"),
            look="dmesg -T | grep -iE 'oom_memcg|killed process'",
            help=Text(
                "the machine itself has memory left: ask for more (docker --memory, resources.limits.memory, "
                "sbatch --mem), or fewer DataLoader workers",
                "本机自身仍有内存：请申请更多（docker --memory、resources.limits.memory、sbatch --mem），"
                "或减少 DataLoader 进程数",
            ),
        ),
    },
)


def _situation(host: Host | None) -> str | None:
    if host is None:
        return None
    if host.container in ("docker", "podman"):
        return "docker"
    return "kubernetes" if host.container == "kubernetes" else None


@check(MEMLOCK_LIMIT)
def memlock_limit(limits: Limits, rdma: Rdma, host: Host | None, environment: Environment | None) -> Iterable[Finding]:
    """Without an active RDMA port that can be opened nothing needs to lock much memory; CAP_IPC_LOCK lifts the limit.

    Nothing goes over RDMA on one node, and the memory of a few gigabytes suffices for most jobs.
    """
    soft, hard = limits.memlock_bytes.soft, limits.memlock_bytes.hard
    usable = any(device.usable for device in rdma.devices)
    if soft is None or soft >= MEMLOCK_LOW or limits.may_lock_memory or not usable:
        return
    situation = _situation(host)
    if situation is None and hard is None:
        situation = "raise"
    elif situation is None and host is not None and host.scheduler.kind == "slurm":
        situation = "slurm"
    finding = MEMLOCK_LIMIT.found(situation, limit_mb=soft / 1e6, ports=len(rdma.active))
    told = scale(environment) if environment is not None else Scale()
    if soft >= MEMLOCK_HOPELESS:
        yield finding if told.several else finding.at(Severity.NOTE)
    elif told.several:
        yield finding.at(Severity.ERROR)
    else:
        yield finding if rdma_is_meant(told, rdma, host) else finding.at(Severity.NOTE)


@check(TOO_MANY_OPEN_FILES)
def too_many_open_files(limits: Limits, environment: Environment | None, host: Host | None) -> Iterable[Finding]:
    """The usual 1024 is worth knowing; with many ranks to connect to, or below it, it is a risk."""
    used, most = limits.system_open_files, limits.system_open_files_limit
    if used is not None and most and used >= SYSTEM_FILES_LOW * most:
        finding = TOO_MANY_OPEN_FILES.found("system", used=used, most=most, twice=2 * most)
        yield finding.at(Severity.ERROR) if used >= SYSTEM_FILES_OUT * most else finding
    soft, hard = limits.open_files.soft, limits.open_files.hard
    if soft is None or soft >= FILES_LOW:
        return
    situation = "docker" if _situation(host) == "docker" else None
    if situation is None and hard is not None and hard < FILES_LOW:
        situation = "hard"
    finding = TOO_MANY_OPEN_FILES.found(situation, soft=soft, hard=_shown(limits.open_files))
    told = launches(environment) if environment is not None else ()
    ranks = max((launch.world_size or 0 for launch in told), default=0)
    spread = ranks >= MANY_RANKS or (node_count(told) or 1) * GPUS_OF_A_NODE >= MANY_RANKS
    yield finding.at(Severity.WARNING) if soft < FILES_DEFAULT or (spread and soft <= 4 * FILES_DEFAULT) else finding


def _shown(limit: Limit) -> Scalar:
    return "unlimited" if limit.hard is None else limit.hard


@check(HOST_OUT_OF_MEMORY)
def host_out_of_memory(limits: Limits, log: KernelLog | None, host: Host | None) -> Iterable[Finding]:
    """A kill in the last hour's log is told with its time; the group's counter has none."""
    recent = [
        entry
        for entry in (log.entries if log else ())
        if entry.kind == "oom-kill" and entry.seconds_ago is not None and entry.seconds_ago < RECENT_S
    ]
    if recent:
        newest = next((entry for entry in recent if TRAINING.match(entry.process)), recent[0])
        finding = HOST_OUT_OF_MEMORY.found(
            "log-group" if OF_A_GROUP in newest.text else "log",
            process=newest.process or None,
            minutes=round((newest.seconds_ago or 0.0) / 60),
            source=log.source if log else None,
            text=newest.text,
        )
        yield finding if TRAINING.match(newest.process) else finding.at(Severity.NOTE)
    elif limits.oom_kills:
        confined = host is not None and bool(host.container or host.scheduler.kind)
        finding = HOST_OUT_OF_MEMORY.found(
            count=limits.oom_kills,
            source=limits.oom_kills_source,
            quoted=shlex.quote(limits.oom_kills_source),
            limit_gb=host.memory_limit_bytes / 1e9 if host is not None and host.memory_limit_bytes else None,
        )
        # Outside of a container or job the group is the user's session, and what was killed may be anything.
        yield finding if confined else finding.at(Severity.NOTE)


@fix(
    "memlock",
    Text(
        "the commands that let RDMA lock memory, for root or the container's owner",
        "为 RDMA 放开锁定内存的命令，由 root 或容器所有者执行",
    ),
    mends=("memlock-limit",),
)
def raise_memlock(limits: Limits, rdma: Rdma, host: Host | None, environment: Environment | None) -> Plan:
    title = said("Let RDMA lock memory", "允许 RDMA 锁定内存")
    return by_hand.plan(title, memlock_limit(limits, rdma, host, environment))


@fix(
    "limits",
    Text(
        "the commands that raise the limits on open files and locked memory, for root or the container's owner",
        "提高打开文件数与锁定内存限制的命令，由 root 或容器所有者执行",
    ),
    mends=("too-many-open-files", "memlock-limit"),
)
def raise_limits(limits: Limits, rdma: Rdma | None, host: Host | None, environment: Environment | None) -> Plan:
    found = [*too_many_open_files(limits, environment, host)]
    if rdma is not None:
        found += memlock_limit(limits, rdma, host, environment)
    return by_hand.plan(said("Raise the limits that training runs into", "提高训练会触及的资源限制"), found)


@summary
def line(limits: Limits) -> tuple[Text, Mapping[str, Scalar]] | None:
    return Text("{files} open files, {memlock} locked memory", "打开文件 {files} 个，锁定内存 {memlock}"), {
        "files": "unlimited" if limits.open_files.soft is None else limits.open_files.soft,
        "memlock": "unlimited" if limits.memlock_bytes.soft is None else f"{limits.memlock_bytes.soft / 1e6:.0f} MB",
    }
