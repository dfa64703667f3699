"""A process's place in a job, as the variables of its launchers tell it. Pure functions over `Environment`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from envdoctor.facts import hostlist
from envdoctor.facts.environment import Environment
from envdoctor.knowledge import launchers

# slurmstepd numbers what is no srun step from the top: 0xfffffffb the batch script, 0xfffffffa the interactive step.
SLURM_NO_TASK = 4294967280


@dataclass(frozen=True)
class Launch:
    """What one launcher's variables tell. None and "" are unknown, never zero.

    Attributes:
        launcher: its name in knowledge/launchers.toml; `title` is for people.
        per: "process": the variables describe one rank; "node": one program per node, which starts the ranks;
            "job": the allocation.
        world_size: processes of the job. nodes: its nodes.
        local_world_size: processes on this node.
        master_addr: without a port, as given otherwise.
        hosts: names of all nodes, in order.
        sources: role -> the variable that told it.
        malformed: variable -> its value, where the value does not read as what it should be.
    """

    launcher: str = ""
    title: str = ""
    per: str = "process"
    rank: int | None = None
    world_size: int | None = None
    local_rank: int | None = None
    local_world_size: int | None = None
    node_rank: int | None = None
    nodes: int | None = None
    master_addr: str = ""
    master_port: int | None = None
    hosts: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    malformed: Mapping[str, str] = field(default_factory=dict)

    @property
    def several_nodes(self) -> bool | None:
        """Whether the job spans nodes; None where the variables do not tell."""
        if self.nodes is not None:
            return self.nodes > 1
        if self.hosts:
            return len(self.hosts) > 1
        if self.world_size is not None and self.local_world_size is not None and self.per == "process":
            return self.world_size > self.local_world_size
        return None


def launches(environment: Environment) -> tuple[Launch, ...]:
    """Every launcher that shows in the environment, the nearest to the process first.

    Several are usual: torchrun inside an srun step inside a Kubernetes pod.
    """
    return _launches(frozenset(environment.among(*launchers.names())))


# Every check asks, and a cluster has a thousand nodes: what is asked again must still be known.
@functools.lru_cache(maxsize=8192)
def _launches(items: frozenset[tuple[str, str]]) -> tuple[Launch, ...]:
    variables = dict(items)
    rows = [row for row in launchers.launchers() if row.shows_in(variables)]
    replaced = {name for row in rows for name in row.instead_of}
    found = [_read(row, variables) for row in rows if row.name not in replaced]
    return tuple(launch for launch in found if not _is_batch_shell(launch, variables))


def process(told: tuple[Launch, ...]) -> Launch | None:
    """The launcher that started this process as a rank, None outside of a rank."""
    return next((launch for launch in told if launch.per == "process"), None)


def several_nodes(told: tuple[Launch, ...]) -> bool:
    """Whether any launcher says that the job spans nodes."""
    return any(launch.several_nodes for launch in told)


def node_count(told: tuple[Launch, ...]) -> int | None:
    """The largest number of nodes that a launcher tells."""
    counts = [launch.nodes if launch.nodes is not None else len(launch.hosts) or None for launch in told]
    return max((count for count in counts if count is not None), default=None)


def node_rank(told: tuple[Launch, ...]) -> int | None:
    """Index of this node in the job as the nearest launcher tells it; 0 for rank 0."""
    for launch in told:
        if launch.node_rank is not None:
            return launch.node_rank
        if launch.rank == 0:
            return 0
    return None


def _is_batch_shell(launch: Launch, variables: Mapping[str, str]) -> bool:
    step = variables.get("SLURM_STEP_ID", "")
    return launch.launcher == "slurm" and step.isdigit() and int(step) >= SLURM_NO_TASK


class _Reader:
    """Reads the roles of one launcher and keeps where each value came from."""

    def __init__(self, row: launchers.Launcher, variables: Mapping[str, str]) -> None:
        self.row = row
        self.variables = variables
        self.sources: dict[str, str] = {}
        self.malformed: dict[str, str] = {}

    def first(self, role: str) -> tuple[str, str]:
        """The first variable of the role that is set, and its value."""
        for name in getattr(self.row, role):
            value = self.variables.get(name, "").strip()
            if value:
                return name, value
        return "", ""

    def number(self, role: str) -> int | None:
        name, value = self.first(role)
        if not name:
            return None
        try:
            number = int(value)
        except ValueError:
            self.malformed[name] = value
            return None
        self.sources[role] = name
        return number

    def count(self, role: str, node_rank: int | None) -> int | None:
        """A count that torchrun may take as a word ("auto", "gpu") or a range ("1:4"), and Slurm as "4(x2),3"."""
        name, value = self.first(role)
        if not name:
            return None
        if name.startswith("PET_") and (not value[0].isdigit() or ":" in value):
            low, _, high = value.partition(":")
            if low != high:
                return None
            value = low
        try:
            counts = hostlist.per_node(value)
        except ValueError:
            self.malformed[name] = value
            return None
        index = 0 if len(set(counts)) == 1 else node_rank
        if index is None or not 0 <= index < len(counts):
            return None
        self.sources[role] = name
        return counts[index]

    def address(self) -> str:
        name, value = self.first("master_addr")
        if name:
            self.sources["master_addr"] = name
        if name == "AZ_BATCH_MASTER_NODE" or name.endswith("_ENDPOINT"):
            return split_endpoint(value)[0]
        return value

    def port(self) -> int | None:
        name, value = self.first("master_port")
        if name.endswith("_ENDPOINT"):
            value = split_endpoint(value)[1]
            if not value:
                return None
        elif name.endswith("_0_PORT"):
            # A list of the ports that the job reserved; the first one is meant.
            value = value.partition(",")[0]
        if not name:
            return None
        if not value.strip().isdigit() or int(value) > 65535:
            self.malformed[name] = value
            return None
        self.sources["master_port"] = name
        return int(value)

    def hosts(self) -> tuple[str, ...]:
        name, value = self.first("hosts")
        if not name:
            return ()
        try:
            found = hostlist.expand(value)
        except ValueError:
            self.malformed[name] = value
            return ()
        self.sources["hosts"] = name
        # LSF alternates names and slots; others may add ":port".
        named = found[::2] if name == "LSB_MCPU_HOSTS" else found
        return tuple(host.partition(":")[0] for host in named)


def _read(row: launchers.Launcher, variables: Mapping[str, str]) -> Launch:
    reader = _Reader(row, variables)
    hosts = reader.hosts()
    node_rank = reader.number("node_rank")
    own_name, own = reader.first("own_host")
    if node_rank is None and own in hosts:
        node_rank = hosts.index(own)
        reader.sources["node_rank"] = own_name
    return Launch(
        launcher=row.name,
        title=row.title,
        per=row.per,
        rank=reader.number("rank"),
        world_size=reader.number("world_size"),
        local_rank=reader.number("local_rank"),
        local_world_size=reader.count("local_world_size", node_rank),
        node_rank=node_rank,
        nodes=reader.count("nodes", None),
        master_addr=reader.address(),
        master_port=reader.port(),
        hosts=hosts,
        sources=reader.sources,
        malformed=reader.malformed,
    )


def split_endpoint(endpoint: str) -> tuple[str, str]:
    """Host and port of "host:port", "[v6]:port" or a bare host or IPv6 address; the port may be empty."""
    endpoint = endpoint.strip()
    if endpoint.startswith("["):
        host, _, rest = endpoint[1:].partition("]")
        return host, rest.removeprefix(":")
    if endpoint.count(":") == 1:
        host, _, port = endpoint.partition(":")
        return host, port
    return endpoint, ""
