"""Which files this user may replace, and the command to paste for those it may not."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import sys
from dataclasses import replace

from envdoctor import atomic
from envdoctor.errors import CannotMend
from envdoctor.model import Text
from envdoctor.remedy import ByHand, EditFile, Files, Plan, Remark, Said

MOST_BYTES = 32 << 20  # no start-up or configuration file is larger; the record keeps all of it
IMMUTABLE, APPEND_ONLY = 0x10, 0x20  # FS_IMMUTABLE_FL and FS_APPEND_FL of linux/fs.h
GET_FLAGS = 0x80086601 if sys.maxsize > 1 << 32 else 0x80046601  # FS_IOC_GETFLAGS, _IOR('f', 1, long)

OBSTACLES = {
    "owner": Text(
        "{path} belongs to another user, whose file it is to stay", "{path} 属于其他用户，替换会改变其属主"
    ),
    "group": Text(
        "{path} belongs to a group that this user is not in", "{path} 所属的组不包含当前用户，替换会改变其属组"
    ),
    "folder": Text("this user may not write in {folder}", "当前用户不能写入 {folder}"),
    "links": Text(
        "{path} has {links} names (hard links), which would part", "{path} 有 {links} 个硬链接，替换会使其分离"
    ),
    "mount": Text("{path} is mounted by itself and cannot be replaced", "{path} 是单独挂载的文件，不能替换"),
    "immutable": Text("{path} is marked immutable", "{path} 带有不可修改标志（immutable）"),
    "append-only": Text("{path} is marked append-only", "{path} 带有只可追加标志（append-only）"),
    "read-only": Text(
        "{path} is on a read-only file system: applying will fail", "{path} 位于只读文件系统：应用将会失败"
    ),
    "locked": Text("this user may not replace {path}", "当前用户不能改写 {path}"),
}  # fmt: skip


def contents(path: str) -> bytes | None:
    """The bytes of a file, None where there is none.

    Raises:
        OSError: it cannot be read, is larger than 32 MiB, or is a device, a pipe or a folder.
    """
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        if state.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES >> 20} MiB", path)
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A read that fails halfway does not say of which file.
        raise OSError(error.errno, error.strerror, path) from error


class LocalFiles(Files):
    """The files of this machine as they are now."""

    def read(self, path: str) -> bytes | None:
        return contents(path)

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def writable(self, path: str) -> bool:
        return obstacle(self.resolve(path)) == ""


def obstacle(place: str) -> str:
    """What keeps this user from putting another file in the place of this one; "" if nothing does.

    Args:
        place: a path without links; the file need not exist.

    Returns:
        A key of OBSTACLES.
    """
    try:
        state = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        missing = atomic.missing_folders(os.path.dirname(place))
        folder = os.path.dirname(missing[0] if missing else place)
        return _of_folder(folder)
    except OSError:
        return "folder"
    if _read_only(place):
        return "read-only"
    if flag := _flag(place):
        return flag
    if _mounted(place):
        return "mount"
    if state.st_nlink > 1:
        return "links"
    if os.name == "posix" and os.geteuid() != 0:
        if state.st_uid != os.geteuid():
            return "owner"
        if state.st_gid not in {os.getegid(), *os.getgroups()}:
            return "group"
    return _of_folder(os.path.dirname(place))


def _of_folder(folder: str) -> str:
    if _may(folder, os.W_OK | os.X_OK):
        return ""
    return "read-only" if _read_only(folder) else "folder"


def _may(place: str, mode: int) -> bool:
    return os.access(place, mode, effective_ids=os.access in os.supports_effective_ids)


def _read_only(place: str) -> bool:
    try:
        return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):
        return False


def _flag(place: str) -> str:
    """The mark of chattr that keeps even root from replacing a file."""
    if not sys.platform.startswith("linux"):
        return ""
    import fcntl

    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        told = bytearray(8)
        fcntl.ioctl(descriptor, GET_FLAGS, told)
        flags = int.from_bytes(told[:4], sys.byteorder)
    except OSError:
        return ""  # a file system without such marks
    finally:
        os.close(descriptor)
    return "immutable" if flags & IMMUTABLE else "append-only" if flags & APPEND_ONLY else ""


def _mounted(place: str) -> bool:
    """Whether a file is a mount point, as docker's -v FILE:FILE makes it: rename(2) answers EBUSY there."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = {line.split(" ", 5)[4] for line in file if line.count(" ") > 5}
    except OSError:
        return False
    return re.sub(r"[ \t\n\\]", lambda found: f"\\{ord(found[0]):03o}", place) in points


def settled(plan: Plan, files: Files) -> Plan:
    """The plan with the edits that this user may not make turned into commands to paste."""
    edits: list[EditFile] = []
    by_hand, remarks = list(plan.by_hand), list(plan.remarks)
    for edit in _merged(plan.edits, files):
        if files.writable(edit.path):
            edits.append(edit)
            continue
        place = files.resolve(edit.path)
        found = (obstacle(place) or "locked") if isinstance(files, LocalFiles) else "locked"
        why = _said(found, edit.path, place)
        if found == "read-only":
            # No command helps, sudo neither: the change is shown, and applying says what refuses it.
            edits.append(edit)
            remarks.append(Remark(why, "warning"))
        else:
            by_hand.append(ByHand(edit.by_hand or whole_file(edit, place, found), why))
    return replace(plan, edits=tuple(edits), by_hand=tuple(by_hand), remarks=tuple(remarks))


def _said(found: str, path: str, place: str) -> Said:
    values: dict[str, str | int] = {"path": path}
    if found == "folder":
        missing = atomic.missing_folders(os.path.dirname(place))
        values["folder"] = os.path.dirname(missing[0] if missing else place)
    if found == "links":
        values["links"] = os.lstat(place).st_nlink
    return Said(OBSTACLES[found], values)


def _merged(edits: tuple[EditFile, ...], files: Files) -> list[EditFile]:
    """The edits that change something, one for each file: two names may lead to one.

    Raises:
        CannotMend: two edits make different things of one file.
    """
    by_place: dict[str, EditFile] = {}
    for edit in edits:
        place = files.resolve(edit.path)
        known = by_place.get(place)
        if known is None or known.after == edit.before:
            by_place[place] = edit if known is None else replace(known, after=edit.after, by_hand="")
        elif known != replace(edit, path=known.path):
            raise CannotMend(
                f"{known.path} and {edit.path} are one file, and the fix makes different things of it",
                f"{known.path} 与 {edit.path} 是同一个文件，而修复对两者的改动不同",
            )
    return [edit for edit in by_place.values() if edit.changes]


def whole_file(edit: EditFile, place: str, found: str = "locked") -> str:
    """The command that makes the file as the edit would, in place, so that owner, mode and names stay."""
    quoted = shlex.quote(place)
    root = os.name == "posix" and os.geteuid() == 0
    if edit.after is None:
        free = root or _may(os.path.dirname(place), os.W_OK)
        return _unmarked(f"{'' if free else 'sudo '}rm {quoted}", quoted, found, root, again=False)
    sudo = "" if root or _may(place, os.W_OK) else "sudo "
    made = ""
    if edit.before is None:
        made = f"{sudo}mkdir -p {shlex.quote(os.path.dirname(place))} && "
        if edit.mode != 0o644:
            made += f"{sudo}install -m {edit.mode:o} /dev/null {quoted} && "
    try:
        text = edit.after.decode()
    except UnicodeDecodeError:
        text = ""
    # A tab that is pasted makes some shells complete a name, and blanks at the end of a line are not seen.
    plain = text.endswith("\n") and text.replace("\n", "").isprintable() and " \n" not in text
    if plain and "END" not in text.split("\n"):
        told = _unmarked(f"{made}{sudo}tee {quoted} >/dev/null <<'END'", quoted, found, root)
        return f"{told}\n{text}END"
    return _unmarked(f"{made}printf '{_escaped(edit.after)}' | {sudo}tee {quoted} >/dev/null", quoted, found, root)


def _escaped(data: bytes) -> str:
    """The format with which printf of every shell, fish included, writes these bytes; without quotes or backslashes
    that a shell would take for its own."""
    kept = {byte: chr(byte) for byte in range(32, 127) if chr(byte) not in "\\'%"}
    kept |= {10: r"\n", 13: r"\r", 9: r"\t", ord("%"): "%%"}
    told = "".join(kept.get(byte) or f"\\{byte:03o}" for byte in data)
    return rf"\055{told[1:]}" if told.startswith("-") else told  # it would be taken for an option


def _unmarked(command: str, quoted: str, found: str, root: bool, again: bool = True) -> str:
    mark = {"immutable": "i", "append-only": "a"}.get(found)
    if mark is None:
        return command
    chattr = f"{'' if root else 'sudo '}chattr"
    return f"{chattr} -{mark} {quoted} && {command}" + (f" && {chattr} +{mark} {quoted}" if again else "")
