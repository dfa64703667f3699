"""Replaces a file's bytes so that at any instant it is whole, the old one or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Mapping

# Part of the name of every temporary file, so that one left behind by a killed run can be told.
MARK = ".envdoctor-"
LEFT_S = 3600.0  # a temporary file as old as this belongs to no run that is still at work
# What a file system answers that keeps no extended attributes, or not these.
NO_ATTRIBUTES = frozenset(getattr(errno, name) for name in ("ENOTSUP", "EOPNOTSUPP", "ENOSYS") if hasattr(errno, name))
# What rmdir(2) answers for a folder that others have put something into, or have replaced.
IN_USE = frozenset((errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY))


def temporary(path: str, token: str) -> str:
    """Where the new bytes of `path` are gathered: in the same folder, under a name that no program reads.

    Forty characters of the name are kept: in UTF-8 no more than 160 of the 255 bytes a name may have.
    """
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:40]}{MARK}{token}")


def replace(
    path: str,
    data: bytes,
    token: str,
    mode: int | None = None,
    dressed: Callable[[int], None] | None = None,
    before: Callable[[], None] | None = None,
    durable: bool = True,
) -> None:
    """Put `data` in the place of `path`, which is no link. What is there keeps its owner, mode and attributes.

    Args:
        token: makes the temporary name unique.
        mode: permission bits; None for those of the file that is there, else 0644. A new file's lose the umask.
        dressed: called with the descriptor of the new file, for what it is to have besides.
        before: called when all is ready, just before the file changes; what it raises leaves all as it was.
        durable: whether it must be on the disk on return.

    Raises:
        OSError: nothing has changed then, and no temporary file is left where the system lets it be removed. Its
            filename is `path`, whichever call failed.
    """
    name = temporary(path, token)
    try:
        old = _state(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        # Private until it has the mode of the file it replaces: credentials may be in it.
        descriptor = os.open(name, flags, 0o600)
        try:
            try:
                _write(descriptor, data)
                _dress(descriptor, path, old, mode)
                if dressed is not None:
                    dressed(descriptor)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if before is not None:
                before()
            os.replace(name, path)
        except BaseException:
            discard(name)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    if durable:
        sync_folder(os.path.dirname(path))


def _state(path: str) -> os.stat_result | None:
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(state.st_mode):
        # A device or a pipe would be turned into a plain file.
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return state


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _dress(descriptor: int, path: str, old: os.stat_result | None, mode: int | None) -> None:
    """Give the new file the owner, mode and extended attributes (ACL, SELinux label) of the old one."""
    if os.name != "posix":
        return
    if old is None:
        mask = os.umask(0)
        os.umask(mask)
        give_to_owner_of(os.path.dirname(path), descriptor)
        os.fchmod(descriptor, (0o644 if mode is None else mode) & ~mask)
        return
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) if mode is None else mode)
    dress(descriptor, attributes(path))


def give_to_owner_of(folder: str, place: int | str) -> None:
    """What root makes in a user's folder (sudo keeps HOME) is the user's, who must be able to change it later."""
    if os.name == "posix" and os.geteuid() == 0:
        above = os.stat(folder or ".")
        os.chown(place, above.st_uid, above.st_gid)


def attributes(path: str) -> dict[str, bytes]:
    """The extended attributes of a file that this user may read: name -> value."""
    if not hasattr(os, "listxattr"):
        return {}
    found = {}
    try:
        for name in os.listxattr(path):
            found[name] = os.getxattr(path, name)
    except OSError as error:
        if error.errno not in NO_ATTRIBUTES:
            raise
    return found


def dress(place: int | str, wanted: Mapping[str, bytes]) -> None:
    """Give a file these extended attributes. Raises OSError for one that cannot be set and that matters."""
    for name, value in wanted.items():
        try:
            os.setxattr(place, name, value)
        except OSError:
            # Labels of the security module are set by the kernel; nobody but root may copy those.
            if not name.startswith(("security.", "trusted.")):
                raise


def remove(path: str) -> None:
    """Take a file away and have that on the disk."""
    os.unlink(path)
    sync_folder(os.path.dirname(path))


def discard(path: str) -> None:
    """Take a temporary file away, if it is there and the system lets it be removed; else a later run does it."""
    try:
        os.unlink(path)
    except OSError:
        pass


def sweep(folder: str, least_age_s: float = 0.0) -> None:
    """Remove the temporary files that killed runs left in a folder of envdoctor's own."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        place = os.path.join(folder, name)
        try:
            if name.startswith(".") and MARK in name and time.time() - os.lstat(place).st_mtime >= least_age_s:
                os.unlink(place)
        except OSError:
            continue


def make_folders(folder: str, mode: int = 0o777) -> list[str]:
    """Make a folder with those above it; returns those that were made, the outermost first.

    Raises:
        OSError: none is left that was made.
    """
    missing = missing_folders(folder)
    made: list[str] = []
    try:
        for place in missing:
            try:
                os.mkdir(place, mode)
            except FileExistsError:
                if os.path.isdir(place):
                    continue  # another program has made it meanwhile
                raise
            made.append(place)
            give_to_owner_of(os.path.dirname(place), place)
            sync_folder(os.path.dirname(place))
    except BaseException:
        with contextlib.suppress(OSError):
            remove_folders(made)
        raise
    return made


def missing_folders(folder: str) -> list[str]:
    """The folders of a path that do not exist, the outermost first."""
    missing: list[str] = []
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        missing.insert(0, folder)
        folder = os.path.dirname(folder)
    return missing


def remove_folders(folders: list[str]) -> None:
    """Remove these folders again, the innermost first, as far as they are empty.

    Raises:
        OSError: an empty one cannot be removed.
    """
    for folder in reversed(folders):
        try:
            os.rmdir(folder)
        except OSError as error:
            # A read-only file system refuses before it looks whether the folder is there.
            if error.errno in IN_USE or not os.path.lexists(folder):
                continue
            raise


def sync_folder(folder: str) -> None:
    """Have the names in a folder on the disk, where the system can be asked for it."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # a folder that may be written but not read
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # the file is in place; some network file systems know no fsync of folders
    try:
        os.close(descriptor)
    except OSError:
        pass
