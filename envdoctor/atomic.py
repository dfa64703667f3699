"""Replaces a file's bytes so that at any instant it is whole, the old one or the new one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# Part of the name of every temporary file, so that one left behind by a killed run can be told.
MARK = ".envdoctor-"


def temporary(path: str, token: str) -> str:
    """Where the new bytes of `path` are gathered: in the same folder, under a name that no program reads."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:80]}{MARK}{token}")


def replace(path: str, data: bytes, token: str, mode: int | None = None, keep: os.stat_result | None = None) -> None:
    """Put `data` in the place of `path`, which is no link.

    Args:
        token: makes the temporary name unique.
        mode: permission bits; None for those of the file that is there, else 0644 less the umask.
        keep: whose owner, mode and extended attributes the new file gets; by default the file that is there.

    Raises:
        OSError: nothing has changed then, and no temporary file is left where the system lets it be removed.
    """
    name = temporary(path, token)
    old = keep or _state(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    # Private until it has the mode of the file it replaces: credentials may be in it.
    descriptor = os.open(name, flags | getattr(os, "O_BINARY", 0), 0o600)
    try:
        try:
            _write(descriptor, data)
            _dress(descriptor, name, path, old, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(name, path)
    except BaseException:
        try:
            os.unlink(name)
        except OSError:
            pass  # a full or failing disk may refuse that too; the journal names the file
        raise
    sync_folder(os.path.dirname(path))


def _state(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _dress(descriptor: int, name: str, path: str, old: os.stat_result | None, mode: int | None) -> None:
    """Give the new file the owner, mode and extended attributes (ACL, SELinux label) of the old one."""
    if os.name != "posix":
        return
    if old is None:
        mask = os.umask(0)
        os.umask(mask)
        _give_to_owner_of(os.path.dirname(path), descriptor)
        os.fchmod(descriptor, (0o644 if mode is None else mode) & ~mask)
        return
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) if mode is None else mode)
    if hasattr(os, "listxattr"):
        _copy_attributes(path, descriptor)


def _give_to_owner_of(folder: str, place: int | str) -> None:
    """What root makes in a user's folder (sudo keeps HOME) is the user's, who must be able to change it later."""
    if os.geteuid() == 0:
        above = os.stat(folder or ".")
        os.chown(place, above.st_uid, above.st_gid)


def _copy_attributes(path: str, descriptor: int) -> None:
    try:
        names = os.listxattr(path)
    except OSError:
        return  # no file any more, or a file system without them
    for name in names:
        try:
            os.setxattr(descriptor, name, os.getxattr(path, name))
        except OSError:
            # Labels of the security module are set by the kernel; nobody but root may copy those.
            if not name.startswith(("security.", "trusted.")):
                raise


def remove(path: str) -> None:
    """Take a file away and have that on the disk."""
    os.unlink(path)
    sync_folder(os.path.dirname(path))


def make_folders(folder: str, mode: int = 0o777) -> list[str]:
    """Make a folder with those above it; returns those that were made, the outermost first."""
    missing = []
    place = folder
    while place and not os.path.isdir(place):
        missing.append(place)
        above = os.path.dirname(place)
        if above == place:
            break
        place = above
    missing.reverse()
    for number, place in enumerate(missing):
        try:
            os.mkdir(place, mode)
            if os.name == "posix":
                _give_to_owner_of(os.path.dirname(place), place)
        except FileExistsError:
            continue
        except OSError:
            remove_folders(missing[:number])
            raise
        sync_folder(os.path.dirname(place))
    return missing


def remove_folders(folders: list[str]) -> None:
    """Remove these folders again, the innermost first, as far as they are empty."""
    for folder in reversed(folders):
        try:
            os.rmdir(folder)
        except OSError:
            return


def sync_folder(folder: str) -> None:
    """Have the names in a folder on the disk, where the system can be asked for it."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder or ".", os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return  # a folder that may be written but not read
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # the file is in place; some network file systems know no fsync of folders
    finally:
        os.close(descriptor)


def same_bytes(path: str, data: bytes | None) -> bool:
    """Whether the file holds just these bytes; None for no file."""
    try:
        return Path(path).read_bytes() == data
    except FileNotFoundError:
        return data is None
