"""One rank: imports torch and does, one command at a time, what its agent says.

Everything that may block does so here, in a process that can be killed. Commands come as JSON lines on standard
input, answers go as records to standard output. Streamed to every node; Python 3.8 syntax, torch and the standard
library only.
"""

from __future__ import annotations

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

from envdoctor.bench import patterns, ranks
from envdoctor.patient import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    Record = Dict[str, Any]

# Rungs that another streamed module does, with a function do_<rung>(worker, command) -> values.
ELSEWHERE: "Dict[str, str]" = {}
WARM_UP = 2
MOST_ITERATIONS = 200
PROBE_ITERATIONS = 2


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
            raise Told({"error": "torch.distributed is not in this build", "absent": False, "undistributed": True})
        self.world_size = int(command["world_size"])
        self.rank = int(command["first_rank"]) + int(self.request["place"])
        cuda = self.torch.cuda.is_available()
        return {
            "torch": str(self.torch.__version__), "cuda": self.torch.cuda.device_count() if cuda else 0,
            "nccl_built": bool(self.dist.is_nccl_available()), "nccl": nccl_version(self.torch),
        }  # fmt: skip

    def do_store(self, command: "Record") -> "Record":
        """Meet at the store; everybody writes a word there and reads everybody else's."""
        timeout = datetime.timedelta(seconds=float(command["limit_s"]))
        host, port = str(self.request["master_addr"]), int(self.request["master_port"])
        if self.store is None:
            self.store = self.dist.TCPStore(
                host, port, self.world_size, bool(command["open"]), timeout, wait_for_workers=False
            )
        if command["open"]:
            return {}
        prefixed = self.dist.PrefixStore("envdoctor", self.store)
        prefixed.set("here/%d" % self.rank, str(os.getpid()))
        prefixed.wait(["here/%d" % rank for rank in range(self.world_size)], timeout)
        return {}

    def do_gloo(self, command: "Record") -> "Record":
        """The default group, on the CPU, and a number that all must agree on."""
        timeout = datetime.timedelta(seconds=float(command["limit_s"]))
        store = self.dist.PrefixStore("envdoctor/gloo", self.store)
        self.dist.init_process_group("gloo", store=store, rank=self.rank, world_size=self.world_size, timeout=timeout)
        number = self.torch.ones(1, dtype=self.torch.float32)
        self.dist.all_reduce(number)
        if int(number[0]) != self.world_size:
            raise Told({"error": "gloo summed %s ones to %s" % (self.world_size, float(number[0])), "wrong": True})
        usable = self.torch.cuda.is_available() and self.dist.is_nccl_available()
        devices = self.torch.cuda.device_count() if usable else 0
        return {"nccl": bool(devices > int(self.request["local_rank"]) or devices == 1)}

    def do_nccl(self, command: "Record") -> "Record":
        """NCCL's bootstrap and its first kernel: the communicator comes into being with the first collective."""
        timeout = datetime.timedelta(seconds=float(command["limit_s"]))
        devices = self.torch.cuda.device_count()
        index = int(self.request["local_rank"]) if devices > 1 else 0
        self.torch.cuda.set_device(index)
        self.device = self.torch.device("cuda", index)
        self.group = self.dist.new_group(backend="nccl", timeout=timeout)
        number = self.torch.ones(1, device=self.device)
        self.dist.all_reduce(number, group=self.group)
        self.torch.cuda.synchronize()
        return {"device": self.torch.cuda.get_device_name(index)}

    def do_first(self, command: "Record") -> "Record":
        return self.once(int(command["bytes"]))

    def do_large(self, command: "Record") -> "Record":
        return self.once(int(command["bytes"]))

    def once(self, size: int) -> "Record":
        """One verified all-reduce of `size` bytes."""
        whole, buffer = self.buffers(size)
        self.fence()
        began = time.perf_counter()
        self.dist.all_reduce(buffer, group=self.group)
        self.finish()
        seconds = time.perf_counter() - began
        wrong = patterns.differences(self.torch, buffer, whole, self.world_size)
        return {"seconds": seconds, "wrong": wrong}

    def do_sweep(self, command: "Record") -> "Record":
        """Time one size: warm up, agree on a number of iterations, take the longest over the ranks of each."""
        size = int(command["bytes"])
        whole, buffer = self.buffers(size)
        part = buffer.clone()
        warm = self.times(buffer, part, WARM_UP)
        # The longest over the ranks decides for all, or they would run out of step.
        longest = max(self.longest(warm)[1:])
        iterations = int(float(command["seconds"]) / max(longest, 1e-6))
        iterations = max(int(command["fewest"]), min(MOST_ITERATIONS, iterations))
        times = self.longest(self.times(buffer, part, iterations))
        # Times and verification are apart: the buffer holds the last iteration's sum.
        verdict = patterns.differences(self.torch, buffer, whole, self.world_size)
        counts = self.torch.zeros(self.world_size, dtype=self.torch.int64)
        counts[self.rank] = verdict["wrong"] if verdict else 0
        self.dist.all_reduce(counts)
        told: "Record" = {"seconds": sum(times)}
        if verdict:
            told["wrong"] = verdict
        if self.rank == 0:
            told["row"] = row(size, times, self.world_size, [int(count) for count in counts.tolist()])
        return told

    def buffers(self, size: int) -> "Any":
        """The sum that is expected, and this rank's part of it."""
        dtype = getattr(self.torch, str(self.request["dtype"]))
        element = self.torch.empty(0, dtype=dtype).element_size()
        self.turn += 1
        whole = patterns.expected(self.torch, max(1, size // element), dtype, self.device, self.turn)
        return whole, patterns.given(self.torch, whole, self.rank, self.world_size)

    def times(self, buffer: "Any", part: "Any", iterations: int) -> "List[float]":
        """Seconds of each iteration on this rank; the buffer is filled anew before each, outside of the time."""
        found: "List[Any]" = []
        on_gpu = self.group is not None
        for _ in range(iterations):
            buffer.copy_(part)
            if on_gpu:
                start = self.torch.cuda.Event(enable_timing=True)
                stop = self.torch.cuda.Event(enable_timing=True)
                start.record()
                self.dist.all_reduce(buffer, group=self.group)
                stop.record()
                found.append((start, stop))
            else:
                began = time.perf_counter()
                self.dist.all_reduce(buffer)
                found.append(time.perf_counter() - began)
        if on_gpu:
            self.torch.cuda.synchronize()
            return [start.elapsed_time(stop) / 1e3 for start, stop in found]
        return found

    def longest(self, times: "List[float]") -> "List[float]":
        """The longest time over the ranks of each iteration, by a collective of the CPU group."""
        together = self.torch.tensor(times, dtype=self.torch.float64)
        self.dist.all_reduce(together, op=self.dist.ReduceOp.MAX)
        return [float(one) for one in together.tolist()]

    def fence(self) -> None:
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


def quantile(ordered: "List[float]", share: float) -> float:
    """Linear between the two nearest of the sorted values, as numpy's default does."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def row(size: int, times: "List[float]", world_size: int, wrong: "List[int]") -> "Record":
    """A row of the table. algbw is bytes over time; busbw = algbw * 2(n-1)/n, what each link carries, in 1e9 bytes
    a second (nccl-tests, doc/PERFORMANCE.md)."""
    ordered = sorted(times)
    median = quantile(ordered, 0.5)
    algbw = size / median / 1e9
    return {
        "bytes": size, "iterations": len(times),
        "time_us": {"median": median * 1e6, "p5": quantile(ordered, 0.05) * 1e6, "p95": quantile(ordered, 0.95) * 1e6},
        "algbw_gb_s": algbw, "busbw_gb_s": algbw * 2 * (world_size - 1) / world_size,
        "wrong": sum(wrong), "wrong_ranks": [rank for rank, count in enumerate(wrong) if count],
    }  # fmt: skip


def main(request: "Record", whole: "Record") -> None:
    """Entry point of the streamed program."""
    ranks.die_with_parent()
    # Ctrl-C reaches the whole foreground group; the agent decides what ends when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    if hasattr(signal, "SIGUSR2"):
        faulthandler.register(signal.SIGUSR2)
    Worker(request).run()
