"""Reads the lines that NCCL writes with NCCL_DEBUG=INFO: versions, interfaces, adapters, settings.

The wordings are those of every tag from 2.3.5 to 2.30.7 (src/init.cc, bootstrap.cc, transport/net_socket.cc,
transport/net_ib*, misc/param.cc), and of RCCL, which keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from envdoctor.facts.log import Place, Sighting
from envdoctor.facts.nccl_log import Adapter, Interface, NcclLog, Process
from envdoctor.readers.lines import Line
from envdoctor.readers.passage import Passage

MOST_PROCESSES = 1024
MOST_BEGUN = 4096  # communicators that are begun and not complete
MOST_SETTINGS = 64

VERSION = re.compile(r"\bNCCL version (\d{1,3}\.\d{1,3}\.\d{1,3})")
# "[0]eno1:10.0.0.3<0>", "Bootstrap : Using eno1:fe80::1%eno1<0>", "NET : Using interface lo:127.0.0.1<0>".
INTERFACE = re.compile(
    r"(?:\[\d{1,3}\]|Using |interface )([A-Za-z][\w.@-]{0,30}(?::\d{1,3}(?=:))?):"
    r"([0-9a-fA-F.:]{2,45}(?:%[\w.-]{1,20})?)<\d"
)
ADAPTER = re.compile(r"\[\d{1,3}\](?:\{\d{1,3}\} )?([A-Za-z][\w-]{1,40}):(\d{1,2})/(IB|RoCE)(?:/(?:SHARP|RoCE))?")
# Virtual adapters of 2.24 and later name their ports: [0]={[0] mlx5_0:1/IB, [1] mlx5_1:1/IB}.
NETWORK = re.compile(r"Using (?:network |internal Network )([A-Za-z][\w .-]{0,40}?)\s*$")
PLUGIN_CHANNEL = re.compile(r" via NET/([\w .-]{1,40})/(\d{1,3})")
SETTING = re.compile(r"\b((?:NCCL|RCCL)_[A-Z0-9_]{2,60}) set (?:by environment )?to (\S{1,200})")
ASSIGNED = re.compile(
    r"\b(NCCL_[A-Z0-9_]{2,60}|FI_PROVIDER|GLOO_SOCKET_IFNAME)(?:=|: |\": \"|', '|\", \")[\"']?([^\s\"';\\]{1,200})"
)
# 2.18 and later: "ncclCommInitRankConfig comm 0x... rank 1 nranks 2 ... commId 0x... - Init START".
INIT = re.compile(r"\brank (\d{1,6}) nranks (\d{1,6}) [^\n]{0,200}?commId (0x[0-9a-f]{1,16}) - Init (START|COMPLETE)")
SIZE = re.compile(r"\brank (\d{1,6}) n[rR]anks (\d{1,6})\b|NCCL INFO nranks (\d{1,6})")
# The head of nccl-tests' output, and a ring's order in NCCL's own.
TESTED = re.compile(
    r"#\s{1,8}Rank\s{1,8}(\d{1,6})\s{1,8}(?:Group\s{1,8}\d{1,6}\s{1,8})?Pid\s{1,8}\d{1,9} on\s{1,20}(\S{1,100}) device"
)
RING = re.compile(r"NCCL INFO Channel \d{2}/\d{2} :((?:\s{1,6}\d{1,6}){1,200})")
# ibstat, ibv_devinfo, ibstatus and ibdev2netdev (rdma-core infiniband-diags, libibverbs/examples; MLNX_OFED).
DEVICE = re.compile(
    r"^\s{0,8}(?:CA '|hca_id:\s{1,8}|Infiniband device ')([\w-]{2,40})|^\s{0,8}([\w-]{2,40}) port \d{1,3} ==> "
)
ACTIVE = re.compile(r"[Ss]tate:\s{1,30}(?:Active\b|PORT_ACTIVE|4: ACTIVE)|==> \S{1,40} \(Up\)")
# pip list, pip freeze, collect_env; pip show tells the version one line below the name; torch answers with a tuple.
WHEEL = re.compile(r"\bnvidia-nccl-cu\d{2}(?:==|\s{1,40})(2\.\d{1,3}\.\d{1,3})\b")
SHOWN = re.compile(r"^\s{0,8}Version: (2\.\d{1,3}\.\d{1,3})\s*$")
ANSWER = re.compile(r"^\s{0,8}\((2), (\d{1,3}), (\d{1,3})\)\s*$")
NODES = re.compile(r"\bnNodes (\d{1,5})\b")

NEEDLES = {
    "NCCL version ": 2000,
    "Bootstrap : Using": 4000,
    "NET/Socket : Using": 4000,
    "NET : Using interface": 4000,
    "NET/IB : Using": 4000,
    "NET/IB : No device found": 4000,
    "Using network ": 4000,
    "Using internal Network": 4000,
    " set by environment to ": 4000,
    " - Init START": 4000,
    " - Init COMPLETE": 4000,
    " nranks ": 2000,
    " nNodes ": 1000,
    "Connected all ": 100,
    "# Avg bus bandwidth": 10,
    " Pid ": 1000,
    "NCCL INFO Trees [": 20,
    "CA '": 200,
    "hca_id:": 200,
    "Infiniband device '": 200,
    " ==> ": 200,
    "tate:": 500,
    "NCCL INFO Channel 00/": 20,
    " via NET/": 500,
    "/GDRDMA": 50,
    "GPU Direct RDMA Enabled": 50,
    "Failed to open libibverbs": 1000,
    "NCCL INFO Setting affinity": 100,
    "NCCL_": 2000,
    "nvidia-nccl-cu": 50,
    "torch.cuda.nccl.version()": 50,
    "FI_PROVIDER": 200,
    "GLOO_SOCKET_IFNAME": 200,
}


# Lines with one of these are NCCL's, even where whoever pasted them cut "NCCL INFO" off.
OF_NCCL = frozenset(
    (
        "NCCL version ",
        "Bootstrap : Using",
        "NET : Using interface",
        "Using internal Network",
        "NET/Socket : Using",
        "NET/IB : Using",
        "NET/IB : No device found",
        "# Avg bus bandwidth",
        " - Init START",
        " - Init COMPLETE",
        " set by environment to ",
        "Failed to open libibverbs",
    )
)


@dataclass
class _Process:
    node: str
    pid: int | None
    ranks: set[int] = field(default_factory=set)
    version: str = ""
    network: str = ""
    bootstrap: Interface | None = None
    sockets: dict[Interface, None] = field(default_factory=dict)
    adapters: dict[Adapter, None] = field(default_factory=dict)
    no_adapter: bool = False
    no_libibverbs: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def fact(self) -> Process:
        return Process(
            self.node, self.pid, tuple(sorted(self.ranks)), self.version, self.network, self.bootstrap,
            tuple(self.sockets), tuple(self.adapters), self.no_adapter, self.no_libibverbs, dict(self.settings),
        )  # fmt: skip


@dataclass
class _Begun:
    """A communicator that some ranks have begun and none has completed."""

    size: int
    first: Sighting
    ranks: set[int] = field(default_factory=set)


class NcclLogReader:
    """What each process says, and what it tells of the whole job."""

    def __init__(self) -> None:
        self._processes: dict[tuple[str, int | None], _Process] = {}
        self._begun_ones: dict[str, _Begun] = {}
        self._sizes: set[int] = set()
        self._tested: set[str] = set()
        self._slots: set[int] = set()
        self._networks: dict[str, None] = {}
        self._asked: dict[str, str] = {}
        self._devices: dict[str, None] = {}
        self._active = False
        self._wheel = self._loaded = ""
        self._nodes = 0
        self._last: tuple[str, int | None] = ("", None)
        self._connected = self._complete = self._begun = self._gdr = self._is_nccl = False
        self._place = Place()

    def needles(self) -> Mapping[str, int]:
        return NEEDLES

    def read(self, passage: Passage) -> None:
        line = passage.line
        held, text = passage.held, line.text[:2000]
        if held & {"NCCL_", "FI_PROVIDER", "GLOO_SOCKET_IFNAME"} and " set by environment to " not in held:
            self._assignments(line.raw[:4000])
        if not held.isdisjoint(("CA '", "hca_id:", "Infiniband device '", " ==> ", "tate:")):
            self._of_adapters(line.raw[:300])
        if not held.isdisjoint(("nvidia-nccl-cu", "torch.cuda.nccl.version()")):
            self._libraries(passage)
        if " Pid " in held and (tested := TESTED.search(line.raw[:500])):
            self._size(int(tested[1]) + 1)
            self._tested.add(tested[2])
        if not self._of_nccl(text, held):
            return
        if not self._place.line:
            self._place = passage.place
        self._of_the_job(text, held)
        if told := INIT.search(text):
            self._of_a_communicator(passage, int(told[1]), int(told[2]), told[3], told[4] == "START")
        if "NCCL" in text or " INFO " in f" {text}":
            self._of_a_process(line, text)

    @staticmethod
    def _of_nccl(text: str, held: frozenset[str]) -> bool:
        return "NCCL INFO" in text or not held.isdisjoint(OF_NCCL)

    def _libraries(self, passage: Passage) -> None:
        text, below = passage.line.text[:300], passage.after(1)
        if wheel := WHEEL.search(text):
            self._wheel = self._wheel or wheel[1]
        elif "Name: nvidia-nccl-cu" in text and below and (shown := SHOWN.search(below[0].text[:100])):
            self._wheel = self._wheel or shown[1]
        if "torch.cuda.nccl.version()" in text and below and (answer := ANSWER.search(below[0].text[:100])):
            self._loaded = ".".join(answer.groups())

    def _of_adapters(self, text: str) -> None:
        if (device := DEVICE.search(text)) and len(self._devices) < 256:
            self._devices.setdefault(device[1] or device[2], None)
        self._active |= ACTIVE.search(text) is not None

    def _assignments(self, text: str) -> None:
        for name, value in ASSIGNED.findall(text):
            if len(self._asked) < MOST_SETTINGS:
                self._asked.setdefault(name, value.rstrip(","))

    def _of_the_job(self, text: str, held: frozenset[str]) -> None:
        self._connected |= "Connected all " in held or "# Avg bus bandwidth" in held
        self._gdr |= "/GDRDMA" in held or "GPU Direct RDMA Enabled" in held
        self._complete |= " - Init COMPLETE" in held
        self._begun |= not held.isdisjoint(
            (" - Init START", " nranks ", "NCCL INFO Setting affinity", " nNodes ", "NCCL INFO Trees [")
        )
        if nodes := NODES.search(text):
            self._nodes = max(self._nodes, int(nodes[1]))
        if (channel := PLUGIN_CHANNEL.search(text)) and len(self._slots) < 256:
            self._networks.setdefault(channel[1], None)
            self._slots.add(int(channel[2]))
        for _, size, old in SIZE.findall(text):
            self._size(int(size or old))
        if ring := RING.search(text):
            self._size(len(ring[1].split()))

    def _size(self, ranks: int) -> None:
        if len(self._sizes) < 64:
            self._sizes.add(ranks)

    def _process(self, line: Line) -> _Process | None:
        key = (line.node, line.pid)
        if not line.node and line.text.startswith("NCCL version "):
            # Printed without a prefix, right after a line of the process that prints it.
            key = self._last
        self._last = key
        if key not in self._processes and len(self._processes) >= MOST_PROCESSES:
            return None
        return self._processes.setdefault(key, _Process(*key))

    def _of_a_process(self, line: Line, text: str) -> None:
        process = self._process(line)
        if process is None:
            return
        if version := VERSION.search(text):
            process.version = version[1]
        if network := NETWORK.search(text):
            process.network = network[1]
        if setting := SETTING.search(text):
            if len(process.settings) < MOST_SETTINGS:
                process.settings[setting[1]] = setting[2].rstrip(".")
        elif "Using" in text:
            self._interfaces(process, text)
        process.no_adapter |= "NET/IB : No device found" in text
        process.no_libibverbs |= "Failed to open libibverbs" in text
        if (told := SIZE.search(text)) and told[1] and len(process.ranks) < 64:
            process.ranks.add(int(told[1]))

    @staticmethod
    def _interfaces(process: _Process, text: str) -> None:
        if "NET/IB : Using" in text:
            for name, port, layer in ADAPTER.findall(text):
                process.adapters.setdefault(Adapter(name, int(port), layer), None)
            return
        found = [Interface(name, address) for name, address in INTERFACE.findall(text)]
        if "Bootstrap" in text and found:
            process.bootstrap = process.bootstrap or found[0]
        for one in found:
            process.sockets.setdefault(one, None)

    def _of_a_communicator(self, passage: Passage, rank: int, size: int, name: str, starts: bool) -> None:
        if not starts:
            self._begun_ones.pop(name, None)
        elif len(self._begun_ones) < MOST_BEGUN:
            first = Sighting(
                "nccl-two-ids", "collective-timeout-desync", "root", "warning", passage.line.text[:400],
                passage.place, passage.order, passage.when,
            )  # fmt: skip
            self._begun_ones.setdefault(name, _Begun(size, first)).ranks.add(rank)

    def facts(self) -> Mapping[str, object]:
        if not self._place.line and not self._asked and not self._devices and not self._wheel:
            return {}
        return {
            "nccl-log": NcclLog(
                processes=tuple(one.fact for one in self._processes.values()),
                nodes=max(self._nodes, len(self._tested)),
                sizes=tuple(sorted(self._sizes)),
                connected=self._connected,
                complete=self._complete,
                begun=self._begun,
                networks=tuple(self._networks),
                slots=tuple(sorted(self._slots)),
                gdr=self._gdr,
                asked=dict(self._asked),
                devices=tuple(self._devices),
                active=self._active,
                wheel=self._wheel,
                loaded=self._loaded,
            )
        }

    def places(self) -> Mapping[str, Place]:
        return {"nccl-log": self._place} if self._place.line else {}

    def sightings(self) -> Sequence[Sighting]:
        """Two communicators of which each lacks the ranks of the other: they got their ids from different rounds.

        Groups of one size that are set up at the same time hold the ranks 0 to n-1 each, and are no such pair.
        """
        waiting: dict[int, list[_Begun]] = {}
        for one in self._begun_ones.values():
            if len(one.ranks) < one.size:
                for other in waiting.get(one.size, ()):
                    if len(one.ranks) + len(other.ranks) == one.size and not one.ranks & other.ranks:
                        last = max(one.first, other.first, key=lambda seen: seen.order)
                        return (replace(last, ranks=tuple(sorted(one.ranks | other.ranks)[:64])),)
                if len(waiting.setdefault(one.size, [])) < 64:
                    waiting[one.size].append(one)
        return ()
