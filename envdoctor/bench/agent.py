"""What runs on a node: climbs the rungs below torch itself, starts the ranks and leads them up the rest.

It tells every step on standard output before it is taken, so that a doctor who holds the output knows where it
stopped whatever the network does; and, once there is a connection, to the coordinator beside rank 0. When its standard
input ends, its doctor is gone: it ends its ranks and itself. Streamed to every node; Python 3.8 syntax, standard
library only.
"""

from __future__ import annotations

import json
import os
import platform
import queue
import signal
import socket
import sys
import threading
import time

from envdoctor.bench import boot, coordinator, ranks, rungs, ways
from envdoctor.patient import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Record = Dict[str, Any]

OWN_S = 4.0  # rank 0's own agent tries this long to reach the coordinator beside it
WELCOME_S = 5.0  # whoever listens there and says no welcome by then is no coordinator
AGAIN_S = 0.2  # between two attempts to reach the coordinator


class Over(Exception):
    """The coordinator has said how it ended."""


class Agent(object):
    """One node's part, or one rank's where a launcher has started every rank by itself.

    The request:
        cookie, index, agents: who of how many; {"from": [NAME, ...]} as the index is the first of these variables that
            is set, where a launcher gives every node the same input. per: "node" or "process". op: "allreduce".
        nproc: ranks to start. rank, local_rank, local_size: where a launcher numbers them.
        master_addr, master_port: where rank 0 is to be found. store_is_there: torchrun's agent keeps a store there.
        backend, sizes, dtype, join_s.
    """

    def __init__(self, request: "Record", whole: "Record") -> None:
        self.request = request
        self.whole = whole
        self.cookie = str(request["cookie"])
        self.index = index_of(request["index"])
        self.out = os.dup(1)
        os.dup2(2, 1)
        self.pen = threading.Lock()
        self.link: "Optional[socket.socket]" = None
        self.events: "queue.Queue[Any]" = queue.Queue()
        self.ranks: "List[ranks.Rank]" = []
        self.heard: "queue.Queue[Any]" = queue.Queue()  # (place of a rank, its record)
        self.listener = ways.Listener()
        self.leader: "Optional[coordinator.Coordinator]" = None
        self.addresses: "List[str]" = []
        self.rung = ""
        self.ended = threading.Event()

    # What it says

    def tell(self, record: "Record") -> None:
        """A record for the doctor at this node."""
        data = self.cookie.encode("ascii") + wire.encode(record)
        with self.pen:
            try:
                while data:
                    data = data[os.write(self.out, data) :]
            except OSError:
                self.orphaned()

    def say(self, record: "Record") -> None:
        """A record for the doctor at this node and for the coordinator."""
        self.tell(dict(record, node=self.index))
        self.pass_on(record)

    def pass_on(self, record: "Record") -> None:
        link = self.link
        if link is None:
            return
        try:
            with self.pen:
                link.sendall(json.dumps(record, separators=(",", ":"), default=str).encode("ascii") + b"\n")
        except OSError:
            pass  # its reader tells

    def begin(self, rung: str) -> None:
        self.rung = rung
        self.say({"begin": rung})

    def end(self, rung: str, values: "Optional[Record]" = None) -> None:
        self.say({"end": rung, "values": values or {}})

    def fail(self, rung: str, how: str, values: "Record") -> None:
        self.say({"failed": rung, "how": how, "values": values})

    # Its life

    def orphaned(self) -> None:
        ranks.end(self.ranks, 0.2)
        os._exit(130)

    def watch_standard_input(self) -> None:
        """Take the doctor's answers to the coordinator's questions; the end of the input is the end of everything."""
        buffer = b""
        while True:
            try:
                data = os.read(0, 1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                if self.leader is not None and line.strip():
                    self.leader.words.put(json.loads(line.decode("ascii")))
        if not self.ended.is_set():
            self.orphaned()

    def live(self) -> None:
        """Climb until it is over, then end everything."""
        ranks.die_with_parent()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.orphaned())
        threading.Thread(target=self.watch_standard_input, daemon=True).start()
        self.tell({"hello": self.hello(), "node": self.index})
        try:
            self.approach()
            self.follow()
        except ways.Cause as cause:
            self.fail(self.rung, cause.how, cause.values)
        except Over:
            pass
        if self.leader is not None:
            self.leader.join(30.0)
        self.tell({"done": True, "node": self.index})
        self.ended.set()
        ranks.end(self.ranks)
        os._exit(0)

    # The rungs below torch

    def hello(self) -> "Record":
        request = self.request
        return {
            "envdoctor": 1, "index": self.index, "agents": request["agents"], "per": request["per"],
            "name": platform.node(), "host": host_id(), "nproc": request["nproc"], "rank": request.get("rank"),
            "port": self.listener.port, "address": "", "python": sys.executable,
            "python_version": platform.python_version(), "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity") else os.cpu_count(), "mtus": ways.interface_mtus(), "pid": os.getpid(),
        }  # fmt: skip

    def approach(self) -> None:
        """Everything up to being with the others. Raises Cause."""
        request = self.request
        host, port = str(request["master_addr"]), int(request["master_port"])
        alone = int(request["agents"]) == 1
        self.begin("resolve")
        self.addresses = ways.resolve(host, rungs.LIMITS["resolve"])
        self.end("resolve", {"addresses": self.addresses})
        self.begin("route")
        sources = [source for source in map(ways.source_to, self.addresses) if source]
        if not sources:
            raise ways.Cause("no-route", host=host, address=self.addresses[0])
        self.look_for_interfaces()
        self.end("route", {"source": sources[0]})
        if self.request.get("store_is_there"):
            link = self.connect_through_store(host, port)
        else:
            if self.index == 0:
                port = self.bind(host, port)
            # The ranks start early: importing torch takes longer than all rungs below it.
            self.start_ranks()
            link = self.connect(host, port)
        hello = dict(self.hello(), address=link.getsockname()[0] if not alone else "127.0.0.1")
        if self.index == 0:
            hello["address"] = next((one for one in self.addresses if ways.is_here(one)), hello["address"])
        hello["address"] = str(hello["address"]).replace("::ffff:", "")
        self.begin("join")
        self.link = link  # from here on the coordinator hears what is said; first of all, who says it
        self.pass_on({"hello": hello})
        threading.Thread(target=self.stay_alive, daemon=True).start()
        threading.Thread(target=self.hear_coordinator, args=(link,), daemon=True).start()

    def look_for_interfaces(self) -> None:
        """GLOO_SOCKET_IFNAME names interfaces exactly; gloo ends at the first that is not there. Raises Cause."""
        named = [name for name in os.environ.get("GLOO_SOCKET_IFNAME", "").split(",") if name]
        present = ways.interface_mtus()
        absent = [name for name in named if name not in present]
        if present and absent and self.request["backend"] != "nccl":
            raise ways.Cause("interface-missing", error=",".join(absent))

    def bind(self, host: str, port: int) -> int:
        """Open the roll call at the master's port, or say why that cannot be. The port, the kernel's choice for 0."""
        self.begin("bind")
        family = socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
            listener.listen(1024)
        except OSError as error:
            raise ways.Cause("bind", host=host, port=port, error=ways.name_of(error)) from None
        port = int(listener.getsockname()[1])
        self.request["master_port"] = port
        self.leader = coordinator.Coordinator(listener, int(self.request["agents"]), self.request, self.tell)
        self.leader.start()
        self.end("bind", {"port": port})
        return port

    def connect_through_store(self, host: str, port: int) -> socket.socket:
        """Under torchrun its agent keeps a store at the master's port, and the store says where the coordinator is."""
        self.connect(host, port).close()
        self.start_ranks()
        word: "Record" = {"go": "lookup", "limit_s": self.request["join_s"]}
        if self.index == 0:
            word["port"] = self.bind(host, 0)
            self.request["master_port"] = port  # the store's
        self.begin("store")
        self.ranks[0].tell(word)
        told = self.answer_of("lookup", float(self.request["join_s"]) + rungs.LIMITS["torch"])
        self.end("store")
        return self.connect(host, int(told["port"]))

    def answer_of(self, rung: str, limit_s: float) -> "Record":
        """What the first rank answers. Raises Cause."""
        try:
            place, record = self.heard.get(timeout=limit_s)
        except queue.Empty:
            raise ways.Cause("silent", seconds=limit_s) from None
        if record is None:
            raise ways.Cause("died", **self.death_of(self.ranks[place]))
        if "failed" in record:
            raise ways.Cause(str(record.get("how")), **(record.get("values") or {}))
        return dict(record.get("values") or {})

    def connect(self, host: str, port: int) -> socket.socket:
        """Reach the coordinator, again and again until the time is up: nodes are started one after the other."""
        self.begin("connect")
        began = time.monotonic()
        # Beside rank 0 the port is open already; an address that leads elsewhere (or to a service that leads back
        # here) shows at once.
        until = began + (float(self.request["join_s"]) if self.index else OWN_S)
        tried = ways.Dialled("timeout", 0.0)
        outcomes: "Dict[str, int]" = {}
        while True:
            for address in self.addresses:
                left_s = until - time.monotonic()
                tried = ways.dial(address, port, max(0.2, min(ways.DIAL_S, left_s)))
                if tried.connection is not None:
                    tried.connection.settimeout(None)
                    tried.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.end("connect", {"address": address, "seconds": round(tried.seconds, 6)})
                    return tried.connection
                outcomes[tried.outcome] = outcomes.get(tried.outcome, 0) + 1
            if time.monotonic() + AGAIN_S >= until or tried.outcome == "filtered":
                break
            time.sleep(AGAIN_S)
        values: "Record" = {
            "host": host, "port": port, "address": self.addresses[0], "outcomes": outcomes,
            "seconds": round(time.monotonic() - began, 3),
        }  # fmt: skip
        if self.index == 0 and not any(ways.is_here(address) for address in self.addresses):
            raise ways.Cause("not-here", **values)
        if tried.outcome in ("timeout", "filtered"):
            values["elsewhere"] = ways.lives(self.addresses[0])
        raise ways.Cause(tried.outcome, **values)

    # With the others

    def stay_alive(self) -> None:
        while not self.ended.wait(rungs.ALIVE_S):
            self.pass_on({"alive": True})

    def hear_coordinator(self, link: socket.socket) -> None:
        buffer = b""
        while True:
            try:
                data = link.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                self.events.put({"cut": True})
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                try:
                    record = json.loads(line.decode("utf-8", "replace"))
                except ValueError:
                    record = None
                if not isinstance(record, dict):
                    self.events.put({"foreign": line[:200].decode("utf-8", "replace")})
                    return
                self.events.put(record)

    def follow(self) -> None:
        """Do what the coordinator says until it says that it is over."""
        welcome = False
        while True:
            try:
                event = self.events.get(timeout=rungs.SILENT_S if welcome else WELCOME_S)
            except queue.Empty:
                event = {"cut": True} if welcome else {"foreign": ""}
            if "welcome" in event:
                welcome = True
            elif "go" in event:
                rung = str(event["go"])
                self.begin(rung)
                worker = {"dial": self.dial, "bulk": self.bulk}.get(rung)
                if worker is not None:
                    threading.Thread(target=self.alone, args=(rung, worker, event), daemon=True).start()
                else:
                    self.lead(rung, event)
            elif "stop" in event:
                if event["stop"].get("refused"):
                    self.leader = None  # another has this agent's place, and its coordinator is the one that counts
                if self.leader is None:
                    self.tell({"stop": event["stop"], "node": self.index})
                raise Over
            elif "foreign" in event or ("cut" in event and not welcome):
                raise ways.Cause("foreign", address=self.addresses[0], error=event.get("foreign", ""))
            elif "cut" in event:
                raise ways.Cause("cut", host=self.request["master_addr"])

    def alone(self, rung: str, function: "Any", event: "Record") -> None:
        try:
            self.end(rung, function(event))
        except ways.Cause as cause:
            self.fail(rung, cause.how, cause.values)
        except Exception as error:
            self.fail(rung, "raised", {"error": "%s: %s" % (type(error).__name__, error)})

    def dial(self, event: "Record") -> "Record":
        peers = {int(node): (str(place[0]), int(place[1])) for node, place in event["peers"].items()}
        outcomes = ways.dial_all(peers)
        bad = {node: outcome for node, outcome in outcomes.items() if outcome != "connected"}
        if bad:
            raise ways.Cause("unreached", peers=bad, reached=len(outcomes) - len(bad))
        return {"reached": len(outcomes)}

    def bulk(self, event: "Record") -> "Record":
        """A bulk to each peer, side by side, or a stream to one."""
        told: "Dict[str, Record]" = {}

        def one(node: str, address: str, port: int) -> None:
            told[node] = ways.push(address, port, int(event.get("size") or 0), float(event.get("seconds") or 0.0))

        threads = [
            threading.Thread(target=one, args=(node, str(place[0]), int(place[1])), daemon=True)
            for node, place in event["peers"].items()
        ]
        for thread in threads:
            thread.start()
        until = time.monotonic() + float(event["limit_s"])
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        bad = {node: row for node, row in told.items() if row["outcome"] != "ok"}
        for node in event["peers"]:
            if node not in told:
                bad[node] = {"outcome": "stalled"}
        if bad:
            raise ways.Cause("stalled", peers=bad)
        return {"peers": told}

    # The ranks

    def start_ranks(self) -> None:
        command = [sys.executable, "-c", boot.COMMAND]
        for place in range(int(self.request["nproc"])):
            given = self.request.get("local_rank")
            local_rank = place if given is None else int(given)
            environ = dict(os.environ, LOCAL_RANK=str(local_rank))
            if not environ.get("OMP_NUM_THREADS"):
                environ["OMP_NUM_THREADS"] = "1"  # as torchrun does for several ranks of a node
            request = dict(self.request, local_rank=local_rank, place=place)
            blob = boot.line(self.whole, "envdoctor.bench.worker", request)
            self.ranks.append(ranks.Rank(place, command, blob, environ, self.cookie.encode("ascii"), self.hear_rank))

    def hear_rank(self, place: int, record: "Optional[Record]") -> None:
        self.heard.put((place, record))

    def lead(self, rung: str, event: "Record") -> None:
        """Have every rank of this node do it, and answer for all of them; the answers are collected in a thread."""
        asked = [rank for rank in self.ranks if not (event.get("open") and rank.place)]
        for rank in asked:
            rank.tell(event)
        threading.Thread(target=self.gather, args=(rung, asked, float(event["limit_s"])), daemon=True).start()

    def gather(self, rung: str, asked: "List[ranks.Rank]", limit_s: float) -> None:
        until = time.monotonic() + limit_s
        answers: "Dict[int, Record]" = {}
        while len(answers) < len(asked):
            try:
                place, record = self.heard.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                late = [rank.place for rank in asked if rank.place not in answers]
                self.fail(rung, "silent", {"places": late, "seconds": limit_s})
                return
            if self.ended.is_set():
                return  # what ends now is ended by this agent
            if record is None:
                self.fail(rung, "died", self.death_of(self.ranks[place]))
                return
            if "failed" in record:
                self.fail(rung, str(record.get("how")), record.get("values") or {})
                return
            if record.get("end") == rung:
                answers[place] = record.get("values") or {}
        merged: "Record" = {}
        for place in sorted(answers, reverse=True):
            for key, value in answers[place].items():
                merged[key] = combined(key, merged.get(key), value)
        self.end(rung, merged)

    def death_of(self, rank: "ranks.Rank") -> "Record":
        status = rank.status()
        values: "Record" = {"place": rank.place, "status": status, "said": rank.last_words()}
        if status is not None and status < 0:
            try:
                values["signal"] = signal.Signals(-status).name
            except ValueError:
                values["signal"] = "signal %d" % -status
        return values


def combined(key: str, others: "Any", value: "Any") -> "Any":
    """What the ranks of a node say together: of times the longest, what each saw wrong, else what the first says."""
    if others is None:
        return value
    if key == "times":
        return [max(pair) for pair in zip(others, value)]
    if key == "wrong":
        return dict(others, **value)
    if key == "groups":
        return {name: max(others.get(name, 0), value.get(name, 0)) for name in set(others) | set(value)}
    return value


def index_of(given: "Any") -> int:
    """The index of a request, or what a variable of the launcher says."""
    if isinstance(given, int):
        return given
    return next(int(os.environ[name]) for name in given["from"] if os.environ.get(name, "").isdigit())


def host_id() -> str:
    """What tells machines apart, network namespaces included: containers may share a boot id and a name."""
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id",):
        try:
            with open(path) as file:
                parts.append(file.read().strip())
        except OSError:
            pass
    try:
        parts.append(os.readlink("/proc/self/ns/net"))
    except OSError:
        pass
    return "|".join(parts)


def main(request: "Record", whole: "Record") -> None:
    """Entry point of the streamed program."""
    Agent(request, whole).live()
