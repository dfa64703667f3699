"""Do the file systems that this program is about to look at answer?

Whoever looks at a file on a dead server sleeps in the kernel and may not even be killed, so that somebody else looks
first: a shell, which is left behind where it does not come back.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterable

ANSWER_S = 3.0  # what has not answered by then hangs; a cold NFS mount or an automount takes up to a second
LOOK = 'for p in "$@"; do test -e "$p"; done; echo all'
# Each for itself, at once: it says the place in the list of those that come back.
LOOK_APART = 'i=0; for p in "$@"; do ( test -e "$p"; echo $i ) & i=$((i+1)); done; wait'
# Types with no server and no other process behind them (proc_filesystems(5), the kernel's fs/): the kernel answers.
LOCAL = frozenset((
    "bcachefs", "binfmt_misc", "bpf", "btrfs", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts",
    "devtmpfs", "efivarfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fusectl", "hfsplus", "hugetlbfs",
    "iso9660", "jfs", "mqueue", "msdos", "nfsd", "nilfs2", "nsfs", "ntfs3", "overlay", "proc", "pstore", "ramfs",
    "reiserfs", "resctrl", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs",
    "udf", "vfat", "xfs", "zfs",
))  # fmt: skip
# Where desktops and systemd mount what no Python and no program lies on.
ASIDE = ("/dev/", "/proc/", "/run/user/", "/sys/")


def answers(*paths: str | os.PathLike[str]) -> bool:
    """Whether a look at all of these comes back, whatever it finds. On Windows nobody asks."""
    return bool(_told(LOOK, *(os.fspath(path) for path in paths)))


def which(program: str) -> str | None:
    """Where a program lies on PATH, in a folder that answers."""
    return shutil.which(program, path=search_path(os.environ.get("PATH")))


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
    if os.name != "posix" or _all_local():
        return b"all"
    import contextlib
    import signal
    import subprocess

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


@functools.cache
def _all_local() -> bool:
    """Whether the kernel answers for all that is mounted here. A shell for each question costs milliseconds."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            return all_local(mounts)
    except OSError:  # macOS
        return False


def all_local(mounts: Iterable[str]) -> bool:
    """Whether none of these mounts, lines of proc_pid_mounts(5), is another's to answer for. After a chroot the list
    lacks what the root lies on, and tells nothing."""
    parts = [line.split(" ") for line in mounts]
    known = any(mount[1:2] == ["/"] for mount in parts)
    return known and all(len(mount) > 2 and (mount[2] in LOCAL or mount[1].startswith(ASIDE)) for mount in parts)
