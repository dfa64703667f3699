"""A Python that does not start, looked at from outside: its file, its links, its venv, what it said."""

import os
import re
import struct

from . import children, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

SILENT = "did not say a word"  # of an interpreter whose first word was waited for
ANSWER_S = 2.0  # for a look at the file of such a one
# e_machine of an ELF header (elf.h), under the names uname gives the machines.
MACHINES = {3: "i686", 20: "ppc", 21: "ppc64le", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64",
            243: "riscv64", 258: "loongarch64"}  # fmt: skip


def venv_of(prefix: str) -> "Dict[str, str]":
    """The lines of pyvenv.cfg, {} outside of a venv."""
    text = reading.text(os.path.join(prefix, "pyvenv.cfg"), 65536)
    lines = (line.partition("=") for line in (text or "").splitlines())
    return {name.strip().lower(): value.strip() for name, mark, value in lines if mark}


def packaged_versions(prefix: str) -> "List[str]":
    """The Python versions an environment holds packages for: "3.11" of lib/python3.11/site-packages."""
    found = []
    for name in reading.names(os.path.join(prefix, "lib")):
        version = re.match(r"python(\d+\.\d+t?)$", name)
        folder = os.path.join(prefix, "lib", name, "site-packages")
        if version and any(not own.startswith(("pip", "setuptools", "wheel", "_", "distutils", "pkg_resources")) for own
                           in reading.names(folder)):  # fmt: skip
            found.append(version.group(1))
    return found


def site_folders(executable: str) -> "List[str]":
    """The site-packages folders of the environment an interpreter file lies in."""
    prefix = os.path.dirname(os.path.dirname(executable))
    found = [os.path.join(prefix, "Lib", "site-packages")] if os.name == "nt" else []
    for lib in ("lib", "lib64"):
        for name in reading.names(os.path.join(prefix, lib)):
            if re.match(r"python\d+\.\d+t?$", name):
                found.append(os.path.join(prefix, lib, name, "site-packages"))
    unique = {os.path.realpath(folder): folder for folder in reversed(found) if os.path.isdir(folder)}
    return list(reversed(list(unique.values())))


def elf_machine(path: str) -> str:
    """The machine an executable was built for, "" if it is no ELF file or an unknown one."""
    head = reading.raw(path, 20) or b""
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return ""
    number = struct.unpack(">H" if head[5:6] == b"\x02" else "<H", head[18:20])[0]
    return MACHINES.get(number, "machine %d" % number)


def dangling(path: str) -> "Tuple[str, str]":
    """The last link of a chain that leads nowhere and what it names; ("", "") if the chain ends at a file."""
    for _ in range(40):
        if not os.path.islink(path):
            return "", ""
        named = os.path.join(os.path.dirname(path), os.readlink(path))
        if not os.path.lexists(named):
            return path, os.path.normpath(named)
        path = named
    return path, "itself (a loop of links)"


def kind_of(path: str, said: str) -> "Tuple[str, str]":
    """Why an interpreter does not start: a kind, see facts.python.Python.failure_kind, and what it is about."""
    link, named = dangling(path)
    if link:
        return "dangling", named
    if not os.path.exists(path):
        return "absent", path
    if os.path.isdir(path):
        return "absent", path + " is a folder"
    if not os.access(path, os.X_OK):
        return "denied", path
    machine = elf_machine(path)
    if machine and hasattr(os, "uname") and machine != os.uname()[4] and ("Exec format" in said or "not found" in said):
        return "foreign", machine
    library = re.search(r"([^\s:]+\.(?:so|dylib)[^\s:]*): cannot open shared object|Library not loaded: (\S+)", said)
    if library:
        return "library", library.group(1) or library.group(2)
    if "No module named 'encodings'" in said or "init_fs_encoding" in said or "No module named encodings" in said:
        return "stdlib", ""
    if re.search(r"[Uu]nknown option:? -I|-X is reserved", said):
        return "too-old", ""
    # The interpreter's own files are listed as well; what the user can change is what stands in a site folder.
    frames = re.findall(r'File "([^"<][^"]*(?:customize|-packages)[^"]*)", line (\d+)', said)
    if SILENT in said:
        return "silent", "%s:%s" % frames[0] if frames else ""
    if frames:
        return "startup", "%s:%s" % frames[-1]
    if "WindowsApps" in path:
        return "stub", path
    return "other", ""


def version_of(path: str, kind: str) -> str:
    """What `python -V` says, where it says anything."""
    if kind not in ("too-old", "other"):
        return ""
    said = reading.run([path, "-V"], 1.0)
    version = re.search(r"Python (\d+\.\d+\.\d+)", said.out + said.err)
    return version.group(1) if version else ""


def look(executable: str, said: str) -> "Dict[str, Any]":
    """The fact Python of an interpreter that does not start."""
    prefix = os.path.dirname(os.path.dirname(executable))
    if SILENT in said and children.ask(os.path.exists, ANSWER_S, executable)[0] in ("hung", "slow"):
        # Whoever looks at anything beside it would sleep in the kernel as well.
        return {"executable": executable, "prefix": prefix, "failure": said or "hangs", "failure_kind": "hung"}
    venv = venv_of(prefix)
    kind, about = kind_of(executable, said)
    packaged = packaged_versions(prefix)
    version = version_of(executable, kind)
    return {
        "executable": executable,
        "version": version or venv.get("version_info", venv.get("version", "")),
        "prefix": prefix,
        "venv": prefix if venv else "",
        "venv_version": venv.get("version_info", venv.get("version", "")),
        "venv_home": venv.get("home", ""),
        "venv_packages_of": packaged,
        "conda": prefix if os.path.isdir(os.path.join(prefix, "conda-meta")) else "",
        "path": site_folders(executable),
        "isolated_path": site_folders(executable),
        "failure": said or "it does not start",
        "failure_kind": kind,
        "failure_about": about,
    }
