"""One rank: imports torch and does, one command at a time, what its agent says.

Everything that may block does so here, in a process that can be killed. Commands come as JSON lines on standard
input, answers go as records to standard output. Streamed to every node; Python 3.6 syntax, torch and the standard
library only.
"""

import datetime
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback

from envdoctor.bench import memory, patterns, rails, ranks, ways
from envdoctor.patient import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Record = Dict[str, Any]

# Rungs that another streamed module does, with a function do_<rung>(worker, command) -> values.
ELSEWHERE: "Dict[str, str]" = {}
WATCHDOG_S = 3600.0
RESOLVER_S = 2.0  # for what is only worth knowing
LOCATING = 8  # sums of each group: bad data may come now and then


class Worker(object):
    """The state of a rank between commands."""

    def __init__(self, request: "Record") -> None:
        self.request = request
        self.cookie = str(request["cookie"]).encode("ascii")
        self.out = os.dup(1)
        os.dup2(2, 1)
        self.torch: "Any" = None
        self.dist: "Any" = None
        self.store: "Any" = None
        self.group: "Any" = None  # None is the default group, gloo
        self.device: "Any" = "cpu"
        self.rank = self.world_size = -1
        self.turn = 0
        self.prefix = "envdoctor/" + os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.import_error: "Record" = {}
        self.commands: "queue.Queue[Record]" = queue.Queue()

    def send(self, record: "Record") -> None:
        data = self.cookie + wire.encode(record)
        while data:
            data = data[os.write(self.out, data) :]

    def hear(self) -> None:
        """Take commands; the end of standard input is the end of the agent, and of this process at once."""
        while True:
            line = sys.stdin.buffer.readline()
            if not line:
                os._exit(130)
            self.commands.put(json.loads(line.decode("ascii")))

    def run(self) -> None:
        threading.Thread(target=self.hear, daemon=True).start()
        self.import_torch()
        while True:
            command = self.commands.get()
            rung = str(command["go"])
            try:
                if rung in ELSEWHERE:
                    values = getattr(sys.modules["envdoctor.bench." + ELSEWHERE[rung]], "do_" + rung)(self, command)
                else:
                    values = getattr(self, "do_" + rung)(command)
                self.send({"end": rung, "values": values})
            except Exception as error:
                self.send({"failed": rung, "how": "raised", "values": described(error)})

    def import_torch(self) -> None:
        try:
            import torch
            import torch.distributed

            self.torch, self.dist = torch, torch.distributed
        except BaseException as error:
            self.import_error = described(error)
            self.import_error["absent"] = isinstance(error, ModuleNotFoundError) and error.name == "torch"

    # The rungs

    def do_torch(self, command: "Record") -> "Record":
        if self.torch is None:
            raise Told(self.import_error)
        if not self.dist.is_available():
            self.unfit("undistributed")
        self.world_size = int(command["world_size"])
        self.rank = int(command["first_rank"]) + int(self.request["place"])
        cuda = self.torch.cuda.is_available()
        if self.request["backend"] == "nccl":
            self.look_for_nccl(cuda)
        return {
            "torch": str(self.torch.__version__), "cuda": self.torch.cuda.device_count() if cuda else 0,
            "nccl_built": bool(self.dist.is_nccl_available()), "nccl": nccl_version(self.torch),
            "free_bytes": memory.free() // max(1, int(self.request["nproc"])),
        }  # fmt: skip

    def look_for_nccl(self, cuda: bool) -> None:
        """What is asked for and cannot be is said before anybody waits for it. Raises Told."""
        if not self.dist.is_nccl_available():
            self.unfit("no-nccl")
        if not cuda:
            self.unfit("no-gpu")

    def unfit(self, kind: str) -> None:
        """This torch cannot take part, for one of `envdoctor.facts.allreduce.UNFIT`. Raises Told."""
        raise Told({"error": kind, "kind": kind, "torch": str(self.torch.__version__)})

    def do_lookup(self, command: "Record") -> "Record":
        """Where the coordinator listens: rank 0 writes it into the store of torchrun's agent, the others read it."""
        if self.torch is None:
            raise Told(self.import_error)
        timeout = datetime.timedelta(seconds=float(command["limit_s"]))
        host, port = str(self.request["master_addr"]), int(self.request["master_port"])
        world_size = int(self.request["agents"])
        self.store = self.dist.TCPStore(host, port, world_size, False, timeout, wait_for_workers=False)
        # Workers that torchrun started again find the words of the round before in the same store.
        key = self.prefix + "/coordinator"
        if "port" in command:
            self.store.set(key, str(command["port"]))
        return {"port": int(self.store.get(key))}

    def patience(self, command: "Record") -> "datetime.timedelta":
        """What torch may take: less than the agent waits, so that its words come before a silence is reported."""
        return datetime.timedelta(seconds=0.75 * float(command["limit_s"]))

    def do_store(self, command: "Record") -> "Record":
        """Meet at the store; everybody writes a word there and reads everybody else's."""
        timeout = self.patience(command)
        host, port = str(self.request["master_addr"]), int(self.request["master_port"])
        if self.store is None:
            self.store = self.dist.TCPStore(
                host, port, self.world_size, bool(command["open"]), timeout, wait_for_workers=False
            )
        if command["open"]:
            return {}
        prefixed = self.dist.PrefixStore(self.prefix, self.store)
        prefixed.set("here/%d" % self.rank, str(os.getpid()))
        prefixed.wait(["here/%d" % rank for rank in range(self.world_size)], timeout)
        return {}

    def do_gloo(self, command: "Record") -> "Record":
        """The default group, on the CPU, and a number that all must agree on."""
        timeout = self.patience(command)
        store = self.dist.PrefixStore(self.prefix + "/gloo", self.store)
        self.dist.init_process_group("gloo", store=store, rank=self.rank, world_size=self.world_size, timeout=timeout)
        number = self.torch.ones(1, dtype=self.torch.float32)
        self.dist.all_reduce(number)
        if int(number[0]) != self.world_size:
            raise Told({"error": "gloo summed %s ones to %s" % (self.world_size, float(number[0])), "wrong": True})
        usable = self.torch.cuda.is_available() and self.dist.is_nccl_available()
        devices = self.torch.cuda.device_count() if usable else 0
        # A launcher of single ranks may show each its own GPU only.
        nccl = devices > int(self.request["local_rank"]) or (devices > 0 and self.request["nproc"] == 1)
        try:
            given = ways.within(RESOLVER_S, lambda: rails.of_gloo(os.environ))
        except (TimeoutError, RuntimeError):  # no answer, or no thread that could wait for one
            given = []
        return {"nccl": nccl, "gloo": given}

    def do_nccl(self, command: "Record") -> "Record":
        """NCCL's bootstrap and its first kernel: the communicator comes into being with the first collective."""
        # NCCL's watchdog would abort the process at its timeout, which looks like a death: the agent comes first.
        timeout = datetime.timedelta(seconds=WATCHDOG_S)
        devices = self.torch.cuda.device_count()
        local_rank = int(self.request["local_rank"])
        index = local_rank if local_rank < devices else 0
        self.torch.cuda.set_device(index)
        self.device = self.torch.device("cuda", index)
        self.group = self.dist.new_group(backend="nccl", timeout=timeout)
        number = self.torch.ones(1, device=self.device)
        self.dist.all_reduce(number, group=self.group)
        self.torch.cuda.synchronize()
        told = {"device": self.torch.cuda.get_device_name(index)}
        if hasattr(self.torch.cuda, "mem_get_info"):  # since torch 1.11
            told["free_bytes"] = self.torch.cuda.mem_get_info(index)[0]
        else:
            told["free_bytes"] = self.torch.cuda.get_device_properties(index).total_memory
        return told

    def do_first(self, command: "Record") -> "Record":
        return self.measure(command)

    def do_large(self, command: "Record") -> "Record":
        return self.measure(command)

    def do_sweep(self, command: "Record") -> "Record":
        return self.measure(command)

    def measure(self, command: "Record") -> "Record":
        """All-reduce so many bytes so many times, and again to compare the sums with what they must be.

        Returns: "times", seconds of each iteration on this rank; "wrong", by rank, what differs from the exact sum. The
        coordinator compares both over the ranks: what is measured is not trusted to carry its own verdict.
        """
        size = int(command["bytes"])
        iterations = int(command["iterations"])
        verified = int(command.get("verified", 1))
        wrong: "Optional[Record]" = None
        if self.group is None:
            # Before anything else is there: what is timed meets the memory that a training loop meets.
            buffer = self.zeros(size)
            if command.get("gather", True):
                self.fence()
            else:
                whole, part = self.buffers(size)
                wrong, verified = self.verify(self.zeros(size), whole, part, verified), 0
            times = self.times(buffer, iterations)
            wrong = self.changed(buffer) or wrong
            whole, part = self.buffers(size) if verified else (None, None)
        else:
            whole, part = self.buffers(size)
            buffer = self.torch.empty_like(part)
            self.finish()  # no rank is still at work on its patterns when the first one starts
            self.fence()
            times = self.times_on_gpu(buffer, part, iterations)
        if verified:
            wrong = self.verify(buffer, whole, part, verified) or wrong
        return {"times": times, "wrong": {str(self.rank): wrong} if wrong else {}}

    def verify(self, buffer: "Any", whole: "Any", part: "Any", sums: int) -> "Optional[Record]":
        """Sum so many times, and compare each with what it must be; what differed last, None where nothing did."""
        wrong: "Optional[Record]" = None
        for _ in range(sums):
            buffer.copy_(part)
            self.dist.all_reduce(buffer, group=self.group)
            self.finish()
            wrong = patterns.differences(self.torch, buffer, whole, self.world_size) or wrong
        return wrong

    def changed(self, buffer: "Any") -> "Optional[Record]":
        """On the CPU what was timed is a sum of zeros, which stays what it is."""
        count = int((buffer != 0).sum())
        return {"wrong": count} if count else None

    def do_locate(self, command: "Record") -> "Record":
        """Sum in groups that share a binary digit of the rank: the groups that sum wrongly spell whose data is bad.

        Returns: "groups": for each digit and value, how many ranks of that group saw a wrong sum.
        """
        seen: "Dict[str, int]" = {}
        backend = "nccl" if self.group is not None else "gloo"
        for digit in range(max(1, (self.world_size - 1).bit_length())):
            for value in (0, 1):
                members = [rank for rank in range(self.world_size) if (rank >> digit) & 1 == value]
                if not members:
                    continue
                # A collective over all ranks, whoever is in the group.
                group = self.dist.new_group(members, backend=backend)
                if self.rank not in members:
                    continue
                key = "%d %d" % (digit, value)
                for _ in range(LOCATING):
                    whole, _ = self.buffers(int(command["bytes"]))
                    buffer = patterns.given(self.torch, whole, members.index(self.rank), len(members))
                    self.dist.all_reduce(buffer, group=group)
                    self.finish()
                    wrong = patterns.differences(self.torch, buffer, whole, len(members)) is not None
                    seen[key] = max(seen.get(key, 0), int(wrong))
        return {"groups": seen}

    def zeros(self, size: int) -> "Any":
        """A tensor of so many bytes, one element at least."""
        dtype = getattr(self.torch, str(self.request["dtype"]))
        element = self.torch.empty(0, dtype=dtype).element_size()
        return self.torch.zeros(max(1, size // element), dtype=dtype, device=self.device)

    def buffers(self, size: int) -> "Any":
        """The sum that is expected, and this rank's part of it."""
        empty = self.zeros(size)
        self.turn += 1
        whole = patterns.expected(self.torch, empty.numel(), empty.dtype, self.device, self.turn)
        return whole, patterns.given(self.torch, whole, self.rank, self.world_size)

    def times(self, buffer: "Any", iterations: int) -> "List[float]":
        """Seconds of each iteration on this rank, on the CPU: of sums of zeros, back to back. Another content would
        have to be copied in between, which empties the caches as a training loop does not."""
        found = []
        for _ in range(iterations):
            began = time.perf_counter()
            self.dist.all_reduce(buffer)
            found.append(time.perf_counter() - began)
        return found

    def times_on_gpu(self, buffer: "Any", part: "Any", iterations: int) -> "List[float]":
        """The same on a GPU, by events of its stream: what zeros cost there is not what data cost, so the buffer is
        filled anew before each, outside of the events.

        A collective of NCCL runs on a stream of its own; the current one waits for it, so the second event is after it.
        """
        found = []
        for _ in range(iterations):
            buffer.copy_(part)
            start = self.torch.cuda.Event(enable_timing=True)
            stop = self.torch.cuda.Event(enable_timing=True)
            start.record()
            self.dist.all_reduce(buffer, group=self.group)
            stop.record()
            found.append((start, stop))
        self.torch.cuda.synchronize()
        return [start.elapsed_time(stop) / 1e3 for start, stop in found]

    def fence(self) -> None:
        """Have all ranks begin together."""
        self.dist.all_reduce(self.torch.zeros(1))

    def finish(self) -> None:
        if self.group is not None:
            self.torch.cuda.synchronize()


class Told(Exception):
    """A failure whose values are known."""

    def __init__(self, values: "Record") -> None:
        Exception.__init__(self, str(values.get("error")))
        self.values = values


def described(error: BaseException) -> "Record":
    """An exception as values: its class, its words and where it came from."""
    if isinstance(error, Told):
        return error.values
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "%s:%d" % (os.path.basename(last[0].filename), last[0].lineno or 0) if last else ""
    return {"kind": type(error).__name__, "error": str(error)[:2000], "at": place}


def nccl_version(torch: "Any") -> str:
    """NCCL's version as torch tells it, "" without NCCL."""
    try:
        told = torch.cuda.nccl.version()
        return ".".join(str(part) for part in told) if isinstance(told, tuple) else str(told)
    except Exception:
        return ""


def main(request: "Record", whole: "Record") -> None:
    """Entry point of the streamed program."""
    ranks.die_with_parent()
    # Ctrl-C reaches the whole foreground group; the agent decides what ends when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    if hasattr(signal, "SIGUSR2"):
        faulthandler.register(signal.SIGUSR2)
    Worker(request).run()
