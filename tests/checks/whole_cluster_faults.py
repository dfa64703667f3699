"""Machines with one fault of network, launch or limits, all that follows included, and the code of that fault."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.disks import Disks
from envdoctor.facts.driver import Driver
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.names import NameResolution, Resolution
from envdoctor.facts.nccl import ConfFile, NcclSettings, Plugin, Tried
from envdoctor.facts.rdma import Port
from envdoctor.facts.rendezvous import Binding, PortHolder, RendezvousPort, RendezvousReach, Target
from envdoctor.model import Missing
from tests.checks.interfaces import LO, nics
from tests.checks.whole_hardware import fabric, hca
from tests.checks.whole_installs import pytorch_image
from tests.checks.whole_jobs import eks, pod, slurm_step
from tests.checks.whole_machines import DOCKER0, workstation
from tests.checks.whole_parts import GB, GIB, Machine, but, changed, disks, has, names, torchrun
from tests.checks.whole_servers import ETH, IBS, reached, server, worker


def bridge_first() -> Machine:
    """A compose network's bridge comes before the NIC; NCCL leaves out names that begin with docker only."""
    compose = (
        replace(ETH[0], name="br-4f2a9100aabb", index=1, kind="bridge", driver="", pci="", speed_is_real=False),
        ("172.18.0.1/16",),
    )
    machine = worker(0)
    return but(machine, nics(LO, compose, ETH, source="10.0.0.11"), Missing("rdma", "not-here"))


def chosen_bridge() -> Machine:
    """docker0 with a container on it, named by hand."""
    docker0 = (replace(DOCKER0[0], running=True, carrier=True), DOCKER0[1])
    there = (ETH[0], ("10.0.0.12/24",))
    return but(worker(9), nics(LO, there, *IBS, docker0, source="10.0.0.12"), NCCL_SOCKET_IFNAME="docker0")


def busy_port() -> Machine:
    holder = PortHolder("0.0.0.0", True, 2210, "bob", "jupyter-lab")
    port = RendezvousPort(
        29500, "29500", "MASTER_PORT", Binding("EADDRINUSE", "EADDRINUSE"), (holder,), 29501, (32768, 60999), "", 1024
    )
    here = Target("10.0.0.11", 29500, "MASTER_ADDR", addresses=("10.0.0.11",), local=True)
    return but(server(), port, RendezvousReach((here,)), MASTER_ADDR="10.0.0.11", MASTER_PORT="29500")


def one_rail_down() -> Machine:
    ports = (Port(1, "DOWN", "Polling", "InfiniBand", 10.0, "10 Gb/sec (4X SDR)"),)
    return but(server(), fabric(*(hca(n) for n in range(7)), hca(7, ports=ports)))


def full_disk() -> Machine:
    return but(workstation(), disks(free=20 * 10**6, size=100 * GB))


def unresolvable_master() -> Machine:
    machine = worker(9)
    found = Resolution("gpu-a01x", "MASTER_ADDR", error="EAI_NONAME Name or service not known")
    target = Target("gpu-a01x", 29500, "MASTER_ADDR", outcome="unresolvable")
    return but(
        machine,
        NameResolution((*has(machine, NameResolution).resolutions, found), "gpu-a02"),
        RendezvousReach((target,)),
        MASTER_ADDR="gpu-a01x",
    )


def local_master() -> Machine:
    machine = worker(9)
    target = Target("localhost", 29500, "MASTER_ADDR", addresses=("127.0.0.1",), local=True)
    found = Resolution("localhost", "MASTER_ADDR", ipv4=("127.0.0.1",), local=("127.0.0.1",), canonical="localhost")
    own = has(machine, NameResolution).resolutions
    return but(machine, NameResolution((*own, found), "gpu-a02"), RendezvousReach((target,)), MASTER_ADDR="localhost")


def dead_master() -> Machine:
    target = Target("10.0.0.99", 29500, "MASTER_ADDR", addresses=("10.0.0.99",), outcome="timeout", elsewhere="timeout")
    return but(worker(9), RendezvousReach((target,)), MASTER_ADDR="10.0.0.99")


def firewall() -> Machine:
    target = Target(
        "10.0.0.11", 29500, "MASTER_ADDR", addresses=("10.0.0.11",), outcome="timeout", elsewhere="connected"
    )
    return but(worker(9), RendezvousReach((target,)))


def closed_rdma() -> Machine:
    """docker run --gpus all --network=host without --device=/dev/infiniband: docker's 64 kB of locked memory too."""
    closed = fabric(*(hca(n, node_error="absent") for n in range(8)), offered=())
    return but(
        changed(worker(9), Host, container="docker", container_shown_by="/.dockerenv exists", root=True),
        closed,
        small_lock(),
    )


def small_lock() -> Limits:
    return Limits(SharedMemory(1000 * GIB, 990 * GIB), Limit(65536, 65536), Limit(1048576, 1048576), oom_kills=0)


def on_loopback() -> Machine:
    machine = worker(0)
    return but(machine, *names("gpu-a01", "10.0.0.11"))


def killed() -> Machine:
    log = KernelLog(
        "/dev/kmsg",
        9e5,
        (KernelMessage("oom-kill", process="pt_data_worker", pid=7, seconds_ago=300.0, text="Killed process 7"),),
    )
    return but(workstation(), log)


def hung_home() -> Machine:
    told = tuple(
        replace(
            p,
            answers=False,
            free_bytes=None,
            size_bytes=None,
            mount_point="/home",
            file_system="nfs4",
            source="nas:/home",
        )
        if p.path.startswith("/home")
        else p
        for p in disks().places
    )
    machine = but(workstation(), Disks(told))
    hung = tuple(
        Missing(name, "hung", "open /home/ada")
        for name in ("shell-files", "conda-config", "uv-config", "toolkit", "torch-import")
    )
    return but(
        machine,
        *hung,
        Missing("torch-cuda", "failed", "not reached"),
        Missing("mapped-libraries", "failed", "not reached"),
    )


def frozen_rank() -> Machine:
    """RANK=$SLURM_PROCID expanded in the batch script."""
    told = {
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "3",
        "SLURM_NTASKS": "4",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_TASKS_PER_NODE": "4",
        "RANK": "0",
        "WORLD_SIZE": "4",
        "MASTER_ADDR": "10.0.0.11",
        "MASTER_PORT": "29500",
    }
    here = Target("10.0.0.11", 29500, "MASTER_ADDR", addresses=("10.0.0.11",), local=True)
    return but(slurm_step(), RendezvousReach((here,)), **told)


def lock_limit() -> Machine:
    return but(worker(9), small_lock())


def small_shm(machine: Machine) -> Machine:
    limits = has(machine, Limits)
    return but(machine, replace(limits, shm=SharedMemory(64 << 20, 64 << 20)))


def broken_plugin() -> Machine:
    plugin = NcclSettings(
        plugins=(Plugin("/opt/amazon/ofi-nccl/lib/libnccl-net.so", "ldconfig"),),
        net_plugins=(Tried("libnccl-net.so", "libfabric.so.1: cannot open shared object file"),),
    )
    return but(eks(), plugin, **{**torchrun(9, 16), "MASTER_ADDR": "10.42.1.9"})


def url_as_master() -> Machine:
    machine = worker(9)
    found = Resolution("http://10.0.0.11", "MASTER_ADDR", error="EAI_NONAME Name or service not known")
    target = Target("http://10.0.0.11", 29500, "MASTER_ADDR", outcome="unresolvable")
    return but(
        machine,
        NameResolution((*has(machine, NameResolution).resolutions, found), "gpu-a02"),
        RendezvousReach((target,)),
        MASTER_ADDR="http://10.0.0.11",
    )


def endpoint_of_another_nic() -> Machine:
    """torchrun's agent, told this machine's address, whose own name is 127.0.1.1."""
    machine = but(server(), *names("gpu-a01", "10.0.0.11"))
    target = Target("10.0.0.11", 29500, "PET_RDZV_ENDPOINT", addresses=("10.0.0.11",), local=True)
    return but(
        machine,
        RendezvousReach((target,)),
        PET_RDZV_BACKEND="c10d",
        PET_RDZV_ENDPOINT="10.0.0.11:29500",
        PET_NNODES="2",
        PET_NPROC_PER_NODE="8",
        PET_NODE_RANK="0",
    )


def nested() -> Machine:
    told = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": "5",
        "SLURM_LOCALID": "5",
        "SLURM_NTASKS": "16",
        "SLURM_STEP_NUM_TASKS": "16",
        "SLURM_STEP_TASKS_PER_NODE": "8(x2)",
        "SLURM_NNODES": "2",
        "SLURM_NODEID": "0",
        "SLURMD_NODENAME": "gpu-a01",
        "SLURM_JOB_GPUS": "0,1,2,3,4,5,6,7",
    }
    machine = changed(worker(0), Host, scheduler=Scheduler("slurm", "7", "SLURM_JOB_ID"))
    return but(machine, **told)


def wrong_gid() -> Machine:
    return but(worker(9), fabric(*(hca(n, 100.0, f"eth{n}") for n in range(8))), NCCL_IB_GID_INDEX="7")


def absent_tmp() -> Machine:
    places = tuple(
        replace(p, path="/scratch/4711", variable="TMPDIR", exists=False) if p.use == "temporary" else p
        for p in disks().places
    )
    return but(workstation(), Disks(places), TMPDIR="/scratch/4711")


def rate() -> Machine:
    slow = (Port(1, "ACTIVE", "LinkUp", "InfiniBand", 100.0, "100 Gb/sec (1X NDR)"),)
    return but(server(), fabric(*(hca(n) for n in range(7)), hca(7, ports=slow)))


def provider() -> Machine:
    return but(
        worker(9),
        fabric(
            *(hca(n) for n in range(8)),
            libibverbs="",
            libibverbs_error="libibverbs.so.1: cannot open shared object file",
            offered=None,
        ),
    )


def closed_module() -> Machine:
    return changed(
        but(worker(9), fabric(*(hca(n) for n in range(8)), peer_memory=())), Driver, open_kernel_module=False
    )


def launcher_env_two_nodes_alone() -> Machine:
    machine = server()
    return but(
        machine,
        *reached("10.0.0.11", True, held=False),
        MASTER_ADDR="10.0.0.11",
        MASTER_PORT="29500",
        NNODES="2",
        NODE_RANK="2",
        NPROC_PER_NODE="8",
    )


def bridged() -> Machine:
    target = Target("10.0.0.11", 29500, "MASTER_ADDR", addresses=("10.0.0.11",), outcome="connected")
    return but(pytorch_image(), RendezvousReach((target,)), **torchrun(2, 4, 2))


CLUSTER_FAULTS: dict[str, tuple[Machine, str]] = {
    "a typing error in NCCL_SOCKET_IFNAME": (but(worker(9), NCCL_SOCKET_IFNAME="eth7"), "interface-missing"),
    "docker0 is chosen": (chosen_bridge(), "wrong-interface"),
    "a bridge comes first": (bridge_first(), "wrong-interface"),
    "the master's port is taken": (busy_port(), "port-in-use"),
    "RANK without WORLD_SIZE": (but(server(), RANK="0"), "launch-env-missing"),
    "docker's 64 MB of shared memory": (small_shm(pytorch_image()), "shm-too-small"),
    "a pod's 64 MB of shared memory": (small_shm(pod(server())), "shm-too-small"),
    "64 kB of locked memory": (lock_limit(), "memlock-limit"),
    "one rail of eight is down": (one_rail_down(), "ib-port-down"),
    "the disk is full": (full_disk(), "disk-full"),
    "the master's name does not resolve": (unresolvable_master(), "hostname-unresolvable"),
    "localhost as the master of two nodes": (local_master(), "master-unreachable"),
    "a master that is not there": (dead_master(), "master-unreachable"),
    "a firewall": (firewall(), "firewall-blocks-ports"),
    "docker without /dev/infiniband": (closed_rdma(), "ib-device-inaccessible"),
    "the own name on loopback": (on_loopback(), "hostname-loopback"),
    "RDMA turned off": (but(worker(9), NCCL_IB_DISABLE="1"), "nccl-debug-leftover"),
    "an adapter that is not there": (but(worker(9), NCCL_IB_HCA="mlx5_9"), "ib-hca-wrong"),
    "a worker killed for want of memory": (killed(), "host-out-of-memory"),
    "a home that does not answer": (hung_home(), "filesystem-hangs"),
    "RANK frozen in the batch script": (frozen_rank(), "world-size-mismatch"),
    "eight processes for four GPUs": (but(slurm_step(), **torchrun(0, 8)), "nproc-exceeds-gpus"),
    "EFA's plugin does not load": (broken_plugin(), "nccl-net-plugin-broken"),
    "a URL as the master": (url_as_master(), "master-addr-malformed"),
    "an endpoint that torchrun does not recognise": (endpoint_of_another_nic(), "hostname-loopback"),
    "srun and torchrun": (nested(), "srun-torchrun-nested"),
    "a GID that is empty": (wrong_gid(), "ib-gid-wrong"),
    "TMPDIR is not there": (absent_tmp(), "disk-full"),
    "a rail at a quarter": (rate(), "ib-rate-degraded"),
    "no libibverbs": (provider(), "libibverbs-missing"),
    "no peer memory": (closed_module(), "gdr-missing"),
    "a container on docker's bridge": (bridged(), "container-bridge-network"),
    "a node rank too many": (launcher_env_two_nodes_alone(), "world-size-mismatch"),
    "peer-to-peer turned off": (but(server(), NCCL_P2P_DISABLE="1"), "nccl-debug-leftover"),
    "a word for a number": (but(server(), NCCL_IB_TIMEOUT="long"), "nccl-env-invalid"),
    "an NCCL configuration that is not there": (
        but(
            server(),
            NcclSettings((ConfFile("/etc/x.conf", "NCCL_CONF_FILE", False, "No such file"),)),
            NCCL_CONF_FILE="/etc/x.conf",
        ),
        "nccl-conf-unreadable",
    ),
}
