"""Does this process get at the RDMA hardware: device nodes, libibverbs, and a way from the NIC to GPU memory?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor import Finding, Plan, Problem, Severity, Situation, Text, Topic, check, fix, said
from envdoctor.edits import by_hand
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.several_nodes import rdma_is_meant, scale
from envdoctor.model import Scalar

TOPIC = Topic("rdma", 222, Text("access to RDMA hardware and GPUDirect", "RDMA 硬件访问与 GPUDirect"))

TROUBLESHOOTING = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html"
# DMA-BUF for RDMA came with Linux 5.12, and NVIDIA offers it with the open kernel modules only.
DMA_BUF_KERNEL = (5, 12)

IB_DEVICE_INACCESSIBLE = Problem(
    code="ib-device-inaccessible",
    severity=Severity.ERROR,
    title=Text("{count} RDMA devices cannot be opened by this process", "本进程无法打开 {count} 个 RDMA 设备"),
    why=Text(
        "NCCL says `Unable to open device` and goes over TCP, or hangs where other nodes use RDMA",
        "NCCL 报 `Unable to open device` 并改走 TCP；若其他节点使用 RDMA 则会挂起",
    ),
    seen=Text(
        "{device} is in /sys/class/infiniband; {node}: {error}", "/sys/class/infiniband 中有 {device}；{node}：{error}"
    ),
    look="ls -l /dev/infiniband",
    help=Text("load ib_uverbs, or correct the permissions of {node}", "加载 ib_uverbs 模块，或修正 {node} 的权限"),
    confirm="ibv_devinfo",
    hardware="unconfirmed",
    refs=(TROUBLESHOOTING,),
    situations={
        "docker": Situation(
            command="docker run --device=/dev/infiniband --cap-add=IPC_LOCK --ulimit memlock=-1 ...",
            help=Text(
                "a container sees the host's sysfs but only the device nodes it is given",
                "容器能看到主机的 sysfs，但只有显式传入的设备节点才可用",
            ),
        ),
        "kubernetes": Situation(
            look="kubectl describe node | grep -i rdma",
            help=Text(
                "ask for the RDMA device plugin's resource (such as rdma/hca) in the pod's limits, with IPC_LOCK",
                "在 Pod 的 limits 中申请 RDMA 设备插件的资源（如 rdma/hca），并添加 IPC_LOCK 能力",
            ),
        ),
    },
)

LIBIBVERBS_MISSING = Problem(
    code="libibverbs-missing",
    severity=Severity.WARNING,
    title=Text(
        "RDMA ports are active, and libibverbs cannot be loaded", "RDMA 端口处于活动状态，但无法加载 libibverbs"
    ),
    why=Text(
        "NCCL opens it at run time, says nothing when it is absent, and goes over TCP",
        "NCCL 在运行时加载该库；缺失时不作提示，直接改走 TCP",
    ),
    seen=Text("dlopen: {error}", "dlopen 报错：{error}"),
    command="apt-get install -y libibverbs1 ibverbs-providers",
    help=Text(
        "put it into the image: libibverbs1 and ibverbs-providers (Debian, Ubuntu), libibverbs and rdma-core (RHEL)",
        "请装入镜像：Debian/Ubuntu 为 libibverbs1 与 ibverbs-providers，RHEL 为 libibverbs 与 rdma-core",
    ),
    confirm="ldconfig -p | grep libibverbs",
    hardware="unconfirmed",
    refs=(TROUBLESHOOTING,),
    situations={
        "provider": Situation(
            title=Text(
                "libibverbs offers no {device}: its provider library is absent",
                "libibverbs 未列出 {device}：缺少对应的 provider 库",
            ),
            why=Text("NCCL does not see the device and goes over TCP", "NCCL 看不到该设备，改走 TCP"),
            seen=Text(
                "/sys/class/infiniband: {device} ({driver}); ibv_get_device_list: {offered}",
                "/sys/class/infiniband 中有 {device}（{driver}）；ibv_get_device_list：{offered}",
            ),
            command="apt-get install -y ibverbs-providers",
        ),
    },
)

GDR_MISSING = Problem(
    code="gdr-missing",
    severity=Severity.WARNING,
    title=Text("GPUDirect RDMA is not available to NCCL", "NCCL 无法使用 GPUDirect RDMA"),
    why=Text(
        "data between NIC and GPU is copied through host memory: less bandwidth, more latency and CPU load",
        "网卡与 GPU 之间的数据需经主机内存中转：带宽下降，延迟与 CPU 占用上升",
    ),
    seen=Text(
        "nvidia-peermem: not loaded (/sys/module/nvidia_peermem/version, /sys/kernel/mm/memory_peers/nv_mem)\n"
        "DMA-BUF: {dma_buf}; kernel {kernel}",
        "nvidia-peermem：未加载（/sys/module/nvidia_peermem/version、/sys/kernel/mm/memory_peers/nv_mem）\n"
        "DMA-BUF：{dma_buf}；内核 {kernel}",
    ),
    command="sudo modprobe nvidia-peermem && echo nvidia-peermem | sudo tee /etc/modules-load.d/nvidia-peermem.conf",
    help=Text(
        "or use NVIDIA's open kernel modules on Linux 5.12 or newer, which offer DMA-BUF; in a container, on the host",
        "或在 Linux 5.12 及以上使用支持 DMA-BUF 的 NVIDIA 开源内核模块；容器环境须在主机上操作",
    ),
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep -E 'via NET/IB.*GDRDMA'",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/cuda/gpudirect-rdma/",),
)


def _severity(rdma: Rdma, host: Host | None, environment: Environment) -> Severity:
    return Severity.WARNING if rdma_is_meant(scale(environment), rdma, host) else Severity.NOTE


@check(IB_DEVICE_INACCESSIBLE)
def ib_device_inaccessible(rdma: Rdma, host: Host | None, environment: Environment) -> Iterable[Finding]:
    """A device with an active port whose node is absent or closed to this process. On one node nobody needs it."""
    closed = [(device, port) for device, port in rdma.active if device.node_error]
    if not closed:
        return
    device, _ = closed[0]
    container = host.container if host is not None else ""
    kind = {"docker": "docker", "podman": "docker", "kubernetes": "kubernetes"}.get(container)
    severity = _severity(rdma, host, environment)
    if scale(environment).several:
        severity = Severity.ERROR
    evidence: dict[str, Scalar] = {
        "count": len({each.name for each, _ in closed}),
        "device": device.name,
        "node": device.node or "/dev/infiniband/uverbs*",
        "error": device.node_error,
    }
    yield IB_DEVICE_INACCESSIBLE.found(kind, **evidence).at(severity)


@check(LIBIBVERBS_MISSING)
def libibverbs_missing(rdma: Rdma, environment: Environment, host: Host | None) -> Iterable[Finding]:
    """Active ports, and the library does not load, or it loads and does not know a device that can be opened."""
    if not rdma.active:
        return
    severity = _severity(rdma, host, environment)
    if not rdma.libibverbs:
        if rdma.libibverbs_error:
            yield LIBIBVERBS_MISSING.found(error=rdma.libibverbs_error).at(severity)
        return
    for device, _ in rdma.active:
        if rdma.offered is not None and device.name not in rdma.offered and not device.node_error:
            yield LIBIBVERBS_MISSING.found(
                "provider", device=device.name, driver=device.driver, offered=", ".join(rdma.offered) or "-", error=None
            ).at(severity)
            return


@check(GDR_MISSING)
def gdr_missing(
    rdma: Rdma, gpus: Gpus, driver: Driver | None, host: Host | None, environment: Environment
) -> Iterable[Finding]:
    """An active RDMA port and a GPU, and neither peer memory nor DMA-BUF.

    DMA-BUF needs NVIDIA's open kernel modules and Linux 5.12; where the driver is unknown, nothing is said. EFA has a
    way of its own. Whether a GeForce can do it at all is not known here: its driver does not allow it.
    """
    if not any(device.driver != "efa" for device, _ in rdma.active) or not gpus.count or rdma.peer_memory:
        return
    if driver is None or not driver.kernel_release or all("GeForce" in gpu.name for gpu in gpus.gpus):
        return
    kernel = host.kernel if host is not None else ""
    found = re.match(r"(\d+)\.(\d+)", kernel)
    new_enough = found is None or tuple(map(int, found.groups())) >= DMA_BUF_KERNEL
    if driver.open_kernel_module and new_enough:
        return
    reason = "kernel < 5.12" if driver.open_kernel_module else "proprietary kernel module"
    yield GDR_MISSING.found(dma_buf=reason, kernel=kernel or None).at(_severity(rdma, host, environment))


@fix(
    "rdma",
    Text(
        "the commands that give training RDMA and GPUDirect, for root or the container's owner",
        "让训练能使用 RDMA 与 GPUDirect 的命令，由 root 或容器所有者执行",
    ),
    mends=("ib-device-inaccessible", "libibverbs-missing", "gdr-missing"),
)
def give_access(
    rdma: Rdma, gpus: Gpus | None, driver: Driver | None, host: Host | None, environment: Environment
) -> Plan:
    found = [*ib_device_inaccessible(rdma, host, environment), *libibverbs_missing(rdma, environment, host)]
    if gpus is not None:
        found += gdr_missing(rdma, gpus, driver, host, environment)
    return by_hand.plan(said("Give training RDMA and GPUDirect", "让训练能使用 RDMA 与 GPUDirect"), found)
