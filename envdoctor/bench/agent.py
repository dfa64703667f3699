"""What runs on a node: climbs the rungs below torch itself, starts the ranks and leads them up the rest.

It tells every step on standard output before it is taken, so that a doctor who holds the output knows where it
stopped whatever the network does; and, once there is a connection, to the coordinator beside rank 0. When its standard
input ends, its doctor is gone: it ends its ranks and itself. Streamed to every node; Python 3.6 syntax, standard
library only.
"""

import json
import os
import platform
import queue
import signal
import socket
import sys
import threading
import time

from envdoctor.bench import (
    coordinator,
    counters,
    crew,
    identity,
    knock,
    lifeline,
    peers,
    rails,
    ranks,
    rungs,
    schedule,
    ways,
)
from envdoctor.patient import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Record = Dict[str, Any]

OWN_S = 4.0  # rank 0's own agent tries this long to reach the coordinator beside it
WELCOME_S = 5.0  # whoever listens there and says no welcome by then is no coordinator
SURE_S = 8.0  # for those that are told where rank 0 is once it listens: time for two attempts
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
        meet: that is told later, see `meet`. pulse_s: silence of the doctor that means that it is gone, 0 for none.
        backend, sizes, dtype, join_s. environ, nproc 0: see `lifeline.prepare`.
    """

    def __init__(self, request: "Record", whole: "Record") -> None:
        self.request = request
        lifeline.prepare(request)
        self.whole = whole
        self.cookie = str(request["cookie"])
        self.index = identity.index_of(request["index"])
        self.out = os.dup(1)
        os.dup2(2, 1)
        self.pen = threading.Lock()
        self.link: "Optional[socket.socket]" = None
        self.events: "queue.Queue[Any]" = queue.Queue()
        self.crew = crew.Crew(request, whole)
        self.listener = ways.Listener()
        self.leader: "Optional[coordinator.Coordinator]" = None
        self.addresses: "List[str]" = []
        self.rung, self.join_until = "", 0.0
        self.invitations: "queue.Queue[Record]" = queue.Queue()
        self.ended = threading.Event()
        self.at_rest = threading.Event()  # its doctor looks at this machine no longer

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
        self.crew.end(0.2)
        os._exit(130)

    def watch_standard_input(self) -> None:
        """Take the doctor's invitation, and its answers to the coordinator's questions; the end of the input is the end
        of everything."""
        for word in lifeline.words(float(self.request.get("pulse_s") or 0.0)):
            if "meet" in word:
                if word.get("to", self.index) == self.index:
                    self.invitations.put(word["meet"])
            elif "looked" in word:
                self.at_rest.set()
            elif self.leader is not None and "absent" in word:
                self.leader.absent.add(int(word["absent"]))
            elif self.leader is not None:
                self.leader.words.put(word)
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
            if self.request.get("meet"):
                self.meet()
            port = self.approach()
            while not self.follow(self.join(port)):
                # It closed before it had said welcome: rank 0's node may be starting anew.
                if time.monotonic() > self.join_until:
                    raise ways.Cause("foreign", address=self.addresses[0], error="")
        except ways.Cause as cause:
            self.fail(self.rung, cause.how, cause.values)
            if self.leader is not None and self.link is None:
                # The coordinator beside it has not heard that: nobody waits for a rank 0 that cannot come.
                self.leader.give_up(self.rung, cause.how, cause.values)
        except Over:
            pass
        if self.leader is not None:
            self.leader.join(30.0)
        self.tell({"done": True, "node": self.index})
        self.ended.set()
        self.crew.end()
        os._exit(0)

    def meet(self) -> None:
        """Wait until the doctor says where rank 0 is: it asks the first agent, once all have said hello."""
        told = self.invitations.get()
        if self.index == 0:
            told["master_addr"] = lifeline.own_address(told["towards"], str(told["given"]))
            self.tell({"meeting": told["master_addr"], "node": 0})
        self.request.update(master_addr=told["master_addr"], master_port=told["master_port"])

    # The rungs below torch

    def hello(self) -> "Record":
        request = self.request
        return {
            "envdoctor": 1, "index": self.index, "agents": request["agents"], "per": request["per"],
            "name": platform.node(), "host": identity.host_id(), "nproc": request["nproc"], "rank": request.get("rank"),
            "kernel": identity.boot_id(), "cpus": identity.cpu_mask(),
            "port": self.listener.port, "address": "", "python": sys.executable,
            "python_version": platform.python_version(), "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity") else os.cpu_count(), "mtus": rails.interface_mtus(), "pid": os.getpid(),
            "login": lifeline.login()[1], "rails": rails.rails(os.environ),
        }  # fmt: skip

    def approach(self) -> int:
        """Everything up to meeting the others. The port at which they meet. Raises Cause."""
        request = self.request
        self.join_until = time.monotonic() + float(request["join_s"])
        if request.get("meet") and self.index:
            self.join_until = time.monotonic() + min(float(request["join_s"]), SURE_S)
        host, port = str(request["master_addr"]), int(request["master_port"])
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
            return self.through_store(host, port)
        if self.index == 0:
            port = self.bind(host, port)
        # The ranks start early: importing torch takes longer than all rungs below it.
        if request["op"] not in schedule.WITHOUT_TORCH:
            self.crew.start()
        return port

    def join(self, port: int) -> socket.socket:
        """Reach the coordinator and say who this is. Raises Cause."""
        link = self.connect(str(self.request["master_addr"]), port)
        alone = int(self.request["agents"]) == 1
        hello = dict(self.hello(), address=link.getsockname()[0] if not alone else "127.0.0.1")
        if self.index == 0:
            hello["address"] = next((one for one in self.addresses if ways.is_here(one)), hello["address"])
        hello["address"] = str(hello["address"]).replace("::ffff:", "")
        self.begin("join")
        self.link = link  # from here on the coordinator hears what is said; first of all, who says it
        self.pass_on({"hello": hello})
        threading.Thread(target=self.stay_alive, args=(link,), daemon=True).start()
        threading.Thread(target=self.hear_coordinator, args=(link,), daemon=True).start()
        return link

    def look_for_interfaces(self) -> None:
        """GLOO_SOCKET_IFNAME names interfaces exactly; gloo ends at the first that is not there. Raises Cause."""
        named = [name for name in os.environ.get("GLOO_SOCKET_IFNAME", "").split(",") if name]
        present = rails.interface_mtus()
        absent = [name for name in named if name not in present]
        if present and absent and self.request["backend"] != "nccl":
            raise ways.Cause("interface-missing", error=",".join(absent))

    def bind(self, host: str, port: int) -> int:
        """Open the roll call at the master's port, or say why that cannot be. The port, the kernel's choice for 0."""
        self.begin("bind")
        family = socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ways.in_small_segments(listener)
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
        knock.answer(port, lambda: listener.fileno() >= 0)  # the coordinator closes it once all are there
        self.end("bind", {"port": port})
        return port

    def through_store(self, host: str, port: int) -> int:
        """Under torchrun its agent keeps a store at the master's port, and the store says where the coordinator is."""
        self.connect(host, port).close()
        self.crew.start()
        limit_s = float(self.request["join_s"]) + rungs.LIMITS["torch"]
        word: "Record" = {"go": "lookup", "limit_s": limit_s}
        if self.index == 0:
            word["port"] = self.bind(host, 0)
            self.request["master_port"] = port  # the store's
        self.begin("store")
        try:
            told = self.crew.do(word)
        except ways.Cause as cause:
            if "absent" in cause.values:
                self.rung = "torch"  # it is not the store that fails
            raise
        self.end("store")
        return int(told["port"])

    def connect(self, host: str, port: int) -> socket.socket:
        """Reach the coordinator, again and again until the time is up: nodes are started one after the other."""
        self.begin("connect")
        began = time.monotonic()
        # Beside rank 0 the port is open already; an address that leads elsewhere (or to a service that leads back
        # here) shows at once.
        until = self.join_until if self.index else began + OWN_S
        tried = ways.Dialled("timeout", 0.0)
        outcomes: "Dict[str, int]" = {}
        lives = knock.Later(lambda: knock.lives(self.addresses[0]))
        while True:
            for address in self.addresses:
                left_s = until - time.monotonic()
                tried = ways.dial(address, port, max(0.2, min(ways.DIAL_S, left_s)), small=True)
                if tried.connection is not None:
                    tried.connection.settimeout(None)
                    tried.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.end("connect", {"address": address, "seconds": round(tried.seconds, 6)})
                    return tried.connection
                outcomes[tried.outcome] = outcomes.get(tried.outcome, 0) + 1
                if tried.outcome in ("timeout", "filtered"):
                    lives.begin()  # while it is tried again: rank 0's node will not wait for that answer
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
            values["elsewhere"] = lives.answer(2 * ways.DIAL_S)
        elif tried.outcome == "refused" and knock.answers(self.addresses[0], port):
            values["elsewhere"] = "udp"
        raise ways.Cause(tried.outcome, **values)

    # With the others

    def stay_alive(self, link: socket.socket) -> None:
        while not self.ended.wait(rungs.ALIVE_S) and self.link is link:
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

    def follow(self, link: socket.socket) -> bool:
        """Do what the coordinator says until it says that it is over (raises Over). False where the connection ended
        before a welcome. Raises Cause."""
        welcome = False
        while True:
            try:
                event = self.events.get(timeout=rungs.SILENT_S if welcome else WELCOME_S)
            except queue.Empty:
                event = {"cut": True, "seconds": rungs.SILENT_S} if welcome else {"foreign": ""}
            if "welcome" in event:
                welcome = True
            elif "go" in event:
                rung = str(event["go"])
                self.begin(rung)
                own = {"dial": peers.dial, "bulk": peers.bulk, "stream": peers.bulk, "count": counters.count}
                own["rest"] = lambda event: {"rested": self.at_rest.wait(float(event["limit_s"]) - 1.0)}
                work = (rung, own.get(rung, self.crew.do), event)
                threading.Thread(target=self.climb, args=work, daemon=True).start()
            elif "stop" in event:
                if event["stop"].get("refused"):
                    self.leader = None  # another has this agent's place, and its coordinator is the one that counts
                if self.leader is None:
                    self.tell({"stop": event["stop"], "node": self.index})
                raise Over
            elif "cut" in event and not welcome:
                self.link = None
                link.close()
                time.sleep(AGAIN_S)
                return False
            elif "foreign" in event:
                raise ways.Cause("foreign", address=self.addresses[0], error=event.get("foreign", ""))
            elif "cut" in event:
                raise ways.Cause("cut", host=self.request["master_addr"], seconds=event.get("seconds"))

    def climb(self, rung: str, function: "Any", event: "Record") -> None:
        """One rung, in a thread of its own: the coordinator's word that all is over is heard meanwhile."""
        try:
            self.end(rung, function(event))
        except ways.Cause as cause:
            if not self.crew.over.is_set():
                self.fail(rung, cause.how, cause.values)
        except Exception as error:
            self.fail(rung, "raised", {"error": "%s: %s" % (type(error).__name__, error)})


def main(request: "Record", whole: "Record") -> None:
    """Entry point of the streamed program."""
    Agent(request, whole).live()
