"""What a test needs of the machine. Where it lacks, the test skips and says why; in CI that is a failure."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

NO_SKIP = bool(os.environ.get("ENVDOCTOR_NO_SKIP"))


def _lacks(what: str) -> NoReturn:
    if NO_SKIP:
        pytest.fail(f"{what}; ENVDOCTOR_NO_SKIP is set")
    pytest.skip(what)


def root() -> None:
    """The test makes namespaces, users or mounts."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        _lacks("needs root")


def namespaces() -> None:
    """The test makes namespaces and mounts, which root may not do in most containers."""
    root()
    tried = subprocess.run([program("unshare", "util-linux"), "--mount", "--pid", "--fork", "--cgroup", "true"])
    if tried.returncode:
        _lacks("needs the right to make namespaces (CAP_SYS_ADMIN)")


def program(name: str, package: str = "") -> str:
    """The path of a program that a Debian package brings."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        _lacks(f"needs {name} (Debian package {package or name})")
    return found


def module(name: str) -> ModuleType:
    """An importable module, such as the torch that the development dependencies bring."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        _lacks(f"needs the module {name}")


def distribution(name: str) -> str:
    """The version of an installed distribution, found without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        _lacks(f"needs the distribution {name}")


def uv() -> str:
    """The path of uv, which the development dependencies bring, or another with ENVDOCTOR_UV."""
    if chosen := os.environ.get("ENVDOCTOR_UV"):
        return chosen
    found: str = module("uv").find_uv_bin()
    return found


def python(version: str) -> str:
    """An interpreter of another version, such as "3.6", on PATH or as pyenv keeps them.

    No Debian release packages them all: where it lacks, the test skips, in CI too.
    """
    found = shutil.which(f"python{version}")
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    # A shim of pyenv's is on PATH for every version it knows, and runs only the chosen one.
    if kept:
        return str(kept[-1])
    if found is None:
        pytest.skip(f"needs Python {version}")
    return found


def fuse() -> None:
    """The test mounts a file system of its own. No package brings the kernel's part: where it lacks, the test skips."""
    namespaces()
    _device("/dev/fuse")


def tap() -> None:
    """The test makes TAP devices, of which the same is true."""
    root()
    _device("/dev/net/tun")


def _device(path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        pytest.skip(f"needs {path} ({error.strerror})")
