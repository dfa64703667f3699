"""Small torches that behave as badly as real ones do, in real venvs."""

from __future__ import annotations

import sys
import venv
from collections.abc import Mapping
from pathlib import Path

VERSION = "__version__ = '2.7.1+cu126'\ndebug = False\ncuda: str = '12.6'\nhip = None\n"
FINE = "from torch.version import __version__\nfrom torch import version\n"


def environment(
    folder: Path,
    torch: str | None = FINE,
    *,
    files: Mapping[str, str] | None = None,
    system_site: bool = False,
) -> Path:
    """A venv of this Python, and the path of its interpreter.

    Args:
        torch: source of torch/__init__.py; None for no torch.
        files: further files of site-packages, path -> text.
    """
    venv.create(folder, with_pip=False, symlinks=True, system_site_packages=system_site)
    site = site_packages(folder)
    if torch is not None:
        package(site, torch)
    for name, text in (files or {}).items():
        place = site / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder / "bin" / "python"


def startup(source: str) -> dict[str, str]:
    """Files of site-packages that run `source` whenever the interpreter starts.

    A .pth file does it everywhere; a sitecustomize.py would stay unseen behind the one of Debian's Python.
    """
    return {"startup_hook.pth": "import startup_hook\n", "startup_hook.py": source}


def site_packages(folder: Path) -> Path:
    return folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def package(site: Path, torch: str, version: str = VERSION) -> Path:
    """A torch folder with a core, and its metadata."""
    place = site / "torch"
    place.mkdir(parents=True, exist_ok=True)
    (place / "__init__.py").write_text(torch)
    (place / "version.py").write_text(version)
    (place / "_C.cpython-311-x86_64-linux-gnu.so").write_bytes(b"\x7fELF")
    number = version.split("'")[1]
    info = site / f"torch-{number}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: torch\nVersion: {number}\n"
        'Requires-Dist: filelock\nRequires-Dist: nvidia-nccl-cu12==2.26.2; platform_system == "Linux"\n'
        'Requires-Dist: triton==3.3.1; platform_system == "Linux"\nRequires-Dist: opt-einsum>=3.3; extra == "opt"\n'
        "\nRequires-Dist: nvidia-in-the-description==1\n"
    )
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text(
        "torch/__init__.py,sha256=x,1\ntorch/version.py,,\ntorch/_C.cpython-311-x86_64-linux-gnu.so,,\n"
        f"torch-{number}.dist-info/METADATA,,\n"
    )
    return place
