"""A package index on this machine with small wheels of torch, as PyTorch's own and the official one have them."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.patient.index_servers import serving
from tests.patient.made_wheels import wheel

INIT = b"""from torch.version import __version__, cuda as _built
from torch import version
class cuda:
    is_available = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 0)
    init = staticmethod(lambda: None)
    get_arch_list = staticmethod(lambda: [])
"""


def torch_wheel(folder: Path, version: str, cuda: str, requires: tuple[str, ...] = (), index_version: str = "") -> Path:
    """A torch that imports. `version` has its local part; `index_version` is the distribution's, if that differs."""
    told = f"__version__ = '{version}'\ndebug = False\ncuda = {cuda or None!r}\nhip = None\n"
    files = {"torch/__init__.py": INIT, "torch/version.py": told.encode(), "torch/_C.cpython.so": b"no library"}
    return wheel(folder, "torch", index_version or version, files, requires)


def nvidia_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel of NVIDIA's NCCL: those of every CUDA own the same file."""
    return wheel(folder, name, version, {"nvidia/nccl/lib/libnccl.so.2": f"{name} {version}".encode()})


def _metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA")))


@contextlib.contextmanager
def index(folders: Mapping[str, Path]) -> Iterator[str]:
    """Serve wheels: below /NAME/ of the address lies the index of the folder of that name (PEP 503)."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        parts = [part for part in handler.path.split("/") if part]
        folder = folders.get(parts[0]) if parts else None
        if folder is None or len(parts) < 2:
            return 404, {}, b""
        name = parts[1].replace("%2B", "+")
        found = folder / name.removesuffix(".metadata")
        if name.endswith((".whl", ".metadata")):
            data = _metadata(found) if name.endswith(".metadata") else found.read_bytes()
            return 200, {"Content-Type": "application/octet-stream"}, data
        wheels = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
        # With its metadata beside it (PEP 658), uv needs no parts of a wheel.
        links = "".join(
            f'<a href="/{parts[0]}/{one.name.replace("+", "%2B")}" data-core-metadata="true">{one.name}</a>\n'
            for one in wheels
        )
        page = f"<!DOCTYPE html><html><head><title>Links for {name}</title></head><body>{links}</body></html>"
        return (200 if wheels else 404), {"Content-Type": "text/html"}, page.encode()

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}"
