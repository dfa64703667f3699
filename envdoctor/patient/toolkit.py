"""The CUDA toolkit and the compilers that an extension would be built with, read from their files."""

import os
import re
import shutil
import sys

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

VERSION_LIMIT_S = 3.0  # nvcc and gcc answer in 20 ms; from a cold network file system in a second
DEBIAN = "/usr/lib/nvidia-cuda-toolkit"
HEAD = 1 << 15  # bytes; CUDA_VERSION and the limits on compilers stand near the top of their headers


def of_number(code: int) -> str:
    """ "12.4" of CUDA_VERSION 12040."""
    return "%d.%d" % (code // 1000, code // 10 % 100)


def version(root: str) -> str:
    """The CUDA version of a toolkit's folder from its own files: "12.4"; empty where none of them tells."""
    told = re.search(r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([\d.]+)"', reading.text(root + "/version.json") or "")
    told = told or re.search(r"CUDA Version ([\d.]+)", reading.text(root + "/version.txt", 4096) or "")
    if told:
        return ".".join(told.group(1).split(".")[:2])
    for header in ("/include/cuda.h", "/targets/x86_64-linux/include/cuda.h", "/targets/sbsa-linux/include/cuda.h"):
        number = re.search(r"^\s*#define\s+CUDA_VERSION\s+(\d+)", reading.text(root + header, HEAD) or "", re.M)
        if number:
            return of_number(int(number.group(1)))
    return ""


def newest_compilers(root: str) -> "Dict[str, Optional[int]]":
    """The newest major versions of gcc and clang that a toolkit's own crt/host_config.h accepts; None if unknown."""
    told = ""
    for header in ("/include/crt/host_config.h", "/targets/x86_64-linux/include/crt/host_config.h"):
        told = told or reading.text(root + header, HEAD) or ""
    gcc = re.search(r"^\s*#\s*if\s+__GNUC__\s*>\s*(\d+)", told, re.M)
    clang = re.search(r"__clang_major__\s*>=\s*(\d+)", told)
    return {"gcc": int(gcc.group(1)) if gcc else None, "clang": int(clang.group(1)) - 1 if clang else None}


def real_root(nvcc: str) -> str:
    """The toolkit folder of an nvcc: behind links, and behind a shell script that starts another nvcc."""
    real = reading.link(nvcc)
    head = reading.text(real, 4096) or ""
    if head.startswith("#!"):
        other = re.search(r"(?:^|[\s\"'=])(/[^\s\"'$]+)/nvcc(?=[\s\"']|$)", head, re.M)
        if other:
            return os.path.dirname(reading.link(other.group(1)))
    return os.path.dirname(os.path.dirname(real))


def _toolkit(nvcc: str, source: str, quick: bool) -> "Dict[str, Any]":
    root = real_root(nvcc)
    known = version(root)
    asked = "file" if known else ""
    if not known and not quick:
        told = re.search(r"release (\d+\.\d+)", reading.run([nvcc, "--version"], VERSION_LIMIT_S).out)
        known, asked = (told.group(1), "nvcc --version") if told else ("", "")
    # Debian's package keeps the program and the headers apart.
    most = newest_compilers("/usr" if root == DEBIAN else root)
    return {
        "nvcc": nvcc,
        "root": root,
        "source": source,
        "version": known or (version("/usr") if root == DEBIAN else ""),
        "version_source": asked,
        "newest_gcc": most["gcc"],
        "newest_clang": most["clang"],
    }


def toolkits(quick: bool) -> "List[Dict[str, Any]]":
    """The toolkits of this machine, the one a build would take first: CUDA_HOME, nvcc on PATH, /usr/local/cuda*."""
    found: "List[Dict[str, Any]]" = []
    roots = set()

    def add(nvcc: str, source: str) -> None:
        if reading.exists(nvcc):
            told = _toolkit(nvcc, source, quick)
            if told["root"] not in roots:
                roots.add(told["root"])
                found.append(told)

    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    if home:
        add(os.path.join(home, "bin", "nvcc"), "CUDA_HOME" if os.environ.get("CUDA_HOME") else "CUDA_PATH")
    on_path = shutil.which("nvcc")
    if on_path:
        add(on_path, "PATH")
    add("/usr/local/cuda/bin/nvcc", "/usr/local/cuda")
    for name in reading.names("/usr/local"):
        if re.match(r"^cuda-\d", name):
            add("/usr/local/%s/bin/nvcc" % name, "/usr/local")
    add(os.path.join(sys.prefix, "bin", "nvcc"), "environment")
    return found


def compiler(command: str, quick: bool) -> "Dict[str, str]":
    """A compiler's path, kind and version.

    gcc is known without being run by the name of the program behind the links (x86_64-linux-gnu-gcc-12) and the folder
    of its own files.
    """
    path = shutil.which(command.split()[0]) if command.split() else None
    if path is None:
        return {"command": command}
    real = reading.link(path)
    kind = "clang" if "clang" in os.path.basename(real) else "gcc" if re.search(r"g(cc|\+\+)", real) else ""
    told = re.search(r"-(\d+(?:\.\d+)*)$", os.path.basename(real))
    number = told.group(1) if told else ""
    if not number and kind == "gcc":
        lib = os.path.join(os.path.dirname(os.path.dirname(real)), "lib", "gcc")
        versions = [v for triple in reading.names(lib) for v in reading.names(lib + "/" + triple) if v[:1].isdigit()]
        number = versions[0] if len(versions) == 1 else ""
    if not number and not quick:
        out = reading.run([path, "--version"], VERSION_LIMIT_S).out.partition("\n")[0]
        kind = kind or ("clang" if "clang" in out else "gcc" if re.search(r"gcc|g\+\+|GCC", out) else "")
        told = re.search(r"(\d+\.\d+(?:\.\d+)?)(?:\s|$)", re.sub(r"\([^)]*\)", "", out))
        number = told.group(1) if told else ""
    return {"command": command, "path": path, "kind": kind, "version": number}


def toolkit(ask: "Ask") -> "Dict[str, Any]":
    import sysconfig

    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or ""
    try:
        headers = sysconfig.get_paths().get("include", "")
    except (ImportError, KeyError):
        # Builds without their _sysconfigdata module exist (stripped images): the place is unknown then.
        headers = ""
    return {
        "cuda_home": home,
        "cuda_home_source": ("CUDA_HOME" if os.environ.get("CUDA_HOME") else "CUDA_PATH") if home else "",
        "cuda_home_exists": bool(home) and reading.exists(home),
        "toolkits": toolkits(ask.quick),
        "cc": compiler(os.environ.get("CC") or "gcc", ask.quick),
        "cxx": compiler(os.environ.get("CXX") or "g++", ask.quick),
        "ninja": shutil.which("ninja") or "",
        "python_headers": reading.exists(os.path.join(headers, "Python.h")) if headers and not ask.stands_for else None,
    }
