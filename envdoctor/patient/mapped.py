"""The libraries in the memory of this process, once it has imported torch."""

import os

from . import libraries as on_disk
from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

MAPS = "/proc/self/maps"


def paths() -> "List[str]":
    """The files mapped into this process, each once, in the order of their addresses."""
    found: "Dict[str, None]" = {}
    for line in (reading.text(MAPS, 1 << 24) or "").splitlines():
        parts = line.split(None, 5)
        if len(parts) == 6 and parts[5].startswith("/"):
            found.setdefault(parts[5].replace("\\012", "\n"))
    return list(found)


def libraries() -> "Dict[str, Any]":
    """The libraries that training uses, with the version each says of itself where it can be asked.

    To be called after `import torch`. The calls made take no GPU and no CUDA context.
    """
    found = []
    for path in paths():
        clean = path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path
        kind = on_disk.family(os.path.basename(clean))
        if kind:
            asked = _asked(kind, clean)
            found.append(
                {"family": kind, "path": path, "version": asked or on_disk.version_of(clean), "asked": bool(asked)}
            )
    return {"libraries": found}


def _asked(kind: str, path: str) -> str:
    """What a library that is loaded already says its version is; empty where it cannot be asked."""
    call = {"libnccl": _nccl, "libcudart": _cudart, "libcudnn": _cudnn}.get(kind)
    if call is None:
        return ""
    import ctypes

    try:
        # RTLD_NOLOAD: the copy in memory, or none.
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        return call(library)
    except (OSError, AttributeError):
        return ""


def _number(function: "Any") -> int:
    """The integer a `status f(int *)` gives, 0 where it fails."""
    import ctypes

    value = ctypes.c_int(0)
    function.argtypes = [ctypes.POINTER(ctypes.c_int)]
    function.restype = ctypes.c_int
    return value.value if function(ctypes.byref(value)) == 0 else 0


def _dotted(code: int, changed: int) -> str:
    """A version of three parts; below `changed` the second of them has one digit, from there on two."""
    if code <= 0:
        return ""
    if code < changed:
        return "%d.%d.%d" % (code // 1000, code // 100 % 10, code % 100)
    return "%d.%d.%d" % (code // 10000, code // 100 % 100, code % 100)


def nccl_version(code: int) -> str:
    """ "2.27.5" of 22705, "2.8.4" of 2804: NCCL_VERSION of nccl.h changed its form with 2.9."""
    return _dotted(code, 10000)


def _nccl(library: "Any") -> str:
    return nccl_version(_number(library.ncclGetVersion))


def _cudart(library: "Any") -> str:
    code = _number(library.cudaRuntimeGetVersion)
    return "%d.%d" % (code // 1000, code // 10 % 100) if code else ""


def cudnn_version(code: int) -> str:
    """ "9.10.2" of 91002, "8.9.7" of 8907: CUDNN_VERSION of cudnn_version.h changed its form with 9."""
    return _dotted(code, 90000)


def _cudnn(library: "Any") -> str:
    import ctypes

    library.cudnnGetVersion.argtypes = []
    library.cudnnGetVersion.restype = ctypes.c_size_t
    return cudnn_version(library.cudnnGetVersion())
