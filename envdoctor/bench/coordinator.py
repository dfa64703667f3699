"""Beside rank 0: calls the roll, leads all agents up the ladder together, and says where and why it ended.

The coordinator speaks with the agents over plain TCP connections of its own, not over what is being tested: an agent
that cannot go on says so, and nobody is left waiting in a collective without a deadline. What agents send is data:
bounded, checked, never executed. Streamed to every node; Python 3.6 syntax, standard library only.
"""

import json
import queue
import selectors
import socket
import threading
import time

from envdoctor.bench import rungs, schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set

    Record = Dict[str, Any]

HELLO_S = 5.0  # a connection that has not said who it is by then is somebody else's
MOST_STRANGERS = 256


class Agent(object):
    """A connection, and what is known of who is at its other end."""

    def __init__(self, connection: socket.socket, address: str) -> None:
        self.connection = connection
        self.address = address
        self.index = -1  # until it has said hello
        self.hello: "Record" = {}
        self.buffer = b""
        self.out = b""
        self.heard_at = time.monotonic()


class Stopped(Exception):
    """The climb is over before its end."""


class Coordinator(threading.Thread):
    """The thread that leads.

    Args:
        listener: a listening socket; closed once everybody is there.
        expected: how many agents there are to be.
        tell: takes every record of the other agents, and the coordinator's own, for the doctor at this node.
    """

    def __init__(self, listener: socket.socket, expected: int, request: "Record", tell: "Callable[[Record], None]"):
        threading.Thread.__init__(self, daemon=True)
        self.listener = listener
        self.expected = expected
        self.request = request
        self.tell = tell
        self.agents: "Dict[int, Agent]" = {}
        self.strangers: "Set[Agent]" = set()
        self.lost: "List[int]" = []
        self.absent: "Set[int]" = set()  # that will not come, as the doctor has heard
        self.causes: "List[Record]" = []  # failures, as they came
        self.answers: "Dict[int, Record]" = {}  # to the command in flight
        self.rung = "join"
        self.selector = selectors.DefaultSelector()
        self.world_size = 0
        self.free_bytes = 1 << 60  # of the rank that has least memory
        self.devices = 1  # of gloo, which it uses in turn
        self.rtt_s = 0.0  # the longest round trip between two machines
        self.alive_at = 0.0
        self.words: "queue.Queue[Record]" = queue.Queue()  # the doctor's answers

    # What goes on on the connections

    def run(self) -> None:
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        stage = rungs.DONE
        try:
            self.call_the_roll()
            for _ in schedule.climb(self):
                pass
        except Stopped:
            stage = self.rung
        except Exception as error:  # a bug here must not leave the agents without a word
            self.causes.append({"rung": self.rung, "how": "coordinator", "values": {"error": repr(error)}})
            stage = self.rung
        self.finish(stage)

    def pump(self, until: float, done: "Callable[[], bool]") -> bool:
        """Take what comes until `done()` or the time is up; whether it was done."""
        while not done():
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            for key, events in self.selector.select(min(left_s, 0.25)):
                if key.data is None:
                    self._accept()
                elif events & selectors.EVENT_WRITE:
                    self._flush(key.data)
                else:
                    self._read(key.data)
            self._look_after_the_silent()
        return True

    def _accept(self) -> None:
        try:
            connection, address = self.listener.accept()
        except OSError:
            return
        if len(self.strangers) >= MOST_STRANGERS:
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        agent = Agent(connection, str(address[0]).replace("::ffff:", ""))
        self.strangers.add(agent)
        self.selector.register(connection, selectors.EVENT_READ, agent)

    def _read(self, agent: "Agent") -> None:
        try:
            data = agent.connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        agent.heard_at = time.monotonic()
        *lines, agent.buffer = (agent.buffer + data).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                record = None
            if isinstance(record, dict):
                self._take(agent, record)
            else:
                data = b""  # not one of us
                break
        if not data or len(agent.buffer) > rungs.LINE:
            self._gone(agent)

    def _take(self, agent: "Agent", record: "Record") -> None:
        if agent.index < 0:
            hello = record.get("hello")
            if isinstance(hello, dict) and hello.get("envdoctor") == 1:
                self._greet(agent, hello)
            else:
                self._gone(agent)
            return
        if "alive" in record:
            return
        if agent.index != 0:
            self.tell(dict(record, node=agent.index))
        if "failed" in record:
            self.causes.append(
                {"rung": str(record["failed"]), "node": agent.index, "how": str(record.get("how")),
                 "values": record.get("values") if isinstance(record.get("values"), dict) else {}}
            )  # fmt: skip
        if "failed" in record or "end" in record:
            self.answers[agent.index] = record

    def _greet(self, agent: "Agent", hello: "Record") -> None:
        index = hello.get("index")
        if not isinstance(index, int) or not 0 <= index < (1 << 20):
            self._gone(agent)
            return
        mine = {"name": hello.get("name"), "address": agent.address}
        if hello.get("agents") != self.expected or index >= self.expected:
            values = dict(mine, index=index, agents=hello.get("agents"), expected=self.expected)
            self._refuse(agent, "world-size", values)
        elif index in self.agents:
            first = self.agents[index]
            values = dict(mine, index=index, first=first.hello.get("name"), first_address=first.address)
            self._refuse(agent, "duplicate", values)
        else:
            self.strangers.discard(agent)
            agent.index, agent.hello = index, dict(hello, address=hello.get("address") or agent.address)
            self.agents[index] = agent
            self.send(agent, {"welcome": len(self.agents)})
            if index:
                self.tell({"hello": agent.hello, "node": index})

    def _refuse(self, agent: "Agent", how: str, values: "Record") -> None:
        """One that contradicts the others ends the roll call for all: waiting would not mend it."""
        cause = {"rung": "join", "how": how, "values": values}
        self.causes.append(cause)
        self.send(agent, {"stop": {"stage": "join", "causes": [cause], "missing": [], "refused": True}})

    def _gone(self, agent: "Agent", silent: bool = False) -> None:
        """A connection ended, or nothing has come over it for too long."""
        try:
            self.selector.unregister(agent.connection)
        except (KeyError, ValueError):
            pass
        agent.connection.close()
        self.strangers.discard(agent)
        if self.agents.get(agent.index) is agent:
            del self.agents[agent.index]
            self.lost.append(agent.index)
            self._miss(agent, "unheard" if silent else "lost")
            self.tell({"lost": agent.index, "rung": self.rung, "node": agent.index})

    def _look_after_the_silent(self) -> None:
        now = time.monotonic()
        if now - self.alive_at > rungs.ALIVE_S:
            self.alive_at = now
            for agent in list(self.agents.values()):
                self.send(agent, {"alive": True})
        for agent in list(self.agents.values()):
            if now - agent.heard_at > rungs.SILENT_S:
                self._gone(agent, silent=True)
        for agent in list(self.strangers):
            if now - agent.heard_at > HELLO_S:
                self._gone(agent)

    def _miss(self, agent: "Agent", how: str) -> None:
        values = {"name": agent.hello.get("name"), "seconds": round(time.monotonic() - agent.heard_at, 1)}
        self.causes.append({"rung": self.rung, "node": agent.index, "how": how, "values": values})

    def send(self, agent: "Agent", record: "Record") -> None:
        agent.out += json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        self._flush(agent)

    def _flush(self, agent: "Agent") -> None:
        try:
            while agent.out:
                agent.out = agent.out[agent.connection.send(agent.out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._gone(agent)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if agent.out else 0)
        try:
            self.selector.modify(agent.connection, wanted, agent)
        except (KeyError, ValueError):
            pass

    def _close(self) -> None:
        """Nobody else is waited for."""
        try:
            self.selector.unregister(self.listener)
        except (KeyError, ValueError):
            return  # it is closed
        self.listener.close()

    # The roll and the rungs

    def call_the_roll(self) -> None:
        """Wait until every agent has said hello. Raises Stopped where one never comes or two contradict."""
        self.tell({"begin": "join", "node": 0, "expected": self.expected})
        if self.request.get("store_is_there"):
            # Where it listens is told through the store, for which each imports torch first, rank 0 as well.
            self.pump(time.monotonic() + rungs.LIMITS["torch"], lambda: 0 in self.agents or bool(self.causes))
        until = time.monotonic() + float(self.request["join_s"])
        self.pump(until, lambda: len(self.absent.union(self.agents)) == self.expected or bool(self.causes))
        if self.causes or len(self.agents) < self.expected:
            # The one that was refused may stand for one that is waited for: what else comes is heard out.
            self.pump(time.monotonic() + 0.5, lambda: False)
            raise Stopped
        self._close()
        first = 0
        for index in sorted(self.agents):
            hello = self.agents[index].hello
            hello["first_rank"] = first
            first += max(1, int(hello.get("nproc") or 1))
        self.world_size = first
        self.tell({"end": "join", "node": 0, "values": {"agents": self.roll(), "world_size": first}})

    def roll(self) -> "List[Record]":
        """Who is there, by index."""
        return [self.agents[index].hello for index in sorted(self.agents)]

    def together(
        self, rung: str, arguments: "Callable[[Record], Optional[Record]]", limit_s: "Optional[float]" = None
    ) -> "Dict[int, Record]":
        """Have every agent do one thing, and wait for all.

        Args:
            arguments: what an agent is told, from its hello; None leaves it out.

        Returns:
            Index -> what it answered.

        Raises:
            Stopped: one failed, was lost, or gave no answer in time.
        """
        self.rung = rung
        limit_s = rungs.LIMITS[rung] if limit_s is None else limit_s
        self.answers = {}
        asked = []
        for index, agent in list(self.agents.items()):
            told = arguments(agent.hello)
            if told is not None:
                asked.append(index)
                self.send(agent, dict(told, go=rung, limit_s=limit_s))
        until = time.monotonic() + limit_s + rungs.GRACE_S

        def settled() -> bool:
            return bool(self.causes) or all(index in self.answers for index in asked)

        self.pump(until, settled)
        if self.causes:
            # Who failed first is rarely who is to blame: the others say what they saw.
            self.pump(time.monotonic() + rungs.GRACE_S, lambda: all(index in self.answers for index in asked))
        owing = [self.agents[index] for index in asked if index not in self.answers and index in self.agents]
        for agent in owing:
            if time.monotonic() - agent.heard_at > rungs.MUTE_S:
                self._miss(agent, "unheard")  # what the others report of the way to it says nothing about that way
        if owing and not self.causes:
            for agent in owing:
                self._miss(agent, "no-answer")
        if self.causes:
            raise Stopped
        return {index: self.answers[index].get("values") or {} for index in asked}

    def give_up(self, rung: str, how: str, values: "Record") -> None:
        """The agent at this node cannot take part; called from its thread."""
        self.causes.append({"rung": rung, "node": 0, "how": how, "values": values})

    def ask(self, question: str, limit_s: float = 5.0) -> "Record":
        """Ask the doctor at this node, who knows what is to be expected. Its answer; {} where none came in time."""
        self.tell({"asks": question, "node": 0})
        self.pump(time.monotonic() + limit_s, lambda: not self.words.empty())
        return {} if self.words.empty() else self.words.get()

    def finish(self, stage: str) -> None:
        """Tell everybody how it ended; who comes later finds nobody."""
        self._close()
        missing = [index for index in range(self.expected) if index not in self.agents and index not in self.lost]
        end = {"stage": stage, "causes": self.causes[:64], "missing": missing, "agents": self.roll(), "lost": self.lost}
        for agent in list(self.agents.values()) + list(self.strangers):
            self.send(agent, {"stop": end})
        self.pump(time.monotonic() + 1.0, lambda: not any(agent.out for agent in self.agents.values()))
        self.tell({"stop": end, "node": 0})
