"""envdoctor/transport/login.py"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from envdoctor.transport import login
from tests import ROOT


def ended(pid: int) -> bool:
    """Whether a process is gone, or soon is. Its new parent may leave a zombie, as PID 1 of many a container does."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        if not told or told.startswith("Z"):
            return True
        time.sleep(0.01)
    return False


def test_what_has_ended_says_how_and_with_which_words() -> None:
    process = login.begin(["/bin/sh", "-c", "echo some words >&2; exit 7"], signal.SIGTERM)
    said = bytearray(b"first ")
    assert process.wait(10) == 7
    assert process.stderr is not None
    login.drain(process.stderr, said)
    assert (login.status(process), bytes(said)) == (7, b"first some words\n")
    login.end(process)
    assert process.stderr.closed


def test_what_it_started_ends_with_it() -> None:
    process = login.begin(["/bin/sh", "-c", "sleep 600 & echo $!; wait"], signal.SIGTERM)
    assert process.stdout is not None
    helper = int(process.stdout.readline())
    assert login.status(process) is None
    login.end(process)
    assert process.returncode == -signal.SIGTERM
    assert ended(helper)


def test_one_under_way_ends_with_this_process() -> None:
    code = (
        "import signal\nfrom envdoctor.transport import login\n"
        "print(login.begin(['/bin/sleep', '600'], signal.SIGTERM).pid)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ended(int(done.stdout))
