"""Small real wheels, and environments that real pip installs them into."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


def wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes], requires: tuple[str, ...] = ()) -> Path:
    """Write a wheel with these files, and a RECORD as pip checks it."""
    plain = name.replace("-", "_")
    info = f"{plain}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    content = {
        **files,
        f"{info}/METADATA": (metadata + "\nA made-up package.\nRequires-Dist: not-a-header\n").encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data in content.items()) + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_in, data in {**content, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(name_in, data)
    return path


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


class Venv:
    """A real venv. pip runs outside of it, with --python, which spares installing pip itself."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = str(folder / "bin" / "python")
        self.site = next((folder / "lib").glob("python3*")) / "site-packages"

    def pip(self, *arguments: str) -> None:
        argv = [sys.executable, "-m", "pip", "--python", self.python, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, *wheels: Path | str) -> None:
        self.pip("install", "--no-index", "--no-deps", "--quiet", *map(str, wheels))
