"""The Python under examination: its environment, where it looks for modules, what lies in the way."""

import os
import sys

from . import broken_python, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from .sections import Ask

# Modules that `import torch` (2.13, and torch.distributed, which it imports) takes from the standard library and that a
# file of the user's can hide; built-in ones and those loaded at start-up cannot be hidden.
LIBRARY = frozenset(
    """
    argparse array ast asyncio base64 binascii bisect bz2 calendar cmath collections concurrent contextlib
    contextvars copy copyreg csv ctypes dataclasses datetime decimal difflib dis email enum fcntl fnmatch
    fractions functools gettext glob grp gzip hashlib heapq html http importlib inspect ipaddress itertools json
    keyword linecache locale logging lzma math mmap multiprocessing numbers opcode operator optparse pathlib
    pickle pickletools pkgutil platform pprint queue quopri random re reprlib runpy secrets select selectors
    shutil signal socket ssl statistics string struct subprocess sysconfig tarfile tempfile textwrap threading
    timeit token tokenize traceback types typing unittest urllib uuid warnings weakref xml zipfile zlib
    """.split()
)
# What torch requires or looks for (Requires-Dist of 2.13, and what torch.utils.data and torch._dynamo take).
REQUIRED = frozenset(
    """numpy typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec filelock triton torchgen functorch nvfuser
    psutil packaging yaml expecttest""".split()
)


def suffixes() -> "Tuple[str, ...]":
    """What a file ends with that is imported, ".py" and the forms of compiled modules."""
    try:
        from _imp import extension_suffixes

        return (".py",) + tuple(extension_suffixes())
    except ImportError:
        return (".py", ".so")


def tag() -> str:
    """The interpreter's tag as wheel names carry it: "cp311", "cp313t" where it runs without the GIL."""
    kind = {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, sys.implementation.name)
    return "%s%d%d%s" % (
        kind,
        sys.version_info[0],
        sys.version_info[1],
        "t" if "t" in getattr(sys, "abiflags", "") else "",
    )


def user_site(venv: "Dict[str, str]") -> str:
    """The user's site-packages folder where a training run uses it, else ""."""
    if os.environ.get("PYTHONNOUSERSITE") or (venv and venv.get("include-system-site-packages", "").lower() != "true"):
        return ""
    if hasattr(os, "getuid") and os.getuid() != os.geteuid():
        return ""
    try:
        import site

        folder = site.getusersitepackages()
    except Exception:
        return ""
    return folder if os.path.isdir(folder) else ""


def added_by_pth(folder: str) -> "List[str]":
    """Folders that the .pth files of a site folder add to the path; lines that run code are passed over."""
    found = []
    for name in reading.names(folder):
        if not name.endswith(".pth"):
            continue
        for line in (reading.text(os.path.join(folder, name), 65536) or "").splitlines():
            line = line.strip()
            if line and not line.startswith(("#", "import ", "import\t")):
                place = os.path.join(folder, line)
                if os.path.isdir(place):
                    found.append(place)
    return found


def python_path() -> "List[str]":
    """The entries of PYTHONPATH, absolute; an empty one is the working directory, as for Python."""
    value = os.environ.get("PYTHONPATH", "")
    try:
        here = os.getcwd()
    except OSError:
        here = "/nowhere"  # it was removed: what is relative to it cannot be found
    return [os.path.normpath(os.path.join(here, entry)) for entry in value.split(os.pathsep)] if value else []


def working_directory() -> str:
    """ "" where it is gone, or where PYTHONSAFEPATH keeps Python from looking there."""
    if os.environ.get("PYTHONSAFEPATH") and sys.version_info >= (3, 11):
        return ""
    try:
        return os.getcwd()
    except OSError:
        return ""


def training_path(user: str) -> "List[str]":
    """sys.path of a script in the working directory; this interpreter itself runs isolated (-I)."""
    here = working_directory()
    path = ([here] if here else []) + python_path()
    added = not user
    for entry in sys.path:
        # site puts the user's folder before the first site folder.
        if not added and os.path.basename(entry) in ("site-packages", "dist-packages"):
            path += [user] + added_by_pth(user)
            added = True
        path.append(entry)
    return path if added else path + [user]


def shadows() -> "List[str]":
    """Files and packages in the working directory or on PYTHONPATH that hide a module torch needs, at most ten.

    A folder without __init__.py hides nothing: it counts only where no real module is found.
    """
    home = os.path.dirname(os.__file__)
    found: "List[str]" = []
    here = working_directory()
    seen = set()
    for folder in ([here] if here else []) + python_path():
        if folder in seen or folder == home or folder in sys.path:
            continue
        seen.add(folder)
        listed = set(reading.names(folder))
        for name in sorted(LIBRARY | REQUIRED):
            if name in sys.builtin_module_names:
                continue
            if name in listed and os.path.isfile(os.path.join(folder, name, "__init__.py")):
                found.append(os.path.join(folder, name, "__init__.py"))
                continue
            for suffix in suffixes():
                if name + suffix in listed:
                    found.append(os.path.join(folder, name + suffix))
                    break
    return found[:10]


def ssl_state() -> "Tuple[str, str]":
    """The OpenSSL version, or why the ssl module cannot be imported."""
    try:
        import _ssl  # the compiled half: all that can be missing, at a third of the time

        return str(_ssl.OPENSSL_VERSION), ""
    except ImportError as error:
        return "", str(error) or "the _ssl module is absent"


def conda_environment(prefix: str) -> str:
    """The conda environment an interpreter with this prefix belongs to, "" for none."""
    return prefix if os.path.isdir(os.path.join(prefix, "conda-meta")) else ""


def scripts_python(prefix: str) -> str:
    """The interpreter in the first line of a program of the environment, "" without one."""
    for name in ("torchrun", "pip", "pip3"):
        head = (reading.raw(os.path.join(prefix, "bin", name), 1024) or b"").decode("utf-8", "surrogateescape")
        lines = head.splitlines()
        if lines[:1] == ["#!/bin/sh"] and lines[1:2] and lines[1].startswith("'''exec' "):
            # Where the path is too long for the kernel: '''exec' "/path/python" "$0" "$@"
            found = lines[1][9:].strip()
            return found[1:].partition('"')[0] if found.startswith('"') else found.partition(" ")[0]
        if lines and lines[0].startswith("#!") and "python" in lines[0] and "/env " not in lines[0]:
            return lines[0][2:].strip()
    return ""


def on_path() -> str:
    """The `python` that a shell would start, else the `python3`; not resolved."""
    for name in ("python", "python3"):
        for folder in reading.parts(os.environ.get("PATH"), os.pathsep):
            place = os.path.join(folder, name)
            if os.access(place, os.X_OK) and not os.path.isdir(place):
                return place
    return ""


def externally_managed() -> str:
    """The marker of PEP 668 beside the standard library, "" without one or inside a venv."""
    if sys.prefix != sys.base_prefix:
        return ""
    marker = os.path.join(os.path.dirname(os.__file__), "EXTERNALLY-MANAGED")
    return marker if os.path.isfile(marker) else ""


def writable() -> bool:
    """Whether this user may add packages where the interpreter keeps its own."""
    names = ("site-packages", "dist-packages")
    own = [folder for folder in sys.path if os.path.basename(folder.rstrip(os.sep)) in names]
    return bool(own) and os.access(own[0], os.W_OK | os.X_OK)


def python(ask: "Ask") -> "Dict[str, Any]":
    if ask.stands_for:
        return broken_python.look(ask.stands_for, ask.stands_for_failure)
    prefix = sys.prefix
    venv = broken_python.venv_of(prefix)
    user = user_site(venv)
    version, error = ssl_state()
    base = getattr(sys, "base_prefix", prefix)
    named = scripts_python(prefix) if venv else ""
    folder = os.path.join(prefix, "bin")
    if named and os.path.realpath(os.path.dirname(named)) == os.path.realpath(folder):
        # The same folder under another name: a venv that is reached through a link was not moved.
        named = os.path.join(folder, os.path.basename(named))
    return {
        "executable": sys.executable,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "implementation": sys.implementation.name,
        "tag": tag(),
        "machine": os.uname()[4] if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", ""),
        "prefix": prefix,
        "base_prefix": base,
        "venv": prefix if venv else "",
        "venv_version": venv.get("version_info", venv.get("version", "")),
        "venv_home": venv.get("home", ""),
        "venv_packages_of": broken_python.packaged_versions(prefix) if venv else [],
        "scripts_python": named,
        "scripts_python_exists": not named or os.path.exists(named),
        "conda": conda_environment(prefix) or conda_environment(base),
        "on_path": on_path(),
        "path": training_path(user),
        "isolated_path": list(sys.path),
        "user_site": user,
        "shadows": shadows(),
        "ssl": version,
        "ssl_error": error,
        "externally_managed": externally_managed(),
        "writable": writable(),
    }
