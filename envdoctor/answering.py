"""Do the file systems that this program is about to look at answer?

Whoever looks at a file on a dead server sleeps in the kernel and may not even be killed, so that somebody else looks
first: a shell, which is left behind where it does not come back.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess

ANSWER_S = 3.0  # what has not answered by then hangs; a cold NFS mount or an automount takes up to a second
LOOK = 'for p in "$@"; do test -e "$p"; done; echo all'
# Each for itself, at once: it says the place in the list of those that come back.
LOOK_APART = 'i=0; for p in "$@"; do ( test -e "$p"; echo $i ) & i=$((i+1)); done; wait'


def answers(*paths: str | os.PathLike[str]) -> bool:
    """Whether a look at all of these comes back, whatever it finds. On Windows nobody asks."""
    return bool(_told(LOOK, *(os.fspath(path) for path in paths)))


def search_path(given: str | None) -> str:
    """A PATH without the folders that do not answer; None for the system's own."""
    given = os.defpath if given is None else given
    folders = given.split(os.pathsep)
    if answers(*folders):
        return given
    back = _told(LOOK_APART, *folders).split()
    return os.pathsep.join(folder for place, folder in enumerate(folders) if str(place).encode() in back)


@functools.cache  # what has hung once is not asked again
def _told(look: str, *paths: str) -> bytes:
    """What a shell that looks at these has said in time."""
    if os.name != "posix":
        return b"all"
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", look, "sh", *paths], cwd="/", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError):
        return b"all"  # no shell, no process, no such path: whoever looks will be told
    assert process.stdout is not None
    try:
        return process.communicate(timeout=ANSWER_S)[0]
    except subprocess.TimeoutExpired as late:
        process.stdout.close()
        with contextlib.suppress(OSError):  # macOS, of one that has ended meanwhile
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            process.returncode = -9  # it sleeps in the kernel: nobody waits for it, here or when the program ends
        return bytes(late.output or b"")
