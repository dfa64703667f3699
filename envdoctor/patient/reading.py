"""Bounded reading of files and of programs' output. Nothing here raises for a file that is absent or odd."""

import os
import signal
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

# Where the machine's own trees are read from; tests point it at a recorded tree.
ROOT = ""


def rooted(path: str) -> str:
    """The path to open for a file of the machine, such as /proc/version."""
    return ROOT + path if ROOT and path.startswith("/") else path


def raw(path: str, limit: int = 1 << 20) -> "Optional[bytes]":
    """At most `limit` bytes of a file, None where it cannot be read. Never blocks on a FIFO."""
    try:
        descriptor = os.open(rooted(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return None
    try:
        parts: "List[bytes]" = []
        left = limit
        while left > 0:
            part = os.read(descriptor, min(left, 1 << 16))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def text(path: str, limit: int = 1 << 20) -> "Optional[str]":
    """A file as text, undecodable bytes as surrogate escapes; None where it cannot be read."""
    data = raw(path, limit)
    return None if data is None else data.decode("utf-8", "surrogateescape")


def line(path: str) -> "Optional[str]":
    """The content of a one-line file of /proc or /sys, stripped; None where absent, unreadable or empty."""
    content = text(path, 65536)
    return (content.strip().replace("\x00", "") or None) if content is not None else None


def number(path: str) -> "Optional[int]":
    """The integer in a one-line file, None where there is none."""
    content = line(path)
    try:
        return int(content) if content is not None else None
    except ValueError:
        return None


def names(path: str) -> "List[str]":
    """The sorted names in a folder, empty where it cannot be read."""
    try:
        return sorted(os.listdir(rooted(path)))
    except OSError:
        return []


def exists(path: str) -> bool:
    return os.path.exists(rooted(path))


def link(path: str) -> str:
    """The real path behind a link, as the machine sees it."""
    real = os.path.realpath(rooted(path))
    return real[len(ROOT) :] if ROOT and real.startswith(ROOT) else real


class Said(object):
    """What a program said: its exit status (None: it did not end in time or did not start), output and errors."""

    def __init__(self, status: "Optional[int]", out: str, err: str, failure: str = "") -> None:
        self.status = status
        self.out = out
        self.err = err
        self.failure = failure  # "absent", "denied", "timeout" or ""


def run(
    argv: "List[str]",
    limit_s: float = 5.0,
    env: "Optional[Dict[str, str]]" = None,
    most: int = 1 << 20,
    stdin: int = subprocess.DEVNULL,
) -> "Said":
    """Run a program for at most `limit_s` seconds, keeping at most `most` bytes of its output.

    Its helpers may outlive it and hold its pipes: the pipes are read without ever waiting for their end, and the
    whole process group is killed at the limit.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=os.name == "posix",
        )
    except OSError as error:
        return Said(None, "", str(error), "denied" if isinstance(error, PermissionError) else "absent")
    assert process.stdout is not None and process.stderr is not None
    if os.name != "posix":
        try:
            out, err = process.communicate(timeout=limit_s)
            return Said(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
        except subprocess.TimeoutExpired:
            process.kill()
            return Said(None, "", "", "timeout")
    import select

    pipes = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    outputs = list(pipes)
    open_ones = set(outputs)
    for descriptor in outputs:
        os.set_blocking(descriptor, False)
    ended_at: "Optional[float]" = None
    while True:
        now = time.monotonic()
        if process.poll() is not None and ended_at is None:
            ended_at = now
        # After its end, what is still in the pipes is read for a moment and no longer.
        if now - started > limit_s or (ended_at is not None and (not open_ones or now - ended_at > 0.05)):
            break
        ready = select.select(list(open_ones), [], [], 0.02)[0] if open_ones else []
        if not open_ones:
            time.sleep(0.002)
        for descriptor in ready:
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                data = b""
            if not data:
                open_ones.discard(descriptor)
            pipes[descriptor] = (pipes[descriptor] + data)[:most]
    failure = ""
    if process.poll() is None:
        failure = "timeout"
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            process.kill()
        patience = time.monotonic() + 0.2
        while process.poll() is None and time.monotonic() < patience:
            time.sleep(0.005)
    process.stdout.close()
    process.stderr.close()
    status = process.returncode if failure == "" else None
    # A child in D state survives SIGKILL: it is left behind, and must not be waited for when this object goes.
    process.returncode = process.returncode if process.returncode is not None else -9
    return Said(
        status, pipes[outputs[0]].decode("utf-8", "replace"), pipes[outputs[1]].decode("utf-8", "replace"), failure
    )


def parts(value: "Optional[str]", separator: str = ":") -> "Tuple[str, ...]":
    """The non-empty parts of a PATH-like value."""
    return tuple(part for part in (value or "").split(separator) if part)
