"""`envdoctor fix library-path`: what stands on LD_LIBRARY_PATH before torch's own libraries is taken out."""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from envdoctor import ByHand, EditFile, Files, Option, Plan, Remark, Text, Topic, UsageError, fix, said
from envdoctor.edits import activate_scripts, exports, job_words, shell_effect, shell_words
from envdoctor.edits.exports import Statement
from envdoctor.edits.library_lines import without_folder
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import Libraries
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import TorchInstall

TOPIC = Topic("libraries", 86, Text("folders on LD_LIBRARY_PATH", "LD_LIBRARY_PATH 中的目录"))

NAME = "LD_LIBRARY_PATH"
TITLE = said("Have torch load the libraries that belong to it", "让 torch 加载自带的库")


def _in_the_way(libraries: Libraries, torch: TorchInstall | None) -> list[str]:
    """Folders of LD_LIBRARY_PATH with a stub, or with another copy of a library that torch has for itself."""
    found = []
    for folder in libraries.library_path:
        copies = [libraries.own(soname, torch) for soname in folder.holds] if torch is not None else []
        own = [copy for copy in copies if copy is not None and os.path.dirname(copy.path) != folder.path.rstrip("/")]
        if folder.stub or own:
            found.append(folder.path)
    return list(dict.fromkeys(found))


def _line(place: str, home: str) -> tuple[str, int]:
    """File and line number from 0 of "~/.bashrc:7"."""
    path, _, number = place.rpartition(":")
    return (home + path[1:] if path.startswith("~/") else path), int(number) - 1


def _rest(libraries: Libraries, gone: list[str]) -> str:
    return ":".join(folder.path for folder in libraries.library_path if folder.path not in gone)


def _missing(libraries: Libraries, torch: TorchInstall | None, python: Python, files: Files) -> Plan | None:
    """What a torch that was not made of wheels needs and does not find, although it lies on this machine."""
    if torch is None or torch.from_wheels or not libraries.absent:
        return None
    wanted = [one.soname for one in libraries.absent]
    folders = dict.fromkeys(
        os.path.dirname(copy.path) for copy in libraries.copies if copy.soname in wanted and not copy.stub
    )
    folder = next((one for one in folders if ":" not in one), "")
    if not folder:
        return None
    title = said(
        "Have torch find {soname} in {folder}", "让 torch 在 {folder} 中找到 {soname}", soname=wanted[0], folder=folder
    )
    if python.conda:
        edits = activate_scripts.scripts(python.conda, "library-path", {NAME: folder}, files, first=True)
        told = said(
            "it holds while {prefix} is active, from the next `conda activate` on",
            "自下次 `conda activate` 起，在 {prefix} 激活期间有效",
            prefix=python.conda,
        )
        return Plan(title, edits, remarks=(Remark(told),), wants={f"activated {NAME}": folder})
    why = said("the loader then knows the folder for every program", "此后动态加载器对所有程序都能找到该目录")
    command = f"echo {shlex.quote(folder)} | sudo tee /etc/ld.so.conf.d/envdoctor.conf && sudo ldconfig"
    return Plan(title, by_hand=(ByHand(command, why),))


@fix(
    "library-path",
    Text(
        "take folders out of LD_LIBRARY_PATH that hide torch's own libraries",
        "从 LD_LIBRARY_PATH 中去掉遮蔽 torch 自带库的目录",
    ),
    mends=("library-path-pollution",),
    watches=("cuda-library-missing",),
    verify=shell_effect.takes_effect,
    options={"folders": Option(Text("folders to take out", "要去掉的目录"), metavar="[FOLDER...]", argument=True)},
)
def library_path(
    libraries: Libraries,
    torch: TorchInstall | None,
    python: Python,
    shell: ShellFiles,
    host: Host | None,
    files: Files,
    *,
    folders: tuple[str, ...] = (),
) -> Plan:
    """In the user's line that sets it; else by a line that takes it out again; by hand where an image, a module or root
    has set it. Nothing is ever added for a torch from wheels."""
    known = [folder.path for folder in libraries.library_path]
    gone = [folder.rstrip("/") or "/" for folder in folders] or _in_the_way(libraries, torch)
    if not gone:
        return _missing(libraries, torch, python, files) or Plan(TITLE)
    if strange := [folder for folder in folders if folder.rstrip("/") not in (one.rstrip("/") for one in known)]:
        raise UsageError(
            f"{strange[0]} is not on LD_LIBRARY_PATH, which is {':'.join(known) or 'not set'}",
            f"LD_LIBRARY_PATH 中没有 {strange[0]}，其当前值为：{':'.join(known) or '未设置'}",
        )
    by_hand: list[ByHand] = []
    edits: dict[str, EditFile] = {}
    filtered: list[str] = []
    for folder in gone:
        place = libraries.set_in(folder)
        path, number = _line(place, shell.home) if place else ("", 0)
        if path.startswith(shell.home + "/"):
            try:
                before = edits[path].before if path in edits else files.read(path)
                now = edits[path].after if path in edits else before
            except OSError as error:
                raise UsageError(
                    f"{path} cannot be read ({error.strerror})",
                    f"无法读取 {path}（{error.strerror}）",
                ) from error
            edits[path] = EditFile(path, before, without_folder(now or b"", number, folder, shell.home))
            if edits[path].after != now:
                continue
            del edits[path]  # the line is not as it was seen, or spells the folder in another way
        filtered.append(folder)
        by_hand += _of_others(place, path, number, host, libraries, gone)
    container = host is not None and host.container in ("docker", "podman", "kubernetes")
    change = exports.Change()
    if filtered and not container:
        try:
            change = exports.exporting(shell, _Changed(files, edits), {}, [_filter(folder) for folder in filtered])
        except shell_words.CannotSay as error:
            raise UsageError(str(error), error.zh) from error
    rest = _rest(libraries, gone)
    here = shell_words.setting(NAME, rest, "bash") if rest else f"unset {NAME}"
    remarks = [exports.in_this_shell(here)] if edits or change.edits else []
    by_hand += change.by_hand
    merged = _merged(edits, change.edits)
    wants = {f"without {NAME}": ":".join(gone)} if merged else {}
    steps = {step.command: step for step in by_hand}
    return Plan(TITLE, merged, by_hand=tuple(steps.values()), remarks=tuple(remarks), wants=wants)


def _filter(folder: str) -> Statement:
    return Statement(f"without:{quote(folder)}", lambda kind: shell_words.without(NAME, folder, kind), last=True)


class _Changed(Files):
    """The files as they are once some edits are made."""

    def __init__(self, files: Files, edits: Mapping[str, EditFile]) -> None:
        self._files, self._edits = files, edits

    def read(self, path: str) -> bytes | None:
        return self._edits[path].after if path in self._edits else self._files.read(path)


def _merged(own: Mapping[str, EditFile], block: Iterable[EditFile]) -> tuple[EditFile, ...]:
    """One edit for each file."""
    both = dict(own)
    for edit in block:
        before = own[edit.path].before if edit.path in own else edit.before
        both[edit.path] = EditFile(edit.path, before, edit.after)
    return tuple(both.values())


def _of_others(
    place: str, path: str, number: int, host: Host | None, libraries: Libraries, gone: list[str]
) -> list[ByHand]:
    """What to do where neither this user nor a start-up file of theirs sets it."""
    rest = _rest(libraries, gone)
    if host is not None and host.container in ("docker", "podman", "kubernetes"):
        return list(job_words.by_hand_for_job({NAME: rest}, host.container, ""))
    if place and not place.startswith("~/"):
        why = said("{place} sets it for every user of this machine", "{place} 为本机所有用户设置了它", place=place)
        return [ByHand(f"sudo sed -i '{number + 1}s/^/# /' {shlex.quote(path)}", why)]
    modules = [
        name for name in (host.modules if host else ()) if any(word in name.lower() for word in ("cuda", "nvhpc"))
    ]
    if modules:
        why = said(
            "in this shell and in the batch script: the module sets it",
            "在当前 shell 与作业脚本中执行：该变量由 module 设置",
        )
        return [ByHand(f"module unload {shlex.quote(modules[0])}", why)]
    return []
