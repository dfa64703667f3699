"""Examines this machine: starts the patient in the target Python and takes its records as they come."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from envdoctor import facts
from envdoctor.answering import answers
from envdoctor.model import Missing, Why
from envdoctor.patient import wire
from envdoctor.transport.target import Target

PATIENT = Path(__file__).parent.parent / "patient"

# Under -I neither the working directory nor PYTHONPATH nor the user's packages count, and the package is found by its
# folder alone: whatever lies about in the patient's paths, these modules are ours and the library is Python's.
START = """
import sys, types
package = types.ModuleType("envdoctor_patient"); package.__path__ = [{folder!r}]
sys.modules["envdoctor_patient"] = package
from envdoctor_patient.__main__ import main
main(sys.argv[1])
"""
FIRST_WORD_S = 10.0  # a Python that has not said a word by then does not start; seen on cold network file systems: 3 s
TAIL = 16 * 1024  # bytes of its standard error that are kept
PIECES = 64  # pieces of its output that wait to be looked at; more wait in the pipe
GRACE_S = 0.6  # the patient ends itself at its limit; this much later it is ended


@dataclass
class Request:
    """What is asked of the patient. `limit_s` bounds the whole examination; `only` names sections, empty for all.

    `places` are addresses to be asked; `given` are facts known already, section -> value as the patient tells it.
    """

    limit_s: float = 60.0
    quick: bool = False
    offline: bool = False
    port: int = 0
    only: tuple[str, ...] = ()
    places: tuple[dict[str, str], ...] = ()
    given: dict[str, Any] | None = None
    environ: dict[str, str] | None = None
    folder: str | None = None


@dataclass
class Answer:
    """What came back: raw sections by name, and what the interpreter said where it did not start.

    `died` is the status with which the patient ended before its answer was complete, negative for a signal.
    """

    values: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, Missing] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    complete: bool = False
    failure: str = ""
    died: int | None = None
    last_words: str = ""

    def take(self, record: Mapping[str, Any]) -> None:
        """Add what a record of the patient tells."""
        if "begin" in record:
            self.begun.append(str(record["begin"]))
        elif "fact" in record:
            self.values[str(record["fact"])] = record.get("value")
        elif "missing" in record:
            name = str(record["missing"])
            self.missing[name] = Missing(name, str(record.get("reason", "")), str(record.get("detail", "")))
        elif "done" in record:
            self.complete = True


def _more(request: Request) -> IO[bytes] | int:
    """The part of a request that may hold passwords, as a file to read from; no input without one."""
    if not request.places:
        return subprocess.DEVNULL
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the child reads it after this function has ended
    file.write(json.dumps({"places": request.places, "given": request.given or {}}).encode("ascii"))
    file.flush()
    file.seek(0)
    return file


def pynvml() -> str:
    """The file of NVIDIA's Python binding for NVML, "" where it is not installed."""
    spec = importlib.util.find_spec("pynvml")
    return spec.origin or "" if spec else ""


def _reader(pipe: IO[bytes], take: Callable[[bytes | None], None]) -> None:
    try:
        while data := os.read(pipe.fileno(), 1 << 16):
            take(data)
    except (OSError, ValueError):
        pass
    pipe.close()
    take(None)


class _Tail:
    """The end of what comes out of a pipe: a flood of it costs no memory."""

    def __init__(self) -> None:
        self.data = b""

    def take(self, data: bytes | None) -> None:
        self.data = (self.data + (data or b""))[-TAIL:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the patient, which ends its children; one that does not listen is killed and not waited for."""
    process.terminate()
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        _end_group(process.pid)
        process.kill()
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            # It sleeps in the kernel and cannot be killed. Nobody waits for it, here or when the program ends.
            process.returncode = -9


def _end_group(group: int) -> None:
    """Kill what the patient, or a start-up file of its Python, has left in its process group."""
    if os.name == "posix":
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            pass


def _last_words(process: subprocess.Popen[bytes]) -> None:
    """Have a Python that says nothing print where it stands, so that the start-up file it hangs in has a name."""
    if os.name == "posix":
        try:
            import resource

            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        except (ImportError, AttributeError, OSError, ValueError):
            return  # no core file may lie in the user's folder for it
        process.send_signal(signal.SIGABRT)  # -X faulthandler answers it with the stack
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            pass


def _started(threads: list[threading.Thread]) -> bool:
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        return False
    return True


def _leave(readers: list[threading.Thread], pieces: queue.Queue[bytes | None]) -> None:
    # What nobody took keeps a reader from going on to the end of its pipe.
    for _ in range(pieces.qsize()):
        pieces.get()
    for reader in readers:
        # One of the patient's helpers may hold the pipe: the reader is left to itself then.
        if reader.ident is not None:
            reader.join(0.1)


def examine(
    python: str,
    request: Request,
    stands_for: str = "",
    on_record: Callable[[dict[str, Any]], None] | None = None,
    stands_for_failure: str = "",
    first_word_s: float = FIRST_WORD_S,
) -> Answer:
    """Run the patient in `python` and collect its answer, for at most `request.limit_s` seconds and a little.

    Args:
        stands_for: the Python that is meant, where it does not run and `python` is used in its place.
        on_record: called with every record as it comes, see `envdoctor.patient.wire`.
        stands_for_failure: what the Python that is meant said.
        first_word_s: how long `python` may take to start.

    Returns:
        The answer; `failure` says why `python` did not start, else it is empty.
    """
    cookie = secrets.token_hex(12)
    asked = {
        "cookie": cookie, "limit_s": request.limit_s, "quick": request.quick, "offline": request.offline,
        "port": request.port, "pynvml": pynvml(), "stands_for": stands_for, "only": list(request.only),
        "stands_for_failure": stands_for_failure, "more": bool(request.places),
    }  # fmt: skip
    argv = [python, "-X", "faulthandler", "-I", "-c", START.format(folder=str(PATIENT)), json.dumps(asked)]
    answer = Answer()
    began = time.monotonic()
    if not answers(python):
        # Whoever starts it waits for its file in the kernel.
        answer.failure = "it did not say a word: its file system does not answer"
        return answer
    more = _more(request)
    try:
        process = subprocess.Popen(
            argv, stdin=more, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=os.name == "posix", env=request.environ, cwd=request.folder,
        )  # fmt: skip
    except OSError as error:
        answer.failure = f"{error.strerror or error}"
        return answer
    finally:
        if not isinstance(more, int):
            more.close()
    assert process.stdout is not None and process.stderr is not None
    pieces: queue.Queue[bytes | None] = queue.Queue(PIECES)
    errors = _Tail()
    readers = [
        threading.Thread(target=_reader, args=each, daemon=True)
        for each in ((process.stdout, pieces.put), (process.stderr, errors.take))
    ]
    lines = wire.Lines(cookie.encode())
    silent = closed = False
    try:
        if not _started(readers):
            process.stdout.close()
            process.stderr.close()
            answer.failure = "this process may start no threads (ulimit -u)"
            return answer
        closed = _collect(pieces, lines, answer, began, request.limit_s, first_word_s, on_record)
        waited_s = time.monotonic() - began
        silent = not answer.begun and not answer.missing and waited_s >= min(first_word_s, request.limit_s)
        if silent and process.poll() is None:
            _last_words(process)
    finally:
        if answer.complete or closed:
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                pass
        answer.died = None if answer.complete else process.poll()
        if process.poll() is None:
            _end(process)
        _end_group(process.pid)
        _leave(readers, pieces)
    if answer.died is not None:
        answer.last_words = errors.data.decode("utf-8", "replace").strip()[-1000:]
    if not answer.begun and not answer.complete and not answer.missing:
        said = (lines.noise + errors.data).decode("utf-8", "replace").strip()
        told = [f"it did not say a word in {min(first_word_s, request.limit_s):g} s"] if silent else []
        answer.failure = "\n".join(told + [said[-2000:]] * bool(said)) or f"it ended with status {process.returncode}"
    return answer


def _collect(
    pieces: queue.Queue[bytes | None],
    lines: wire.Lines,
    answer: Answer,
    began: float,
    limit_s: float,
    first_word_s: float,
    on_record: Callable[[dict[str, Any]], None] | None,
) -> bool:
    """Take records until the answer is complete or the time is up; True where the patient has closed its output."""
    while not answer.complete:
        heard = bool(answer.begun or answer.missing)
        until = began + (limit_s + GRACE_S if heard else min(limit_s, first_word_s))
        left_s = until - time.monotonic()
        if left_s <= 0:
            return False
        try:
            piece = pieces.get(timeout=left_s)
        except queue.Empty:
            return False
        if piece is None:
            return True
        for record in lines.feed(piece):
            answer.take(record)
            if on_record is not None:
                on_record(record)
    return False


def settle(answer: Answer) -> dict[str, Missing]:
    """Why each section without an answer has none."""
    left: dict[str, Missing] = {}
    for name in facts.KINDS:
        if name in answer.values:
            continue
        if name in answer.missing:
            left[name] = answer.missing[name]
        elif answer.failure:
            left[name] = Missing(name, Why.FAILED.value, answer.failure)
        elif answer.complete:
            left[name] = Missing(name, Why.NOT_HERE.value)
        elif answer.died is None:
            left[name] = Missing(name, Why.SLOW.value, "no answer came in time")
        else:
            reason = Why.CRASHED if answer.died < 0 else Why.FAILED
            told = f"the examination ended with status {answer.died}"
            left[name] = Missing(name, reason.value, f"{told}\n{answer.last_words}".strip())
    return left


def examine_target(
    target: Target, request: Request, on_record: Callable[[dict[str, Any]], None] | None = None
) -> tuple[Answer, str]:
    """Examine the target Python; where it does not start, this Python looks at the machine in its place.

    Returns:
        The answer and, where the target did not start, its last words; else "".
    """
    began = time.monotonic()
    patience_s = min(FIRST_WORD_S, request.limit_s / 2)
    answer = examine(target.python, request, on_record=on_record, first_word_s=patience_s)
    if not answer.failure or target.python == sys.executable:
        return answer, answer.failure
    left = replace(request, limit_s=max(0.5, request.limit_s - (time.monotonic() - began)))
    return examine(sys.executable, left, target.python, on_record, answer.failure), answer.failure
