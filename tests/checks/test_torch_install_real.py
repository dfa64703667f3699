"""checks/torch_install.py with real pip and uv, and an index of small wheels."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from envdoctor.cli import app
from envdoctor.knowledge import torch_builds
from tests import needs
from tests.patient.index_servers import serving
from tests.patient.wheel_index import index, nvidia_wheel, torch_wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Indexes: "official" with the default build, cu118 and cu126 as PyTorch has them."""
    folder = tmp_path_factory.mktemp("wheels")
    torch_wheel(folder / "official", "2.8.0+cu128", "12.8", ("nvidia-nccl-cu12==2.27.3",), "2.8.0")
    torch_wheel(folder / "cu118", "2.7.1+cu118", "11.8", ("nvidia-nccl-cu11==2.21.5",))
    torch_wheel(folder / "cu126", "2.8.0+cu126", "12.6", ("nvidia-nccl-cu12==2.27.3",))
    torch_wheel(folder / "broken", "2.8.0+cu126", "12.6", ("nvidia-nccl-cu12==9.9.9",))
    for name in ("official", "cu126", "broken"):
        nvidia_wheel(folder / name, "nvidia-nccl-cu12", "2.27.3")
    nvidia_wheel(folder / "cu118", "nvidia-nccl-cu11", "2.21.5")
    with index({path.name: path for path in folder.iterdir()}) as url:
        yield url


@pytest.fixture(scope="module", params=["pip", "uv"])
def installer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, wheels: str, installer: str) -> Path:
    """A venv with torch 2.7.1+cu118, made by the installer."""
    folder = tmp_path_factory.mktemp(installer) / "env"
    bare = ["--without-pip"] if installer == "uv" else []
    subprocess.run([sys.executable, "-m", "venv", *bare, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    words = ["torch==2.7.1+cu118", "--index-url", f"{wheels}/cu118", "--quiet"]
    tool = [needs.uv(), "pip", "install", "--no-cache", "--python", python]
    argv = [*tool, *words] if installer == "uv" else [python, "-m", "pip", "--isolated", "install", *words]
    subprocess.run(argv, check=True)
    return folder


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheels: str, installer: str, made: Path) -> Path:
    """A copy of that venv, a scratch home; PyTorch's index is on this machine."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"{wheels}/official")
    monkeypatch.setenv("UV_CACHE_DIR", str(home / "uv"))
    monkeypatch.setattr(torch_builds, "index_url", lambda tag: f"{wheels}/{tag}")
    if installer == "uv":
        monkeypatch.setenv("PATH", f"{Path(needs.uv()).parent}:/usr/bin:/bin")
    shutil.copytree(made, tmp_path / "env", symlinks=True)
    return tmp_path / "env"


def contents(env: Path) -> dict[str, bytes]:
    """What lies in the environment's packages, what pip itself and compiled files are left out."""
    site = next((env / "lib").glob("python3*")) / "site-packages"
    return {
        str(path.relative_to(site)): path.read_bytes()
        for path in sorted(site.rglob("*"))
        if path.is_file()
        and "__pycache__" not in path.parts
        and not path.relative_to(site).parts[0].startswith(("pip", "_"))
        and path.name not in ("RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")
    }


def run(capfd: pytest.CaptureFixture[str], env: Path, *arguments: str) -> tuple[int, str]:
    status = app.run(["fix", *arguments, "--python", str(env)])
    told = capfd.readouterr()
    return status, told.out + told.err


def test_installed_verified_and_put_back(env: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(env)
    assert before["nvidia/nccl/lib/libnccl.so.2"] == b"nvidia-nccl-cu11 2.21.5"
    status, told = run(capfd, env, "torch", "--version", "2.8.0", "--cuda", "cu126", "--yes")
    assert status == 0, told
    assert "checked again: it is in effect" in told
    now = contents(env)
    assert b"2.8.0+cu126" in now["torch/version.py"]
    assert now["nvidia/nccl/lib/libnccl.so.2"] == b"nvidia-nccl-cu12 2.27.3"
    assert not any("nccl_cu11" in name for name in now)
    status, told = run(capfd, env, "torch", "--version", "2.8.0", "--cuda", "cu126")
    assert status == 0 and "nothing to do" in told
    assert app.run(["fix", "--undo", "--yes"]) == 0, capfd.readouterr()
    assert contents(env) == before


def test_an_index_that_fails_leaves_the_environment_as_it_was(
    env: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wheels: str
) -> None:
    before = contents(env)
    monkeypatch.setattr(torch_builds, "index_url", lambda tag: f"{wheels}/{'broken' if tag == 'cu126' else tag}")
    status, told = run(capfd, env, "torch", "--version", "2.8.0", "--cuda", "cu126", "--yes")
    assert status == 1, told
    assert "rolled back" in told
    assert contents(env) == before


MAIN = """
import sys
from envdoctor.cli import main
from envdoctor.knowledge import torch_builds
stalls, serves = sys.argv[1:3]
torch_builds.index_url = lambda tag: f"{stalls if tag == 'cu126' else serves}/{tag}"
sys.argv[1:3] = []
main()
"""


def test_interrupted_while_the_wheel_comes(env: Path, wheels: str, tmp_path: Path) -> None:
    """Ctrl-C goes to pip and to envdoctor alike; what had been removed comes back."""
    before = contents(env)
    arrived = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        if handler.path.endswith(".whl"):
            arrived.set()
            time.sleep(60)
        with urllib.request.urlopen(f"{wheels}/cu126{handler.path.removeprefix('/cu126')}") as answer:
            return 200, {"Content-Type": answer.headers["Content-Type"]}, answer.read()

    with serving(stall) as port:
        asked = ["fix", "torch", "--version", "2.8.0", "--cuda", "cu126", "--yes"]
        argv = [sys.executable, "-c", MAIN, f"http://127.0.0.1:{port}", wheels, *asked]
        told = tmp_path / "told"
        with told.open("wb") as output:
            running = subprocess.Popen(
                [*argv, "--python", str(env)], stdout=output, stderr=output, start_new_session=True
            )
            assert arrived.wait(60), told.read_text()
            os.killpg(running.pid, signal.SIGINT)
            status = running.wait(90)
    assert status == 130, told.read_text()
    assert "everything is as it was" in told.read_text()
    assert contents(env) == before


def test_without_a_terminal_nothing_is_done(env: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(env)
    status, told = run(capfd, env, "torch", "--version", "2.8.0", "--json")
    assert status == 1 and contents(env) == before
    plan = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert [one["command"].split()[-1] for one in plan["commands"]][-1] == "torch==2.8.0"
    assert "envdoctor.put_back" in plan["commands"][0]["undo"]
