"""Parts of whole machines: every fact of a healthy Linux computer, GPUs, drivers, fabrics, launchers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor import facts
from envdoctor.facts.asked import Asked
from envdoctor.facts.clock import Clock
from envdoctor.facts.cpu import Cpu
from envdoctor.facts.disks import Disks, Place
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.names import HostNames, HostsLine, NameResolution, Resolution
from envdoctor.facts.nccl import NcclSettings
from envdoctor.facts.network_settings import NetworkSettings
from envdoctor.facts.nics import Nic
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.pip import PipEffective, PipOptions
from envdoctor.facts.rendezvous import Binding, RendezvousPort, RendezvousReach
from envdoctor.facts.shell_files import ShellFiles, StartUpFile
from envdoctor.facts.toolkit import Compiler, Toolkit
from envdoctor.model import Missing
from envdoctor.testing import facts_by_type
from tests.checks.interfaces import LO, nics
from tests.checks.pip_configs import written
from tests.checks.whole_torch import interpreter, site_of, stack

Machine = dict[type, object]
GIB, GB = 1 << 30, 10**9
INDEX = "https://index.example/simple"
LAN = (Nic("enp5s0", 2, "physical", speed_mbps=1000, driver="igc", pci="0000:05:00.0"), ("192.168.1.20/24",))
NOT_HERE = {
    "driver": "no trace of an NVIDIA driver",
    "gpu": "no libnvidia-ml.so.1",
    "rdma": "/sys/class/infiniband is absent",
    "peer-paths": "no NVIDIA GPU on the PCI bus",
    "conda-config": "conda",
    "uv-config": "uv",
    "uv-effective": "uv",
    "allreduce": "no benchmark was run",
    "reached": "no other host was logged in to",
}
USES = (
    ("working-directory", "/home/ada/train", ""),
    ("home", "/home/ada", "HOME"),
    ("temporary", "/tmp", ""),
    ("pip-cache", "/home/ada/.cache/pip", ""),
    ("huggingface", "/home/ada/.cache/huggingface", ""),
    ("torch-hub", "/home/ada/.cache/torch", ""),
    ("torch-extensions", "/home/ada/.cache/torch_extensions", ""),
    ("triton", "/home/ada/.triton", ""),
)


# Observed for a fix, or read from a log that the user names: no examination of a machine has them.
NOT_OF_A_MACHINE = ("asked-places", "new-shells", "nccl-log", "network-listing", "log")


def kinds(machine: Machine) -> list[str]:
    """Names of the facts that a machine lacks altogether, not even saying why."""
    return [name for name in facts.KINDS if facts.kind(name) not in machine and name not in NOT_OF_A_MACHINE]


def but(machine: Machine, *others: object, **variables: str) -> Machine:
    """The machine with some facts replaced, and variables added to its environment."""
    told = {**machine, **facts_by_type(others)}
    environment = told[Environment]
    if variables and isinstance(environment, Environment):
        told[Environment] = replace(environment, variables={**environment.variables, **variables})
    return told


def without(machine: Machine, *names: str, reason: str = "failed") -> Machine:
    return {**machine, **{facts.kind(name): Missing(name, reason, "not to be had") for name in names}}


def has(machine: Machine, kind: type) -> Any:
    """One of its facts."""
    return machine[kind]


def changed(machine: Machine, kind: type, /, **changes: Any) -> Machine:
    """The machine with fields of one fact changed."""
    return {**machine, kind: replace(machine[kind], **changes)}  # type: ignore[type-var]


def disks(free: int = 400 * GB, size: int = 1000 * GB, file_system: str = "ext4", **changes: Any) -> Disks:
    place = Place(
        size_bytes=size,
        free_bytes=free,
        files=10**7,
        free_files=9 * 10**6,
        mount_point="/",
        file_system=file_system,
        source="/dev/nvme0n1p2",
    )
    return Disks(tuple(replace(place, use=use, path=path, variable=name, **changes) for use, path, name in USES))


def names(name: str, address: str, hosts: str = "127.0.1.1") -> tuple[HostNames, NameResolution]:
    """A machine whose own name stands in /etc/hosts at one address, Debian's 127.0.1.1 unless told otherwise."""
    own = Resolution(name, own=True, ipv4=(hosts,), local=(hosts,), canonical=name)
    return (
        HostNames(name, (HostsLine(2, hosts, (name,)),), ("files", "mdns4_minimal", "dns"), address),
        NameResolution((own,), name),
    )


def port(number: int = 29500, source: str = "") -> RendezvousPort:
    return RendezvousPort(number, str(number), source, Binding("", ""), (), 0, (32768, 60999), "", 1024)


def probes(url: str = INDEX, option: str = "index-url", **changes: Any) -> IndexProbes:
    """An index that answers as a good one does."""
    host = url.split("/")[2]
    probe = IndexProbe(
        "index",
        option,
        url,
        "answered",
        address="203.0.113.80",
        status=200,
        content_type="text/html",
        page="index",
        newest="2.13.0",
        whole=False,
        file_hosts=(host,),
        tls="TLSv1.3",
        bytes=300_000,
        resolve_s=0.01,
        connect_s=0.02,
        tls_s=0.05,
        first_byte_s=0.08,
        seconds=0.2,
    )
    return IndexProbes((replace(probe, **changes),))


def effective(url: str = INDEX) -> PipEffective:
    commands = tuple(PipOptions(command, url) for command in ("install", "download", "wheel", "list"))
    return PipEffective("pip", "24.2", default_index=INDEX, user_agent="pip/24.2 {}", commands=commands)


def linux(torch: str = "2.9.1+cpu", machine: str = "x86_64", name: str = "ws1", python: Any = None) -> Machine:
    """Every fact of a computer with Ubuntu 22.04, no GPU, one Ethernet, and torch from PyTorch's wheels in a venv."""
    python = python or interpreter(machine=machine)
    told: list[object] = [Missing(kind, "not-here", why) for kind, why in NOT_HERE.items()]
    told += [
        Asked(),
        Host(
            system="linux",
            kernel="6.8.0-60-generic",
            machine=machine,
            distribution="Ubuntu",
            glibc="2.35",
            distribution_version="22.04",
            name=name,
            boot_id="6f1c",
            cpus=16,
            memory_bytes=64 * GIB,
        ),
        Environment(
            {
                "PATH": "/home/ada/train/.venv/bin:/usr/local/bin:/usr/bin:/bin",
                "HOME": "/home/ada",
                "SHELL": "/bin/bash",
                "USER": "ada",
                "LANG": "en_US.UTF-8",
                "TERM": "xterm-256color",
                **({"VIRTUAL_ENV": python.venv} if python.venv else {}),
            },
            working_directory="/home/ada/train",
        ),
        Limits(
            SharedMemory(32 * GIB, 31 * GIB),
            Limit(8 * GIB, 8 * GIB),
            Limit(1024, 1048576),
            Limit(255000, 255000),
            oom_kills=0,
            oom_kills_source="/sys/fs/cgroup/memory.events",
            system_open_files=9000,
            system_open_files_limit=9223372036854775807,
        ),
        python,
        *stack(torch, site_of(python), machine=machine),
        PciDevices((PciDevice("0000:05:00.0", "0x8086", "0x15f3", "0x020000", "network", "igc"),)),
        KernelLog("/dev/kmsg", 500_000.0),
        Clock(1.7e9),
        Cpu({"performance": 16}, "acpi-cpufreq", "tsc", ("tsc", "hpet"), 1, 0),
        nics(LO, LAN, source="192.168.1.20"),
        NcclSettings(),
        *names(name, "192.168.1.20"),
        port(),
        RendezvousReach(),
        disks(),
        ShellFiles("bash", "/home/ada", (StartUpFile("/home/ada/.bashrc", "bash"),)),
        NetworkSettings(),
        written(),
        effective(),
        probes(),
        Toolkit(
            cc=Compiler("gcc", "/usr/bin/gcc", "gcc", "11"),
            cxx=Compiler("g++", "/usr/bin/g++", "gcc", "11"),
            python_headers=True,
        ),
    ]
    return facts_by_type(tuple(told))


def torchrun(rank: int, size: int, local: int = 8, master: str = "10.0.0.11", **more: str) -> dict[str, str]:
    """The variables of a worker of torchrun with the c10d rendezvous of several nodes."""
    told = {
        "TORCHELASTIC_RUN_ID": "4711",
        "RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_RANK": rank % local,
        "LOCAL_WORLD_SIZE": local,
        "GROUP_RANK": rank // local,
        "GROUP_WORLD_SIZE": size // local,
        "ROLE_RANK": rank,
        "ROLE_NAME": "default",
        "ROLE_WORLD_SIZE": size,
        "MASTER_ADDR": master,
        "MASTER_PORT": 29500,
        "TORCHELASTIC_RESTART_COUNT": 0,
        "TORCHELASTIC_MAX_RESTARTS": 0,
        "OMP_NUM_THREADS": 1,
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": 1,
        **more,
    }
    return {name: str(value) for name, value in told.items()}
