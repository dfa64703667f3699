"""What NCCL's own log (NCCL_DEBUG=INFO) tells of a job: processes, interfaces, adapters, settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field

# Interfaces that lead to no other host, or not to one that NCCL could reach: container and VM bridges and their ends,
# tunnels of overlay networks, VPNs, wireless and USB.
NOT_BETWEEN_HOSTS = (
    "docker", "br-", "virbr", "veth", "lxcbr", "lxdbr", "podman", "cni", "cali", "cilium", "flannel", "kube-", "weave",
    "nodelocaldns", "tunl", "tun", "tap", "ip6tnl", "sit", "gre", "wg", "tailscale", "zt", "ppp", "vmnet", "vboxnet",
    "dummy", "wlan", "wlp", "wlx", "usb", "idrac", "lo",
)  # fmt: skip


@dataclass(frozen=True)
class Interface:
    """An interface that NCCL took for sockets; the order is that of its list, which "via NET/Socket/N" counts."""

    name: str = ""
    address: str = ""

    @property
    def between_hosts(self) -> bool:
        """Whether other hosts can be behind it, by its name."""
        names = tuple(name for name in NOT_BETWEEN_HOSTS if name != "lo")
        return self.name.partition(":")[0] != "lo" and not self.name.startswith(names)

    @property
    def link_local(self) -> bool:
        """Whether its address means something on one link only: 169.254.0.0/16 or fe80::/10."""
        try:
            return ipaddress.ip_address(self.address.partition("%")[0]).is_link_local
        except ValueError:
            return False


@dataclass(frozen=True)
class Adapter:
    """A port of an RDMA device that NCCL took. `layer` is "IB" or "RoCE"."""

    name: str = ""
    port: int = 1
    layer: str = ""


@dataclass(frozen=True)
class Process:
    """One process, by the prefix of its lines.

    Attributes:
        node, pid: as the prefix says; empty and None where it is cut off.
        ranks: its ranks in the communicators that it joined.
        version: of NCCL, "2.27.5".
        network: "IB", "Socket", or the name of a plugin; empty if it does not say.
        sockets: the interfaces for sockets; bootstrap: the one for the start-up.
        adapters: the RDMA ports.
        no_adapter: it found none; no_libibverbs: it could not open libibverbs.
        settings: NCCL's variables that it was given, by name, a final stop of the line cut off.
    """

    node: str = ""
    pid: int | None = None
    ranks: tuple[int, ...] = ()
    version: str = ""
    network: str = ""
    bootstrap: Interface | None = None
    sockets: tuple[Interface, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    no_adapter: bool = False
    no_libibverbs: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """All that it takes for sockets, that of the start-up first."""
        first = (self.bootstrap,) if self.bootstrap is not None else ()
        return tuple(dict.fromkeys((*first, *self.sockets)))


@dataclass(frozen=True)
class NcclLog:
    """What the lines of NCCL in a text tell, of all its processes together.

    Attributes:
        processes: in the order of their first line, at most `readers.nccl_log.MOST_PROCESSES`.
        nodes: number of nodes that NCCL ("nNodes", 2.19 and later) or nccl-tests counts, 0 where neither says.
        sizes: numbers of ranks that were named anywhere.
        connected: rings or trees were connected, or a benchmark printed a result: data could flow.
        complete: an initialisation ended well somewhere.
        begun: an initialisation was under way somewhere.
        networks: names of networks that channels go over; slots: their numbers ("NET/Socket/1").
        gdr: a channel uses GPUDirect RDMA, or NCCL says that it is enabled for a GPU or an adapter.
        asked: NCCL's variables that are set anywhere else in the text (launch line, export, manifest).
        devices: RDMA devices that the output of ibstat, ibstatus, ibv_devinfo or ibdev2netdev names.
        active: one of their ports is active.
        wheel: version of the nvidia-nccl wheel that is installed, "2.27.5"; loaded: what torch says that it loaded.
    """

    processes: tuple[Process, ...] = ()
    nodes: int = 0
    sizes: tuple[int, ...] = ()
    connected: bool = False
    complete: bool = False
    begun: bool = False
    networks: tuple[str, ...] = ()
    slots: tuple[int, ...] = ()
    gdr: bool = False
    asked: dict[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    active: bool = False
    wheel: str = ""
    loaded: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of nodes that prefixes tell."""
        return tuple(dict.fromkeys(one.node for one in self.processes if one.node))

    @property
    def several_nodes(self) -> bool | None:
        """Whether the job spans nodes; None where the text does not tell."""
        addresses = {one.bootstrap.address for one in self.processes if one.bootstrap is not None}
        if self.nodes:
            return self.nodes > 1
        if len(self.hosts) > 1 or len(addresses) > 1 or self.networks:
            return True
        known = {rank for one in self.processes for rank in one.ranks}
        return False if self.sizes and len(known) >= max(self.sizes) and len(self.hosts) == 1 else None

    def setting(self, name: str) -> str | None:
        """A variable's value in the first process that names it, else as set elsewhere in the text."""
        own = (one.settings[name] for one in self.processes if name in one.settings)
        return next(own, self.asked.get(name))

    def differing(self, name: str) -> dict[str, tuple[str, ...]]:
        """Value -> hosts, for a variable to which hosts give different values; empty where they agree.

        A host whose processes name other variables and not this one has it unset, which differs too ("").
        """
        values: dict[str, list[str]] = {}
        for host in self.hosts:
            own = [one.settings for one in self.processes if one.node == host and one.settings]
            if own:
                value = next((settings[name] for settings in own if name in settings), "")
                values.setdefault(value, []).append(host)
        return {value: tuple(hosts) for value, hosts in values.items()} if len(values) > 1 else {}

    def of_each_host(self, told: Callable[[Process], str]) -> dict[str, str]:
        """Host -> what its processes say, left out where they say nothing; without prefixes the process is the host."""
        found: dict[str, str] = {}
        for one in self.processes:
            said = told(one)
            if said:
                found.setdefault(one.node or str(one.pid or ""), said)
        return found

    @property
    def rdma_is_meant(self) -> str:
        """The sign that traffic should go over RDMA: a variable with its value or a device; "" without any."""
        for name in ("NCCL_IB_HCA", "NCCL_IB_GID_INDEX", "NCCL_IB_TC", "NCCL_IB_SL", "NCCL_IB_CUDA_SUPPORT"):
            value = self.setting(name)
            if value and not value.startswith("^") and self.setting("NCCL_IB_DISABLE") in (None, "0"):
                return f"{name}={value}"
        if self.setting("NCCL_IB_DISABLE") == "0":
            return "NCCL_IB_DISABLE=0"
        if (self.setting("NCCL_NET") or "").upper() in ("IB", "IBEXT"):
            return f"NCCL_NET={self.setting('NCCL_NET')}"
        if (self.setting("FI_PROVIDER") or "").lower() in ("efa", "cxi"):
            return f"FI_PROVIDER={self.setting('FI_PROVIDER')}"
        # IP over InfiniBand: the fabric is there, and so should its adapters be.
        over = (one.name for process in self.processes for one in process.interfaces if one.name.startswith("ib"))
        if self.setting("NCCL_IB_DISABLE") in (None, "0") and (name := next(over, "")):
            return name
        return (
            self.devices[0] if self.devices and self.active and self.setting("NCCL_IB_DISABLE") in (None, "0") else ""
        )
