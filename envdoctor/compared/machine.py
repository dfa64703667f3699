"""The machine: GPUs, limits, network, RDMA, kernel and what surrounds the process, storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from envdoctor.compared import Facts, Told, aspect, bytes_of, counted, flag, get
from envdoctor.facts.cpu import Cpu
from envdoctor.facts.disks import Disks
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.gpu_state import answering
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limit, Limits
from envdoctor.facts.nccl import NcclSettings, view
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.socket_choice import nccl_choice
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Text

# Interfaces whose number and speed belong to the machine; bridges and veths come and go with containers.
HARDWARE = ("physical", "ipoib", "bond")


@aspect("gpu", Gpus)
def gpus(found: Gpus, facts: Facts) -> Iterator[Told]:
    able = answering(found) or tuple(gpu for gpu in found.gpus if found.source == "proc")
    yield Told("models", counted(gpu.name for gpu in able), Text("GPUs", "GPU"))
    silent = len(found.gpus) - len(able)
    yield Told("silent", str(silent) if silent else "", Text("GPUs that do not answer", "无响应的 GPU"))
    sizes = Counter(gpu.memory_bytes for gpu in able if gpu.memory_bytes)
    if sizes:
        each = sizes.most_common(1)[0][0]
        yield Told("memory", bytes_of(each), Text("memory of each", "每块显存"), size=float(each))
    links = Counter(sum(1 for link in gpu.nvlinks if link.active) for gpu in able)
    if any(gpu.nvlinks for gpu in able):
        yield Told(
            "nvlinks", counted(f"{count} active" for count in links.elements()), Text("NVLinks of each", "每块 NVLink")
        )
    else:
        yield Told("nvlinks", "", Text("NVLinks of each", "每块 NVLink"))
    yield Told("mig", _modes([gpu.mig for gpu in able]), Text("MIG mode", "MIG 模式"))
    yield Told("ecc", _modes([gpu.ecc for gpu in able]), Text("ECC", "ECC"))
    widths = [f"x{gpu.pcie_width}" for gpu in able if gpu.pcie_width]
    yield Told("pcie", counted(widths) or None, Text("PCIe links", "PCIe 链路"))
    yield Told(
        "persistence", _modes([gpu.persistence for gpu in able]), Text("persistence mode", "持久模式"), detail=True
    )
    fabric = {gpu.fabric_state for gpu in able if gpu.fabric_state}
    yield Told("fabric", " ".join(sorted(fabric)) or None, Text("NVLink fabric", "NVLink fabric"))


def _modes(modes: list[bool | None]) -> str | None:
    """ "on", "off", "7 x on, 1 x off"; None where nothing is known."""
    known = ["on" if mode else "off" for mode in modes if mode is not None]
    return None if not known else known[0] if len(set(known)) == 1 else counted(known)


@aspect("limits", Limits)
def limits(found: Limits, facts: Facts) -> Iterator[Told]:
    shm = found.shm.size_bytes
    if shm is not None or found.shm.error:
        size = float(shm) if shm is not None else None
        yield Told("shm", bytes_of(shm) if shm is not None else "", Text("/dev/shm", "/dev/shm"), size=size)
    yield Told(
        "memlock", "unlimited" if found.may_lock_memory else _soft(found.memlock_bytes, True),
        Text("locked memory", "锁定内存"),
    )  # fmt: skip
    yield Told("open-files", _soft(found.open_files, False), Text("open files", "打开文件数"))
    yield Told("processes", _soft(found.processes, False), Text("processes", "进程数"), detail=True)


def _soft(limit: Limit, of_bytes: bool) -> str:
    return bytes_of(limit.soft) if of_bytes or limit.soft is None else str(limit.soft)


@aspect("network", Nics)
def nics(found: Nics, facts: Facts) -> Iterator[Told]:
    hardware = [nic for nic in found.nics if nic.kind in HARDWARE and nic.up]
    default, chosen = found.default, _chosen(found, facts)
    yield Told("interfaces", counted(map(_speed, hardware)), Text("interfaces", "网卡"))
    yield Told("mtu", str(default.mtu) if default else "", Text("MTU of the default route", "默认路由的 MTU"))
    yield Told("default-kind", default.kind if default else "", Text("default route over", "默认路由经由"))
    if chosen is not None:
        yield Told("nccl-mtu", str(chosen.mtu), Text("MTU where NCCL talks", "NCCL 所用接口的 MTU"))
        yield Told("nccl-kind", _speed(chosen), Text("NCCL would talk over", "NCCL 将使用"))
    yield Told("ipv6", flag(found.ipv6), Text("IPv6", "IPv6"), detail=True)
    names = " ".join(sorted(nic.name for nic in hardware))
    yield Told("names", names, Text("names of interfaces", "接口名称"), detail=True)
    probing = found.tcp_mtu_probing
    yield Told(
        "mtu-probing", None if probing is None else str(probing), Text("TCP MTU probing", "TCP MTU 探测"), detail=True
    )


def _speed(nic: Nic) -> str:
    speed = nic.speed_mbps if nic.speed_is_real and nic.speed_mbps and nic.speed_mbps > 0 else None
    return f"{speed / 1000:g} Gbit/s {nic.kind}" if speed else nic.kind


def _chosen(nics: Nics, facts: Facts) -> Nic | None:
    """The interface NCCL's bootstrap would take; None where that is not known."""
    environment = get(facts, Environment)
    if environment is None:
        return None
    settings = view(get(facts, NcclSettings), environment, get(facts, TorchInstall))
    addresses = nccl_choice(nics, settings.get, settings.version).addresses
    return nics.nic(addresses[0].label) if addresses else None


@aspect("rdma", Rdma)
def rdma(found: Rdma, facts: Facts) -> Iterator[Told]:
    ports = [(device, port) for device in found.devices for port in device.ports]
    active = [f"{port.link_layer} {port.rate_gbps or 0:g} Gb/s" for _, port in ports if port.active]
    denied = sum(1 for device in found.devices if device.node_error)
    yield Told("ports", counted(active), Text("active ports", "活动端口"))
    inactive = len(ports) - len(active)
    yield Told("inactive", str(inactive) if inactive else "", Text("inactive ports", "未激活端口"))
    yield Told(
        "boards", counted(device.board for device in found.devices if device.board) or None, Text("boards", "板卡")
    )
    firmware = counted(device.firmware for device in found.devices if device.firmware)
    yield Told("firmware", firmware or None, Text("firmware", "固件"))
    yield Told("denied", str(denied) if denied else "", Text("devices that cannot be opened", "无法打开的设备"))
    yield Told("libibverbs", flag(bool(found.libibverbs)), Text("libibverbs", "libibverbs"))
    yield Told("peer-memory", flag(bool(found.peer_memory)), Text("GPU peer memory", "GPU peer memory"))
    names = " ".join(sorted(device.name for device in found.devices))
    yield Told("names", names, Text("names of devices", "设备名称"), detail=True)


@aspect("machine", Host)
def host(found: Host, facts: Facts) -> Iterator[Told]:
    distribution = f"{found.distribution} {found.distribution_version}".strip()
    yield Told("system", found.system or None, Text("system", "系统"))
    yield Told("architecture", found.machine or None, Text("architecture", "架构"))
    yield Told("kernel", found.kernel or None, Text("kernel", "内核"))
    yield Told("glibc", found.glibc or None, Text("glibc", "glibc"))
    yield Told("container", found.container, Text("container", "容器"))
    yield Told("virtual-machine", found.virtual_machine, Text("virtual machine", "虚拟机"))
    yield Told("wsl", str(found.wsl) if found.wsl else "", Text("WSL", "WSL"))
    yield Told("cpus", str(found.cpus), Text("CPUs of this process", "本进程可用 CPU"))
    memory, limit = found.memory_bytes, found.memory_limit_bytes
    yield Told(
        "memory", bytes_of(memory) if memory else None, Text("memory", "内存"), size=float(memory) if memory else None
    )
    yield Told(
        "memory-limit", bytes_of(limit) if limit else "", Text("memory limit (cgroup)", "内存上限（cgroup）"),
        size=float(limit) if limit else None,
    )  # fmt: skip
    yield Told("distribution", distribution or None, Text("distribution", "发行版"), detail=True)
    yield Told("scheduler", found.scheduler.kind, Text("scheduler", "调度器"), detail=True)
    yield Told("modules", " ".join(found.modules), Text("modules", "模块"), detail=True)
    yield Told("root", flag(found.root), Text("root", "root"), detail=True)


@aspect("machine", Cpu)
def cpu(found: Cpu, facts: Facts) -> Iterator[Told]:
    yield Told("governor", " ".join(sorted(found.governors)), Text("CPU governor", "CPU 调频策略"), detail=True)
    yield Told("clock-source", found.clock_source or None, Text("clock source", "时钟源"), detail=True)
    yield Told("numa-nodes", str(found.numa_nodes), Text("NUMA nodes", "NUMA 节点数"), detail=True)


@aspect("storage", Disks)
def disks(found: Disks, facts: Facts) -> Iterator[Told]:
    for place in found.places:
        state = "" if place.answers else "does not answer"
        state = state or ("" if place.writable and not place.read_only else "read-only")
        label = Text(place.use, place.use)
        yield Told(place.use, state or "works", label)
        yield Told(
            f"{place.use}-type",
            place.file_system or None,
            Text(f"{place.use}: type", f"{place.use}：类型"),
            detail=True,
        )
