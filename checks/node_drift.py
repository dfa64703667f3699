"""Do the nodes have the same driver, kernel, Python, firmware, GPUs, memory and limits?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from envdoctor import Finding, PerNode, Problem, Severity, Text, Topic, check, each
from envdoctor.facts import peers as alike
from envdoctor.facts.agreement import about, agreement
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limit, Limits
from envdoctor.facts.packages import Packages
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.peers import peers
from envdoctor.facts.python import Python
from envdoctor.facts.rdma import Rdma
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.drift import differs, situations

TOPIC = Topic("drift", 301, Text("what the nodes must have in common", "各节点是否一致"), nodes=True)

GIB = 1 << 30
# Firmware and kernels of the same machines take a little more or less of the memory for themselves.
SAME_SIZE = 0.1
MOST_PACKAGES = 5  # named in a finding

LAUNCHES = Text(
    "a launch with the same number of processes on every node fails there, or leaves GPUs idle",
    "各节点以相同进程数启动时，该节点会失败，或有 GPU 闲置",
)
WAITING = Text("all other nodes wait for the slowest one", "其他节点都要等待最慢的节点")

NODE_DRIFT = Problem(
    code="node-drift",
    severity=Severity.WARNING,
    title=Text("the nodes differ", "各节点不一致"),
    why=Text(
        "what works on one node fails, is slower or computes something else on another",
        "在一个节点上可行的，在另一节点上可能失败、变慢或得到不同结果",
    ),
    help=Text("bring the odd nodes to what the others have", "请让个别节点与其他节点保持一致"),
    confirm="envdoctor check --hosts HOSTS node-drift",
    caused_by=(
        "gpu-fell-off-bus",
        "gpu-count-mismatch",
        "driver-missing",
        "driver-library-mismatch",
        "shm-too-small",
        "memlock-limit",
        "too-many-open-files",
        "ib-port-down",
        "ib-rate-degraded",
        "nvidia-wheel-pin",
    ),
    hardware="unconfirmed",
    situations={
        **situations(
            "driver",
            Text("NVIDIA driver", "NVIDIA 驱动"),
            Text(
                "a torch or a kernel that the newer driver runs may fail under the older one, and speeds differ",
                "新驱动能运行的 torch 或内核在旧驱动上可能失败，速度也会不同",
            ),
            look="cat /proc/driver/nvidia/version",
        ),
        **situations(
            "cuda-level",
            Text("CUDA level of the same driver", "同一驱动支持的 CUDA 版本"),
            Text(
                "another libcuda is found there, as of a forward-compatibility package: what is built for the newer "
                "CUDA fails elsewhere",
                "该处加载了另一个 libcuda（例如向前兼容包）：为更新 CUDA 构建的程序在别处会失败",
            ),
            look="ldconfig -p | grep libcuda.so",
        ),
        **situations("gpus", Text("GPUs", "GPU"), LAUNCHES, look="nvidia-smi -L"),
        **situations(
            "kernel",
            Text("kernel", "内核"),
            Text(
                "drivers of GPUs and adapters are built for a kernel: peer memory, DMA-BUF and speeds may differ",
                "GPU 与网卡驱动是按内核构建的：peer memory、DMA-BUF 与速度可能不同",
            ),
            look="uname -r",
        ),
        **situations(
            "distribution",
            Text("distribution", "发行版"),
            Text("libraries of the system differ, glibc first", "系统库不同，首先是 glibc"),
            Severity.NOTE,
            look="cat /etc/os-release",
        ),
        **situations(
            "python",
            Text("Python", "Python 版本"),
            Text(
                "what one node pickles or compiles for the others may not load there: spawned workers, DataLoader, "
                "torch.compile's cache",
                "一个节点序列化或编译的内容在其他节点可能无法加载：子进程、DataLoader、torch.compile 缓存",
            ),
        ),
        **situations(
            "python-patch",
            Text("patch release of Python", "Python 补丁版本"),
            Text("the environments were not made in the same way", "这些环境并非以同样方式创建"),
            Severity.NOTE,
        ),
        **situations(
            "packages",
            Text("versions beside the same torch", "相同 torch 下的其他软件包版本"),
            Text(
                "kernels, cuDNN or compiled extensions differ: nodes differ in speed, or in what they compute",
                "计算内核、cuDNN 或编译扩展不同：各节点速度或计算结果会不同",
            ),
            look="pip list",
        ),
        **situations(
            "firmware",
            Text("firmware of the RDMA adapters", "RDMA 网卡固件"),
            Text(
                "known faults and speeds are those of a firmware: the odd node is the one to look at when links fail",
                "已知故障与速度取决于固件：链路出错时应先检查该节点",
            ),
            look="ibv_devinfo | grep -E 'hca_id|fw_ver'",
        ),
        **situations("rate", Text("RDMA ports", "RDMA 端口"), WAITING, look="ibstat | grep -E 'CA |Rate'"),
        **situations(
            "memory",
            Text("memory of the machine", "内存容量"),
            Text(
                "a job that fits the others is killed there for want of memory",
                "其他节点放得下的任务，会在该节点因内存不足被杀",
            ),
            look="free -g",
        ),
        **situations("cpus", Text("processors a process may use", "进程可用的 CPU 数"), WAITING, look="nproc"),
        **situations(
            "shm",
            Text("/dev/shm", "/dev/shm 容量"),
            Text(
                "DataLoader workers that fit the others die there with a bus error",
                "其他节点放得下的 DataLoader 进程，会在该节点因总线错误而终止",
            ),
            look="df -h /dev/shm",
        ),
        **situations(
            "memlock",
            Text("locked memory (ulimit -l)", "可锁定内存（ulimit -l）"),
            Text("registering memory for RDMA fails there", "在该节点为 RDMA 注册内存会失败"),
            look="ulimit -l",
        ),
        **situations(
            "open-files",
            Text("open files (ulimit -n)", "可打开文件数（ulimit -n）"),
            Text("many workers or peers exhaust it there first", "进程或对端较多时，该节点会最先耗尽"),
            Severity.NOTE,
            look="ulimit -n",
        ),
    },
)  # fmt: skip


@check(NODE_DRIFT)
def drivers_agree(
    drivers: PerNode[Driver], gpus: PerNode[Gpus], pci: PerNode[PciDevices]
) -> Iterable[Finding]:  # fmt: skip
    """The release; the CUDA level follows from it, and is compared where the release is the same."""
    told = alike.of(drivers, peers(gpus, pci), Driver)
    releases = agreement({node: fact.release or None if fact else None for node, fact in told.items()})
    yield from differs(NODE_DRIFT, "driver", releases)
    for side in releases.sides[:1]:
        levels = {node: told[node].cuda_level or None for node in side.nodes}  # type: ignore[union-attr]
        yield from differs(NODE_DRIFT, "cuda-level", agreement(levels), driver=side.value)


@check(NODE_DRIFT)
def gpus_agree(gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> Iterable[Finding]:
    """Kind and number. A node without GPUs among nodes with them is told here and compared in nothing else."""
    yield from differs(NODE_DRIFT, "gpus", agreement(each(alike.gpu_set, gpus, pci)))


@check(NODE_DRIFT)
def systems_agree(hosts: PerNode[Host], gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> Iterable[Finding]:
    """Kernel and distribution."""
    told = alike.of(hosts, peers(gpus, pci), Host)
    yield from differs(
        NODE_DRIFT, "kernel", agreement({node: (fact and fact.kernel) or None for node, fact in told.items()})
    )
    named = {
        node: f"{fact.distribution} {fact.distribution_version}".strip() or None if fact else None
        for node, fact in told.items()
    }
    yield from differs(NODE_DRIFT, "distribution", agreement(named))


@check(NODE_DRIFT)
def sizes_agree(hosts: PerNode[Host], gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> Iterable[Finding]:
    """What a job may use of the machine: a limit of the control group counts where it is the lower one."""
    told = alike.of(hosts, peers(gpus, pci), Host)
    memory = {
        node: min(filter(None, (fact.memory_bytes, fact.memory_limit_bytes)), default=None) if fact else None
        for node, fact in told.items()
    }
    yield from differs(NODE_DRIFT, "memory", agreement(_sizes(memory)))
    yield from differs(
        NODE_DRIFT, "cpus", agreement({node: fact.cpus if fact else None for node, fact in told.items()})
    )


def _sizes(values: Mapping[str, float | None]) -> dict[str, str | None]:
    """Bytes as "1000 GiB", nearly equal ones made equal."""
    near = about(values, SAME_SIZE)
    return {
        node: None if size is None else f"{size / GIB:.{0 if size >= 10 * GIB else 2}f} GiB"
        for node, size in near.items()
    }


@check(NODE_DRIFT)
def limits_agree(
    limits: PerNode[Limits], gpus: PerNode[Gpus], pci: PerNode[PciDevices]
) -> Iterable[Finding]:  # fmt: skip
    """Of the process that started the doctor there."""
    told = alike.of(limits, peers(gpus, pci), Limits)
    shm = {node: fact.shm.size_bytes if fact else None for node, fact in told.items()}
    yield from differs(NODE_DRIFT, "shm", agreement(_sizes(shm)))
    locked = {node: _limit(fact.memlock_bytes, fact.may_lock_memory) if fact else None for node, fact in told.items()}
    yield from differs(NODE_DRIFT, "memlock", agreement(locked))
    files = {node: _limit(fact.open_files) if fact else None for node, fact in told.items()}
    yield from differs(NODE_DRIFT, "open-files", agreement(files))


def _limit(limit: Limit, lifted: bool = False) -> str:
    return "unlimited" if limit.soft is None or lifted else str(limit.soft)


@check(NODE_DRIFT)
def pythons_agree(pythons: PerNode[Python], gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> Iterable[Finding]:
    """A minor release is another Python to pickles and caches; a patch release is not."""
    told = alike.of(pythons, peers(gpus, pci), Python)
    minor = agreement(
        {node: ".".join(map(str, fact.minor)) if fact and any(fact.minor) else None for node, fact in told.items()}
    )
    yield from differs(NODE_DRIFT, "python", minor)
    if not minor.differs:
        full = {node: fact.version or None if fact else None for node, fact in told.items()}
        yield from differs(NODE_DRIFT, "python-patch", agreement(full))


@check(NODE_DRIFT)
def packages_agree(
    packages: PerNode[Packages], installs: PerNode[TorchInstall], gpus: PerNode[Gpus], pci: PerNode[PciDevices]
) -> Iterable[Finding]:
    """What lies beside torch, on the nodes whose torch most of them have: another torch brings others with it."""
    nodes = peers(gpus, pci)
    torch = agreement(
        {node: one.version if one else None for node, one in alike.of(installs, nodes, TorchInstall).items()}
    )
    if torch.usual is None:
        return
    told = alike.of(packages, torch.usual.nodes, Packages)
    distinct = {id(fact): fact for fact in told.values() if fact}  # nodes share what they have in common
    known = {identity: _versions(fact) for identity, fact in distinct.items()}
    sets = agreement({node: known[id(fact)] if fact else None for node, fact in told.items()})
    if sets.differs:
        shown = {node: sets_of for side in sets.sides for node in side.nodes for sets_of in (side.value,)}
        common = frozenset.intersection(*(side.value for side in sets.sides))
        yield from differs(NODE_DRIFT, "packages", agreement({node: _shown(shown.get(node), common) for node in told}))


def _versions(packages: Packages) -> frozenset[tuple[str, str]]:
    return frozenset((one.name, one.version) for one in packages.distributions if one.name != "torch")


def _shown(versions: frozenset[tuple[str, str]] | None, common: frozenset[tuple[str, str]]) -> str | None:
    if versions is None:
        return None
    own = sorted(versions - common)
    left = f", ... (+{len(own) - MOST_PACKAGES})" if len(own) > MOST_PACKAGES else ""
    return ", ".join(f"{name} {version}" for name, version in own[:MOST_PACKAGES]) + left or "-"


@check(NODE_DRIFT)
def adapters_agree(rdma: PerNode[Rdma], gpus: PerNode[Gpus], pci: PerNode[PciDevices]) -> Iterable[Finding]:
    """Firmware, by board; and the rates of the active ports of nodes that have equally many."""
    told = alike.of(rdma, peers(gpus, pci), Rdma)
    yield from differs(NODE_DRIFT, "firmware", agreement(_firmware(told)))
    rates = each(_rates, rdma)
    counts = agreement({node: rate[0] if (rate := rates.get(node)) else None for node in told})
    if counts.usual is not None:
        same = {node: _rate_words(rates[node]) for node in counts.usual.nodes}
        yield from differs(NODE_DRIFT, "rate", agreement(same))


def _firmware(told: Mapping[str, Rdma | None]) -> dict[str, str | None]:
    """ "MT_0000000838 28.39.1002" of the boards that all nodes have."""
    found = {
        node: {(device.board, device.firmware) for device in fact.devices if device.firmware}
        for node, fact in told.items()
        if fact
    }
    boards = [{board for board, _ in own} for own in found.values() if own]
    common = set.intersection(*boards) if boards else set()
    words = {node: [f"{board} {firmware}" for board, firmware in sorted(own) if board in common]
             for node, own in found.items()}  # fmt: skip
    return {node: ", ".join(words.get(node, ())).strip() or None for node in told}


def _rates(rdma: object) -> tuple[int, tuple[tuple[float, int], ...]] | None:
    if not isinstance(rdma, Rdma) or not all(port.rate_gbps for _, port in rdma.active):
        return None
    counted = Counter(port.rate_gbps or 0.0 for _, port in rdma.active)
    return len(rdma.active), tuple(sorted(counted.items()))


def _rate_words(rates: tuple[int, tuple[tuple[float, int], ...]] | None) -> str | None:
    return ", ".join(f"{count}x {rate:g} Gb/s" for rate, count in rates[1]) if rates and rates[1] else None
