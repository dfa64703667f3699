"""Secrets planted where people keep them appear in no output, of any format, in no verbosity, in no snapshot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.render import FORMATS

# Each is found by its own word, so that a leak names the place it came from.
SECRET = {
    place: f"s3cret-{place}-9f27"
    for place in (
        "pipenv",
        "pipconf",
        "extra",
        "netrc",
        "proxy",
        "condarc",
        "uvtoml",
        "uvenv",
        "token",
        "master",
        "shell",
        "git",
    )
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    files = {
        ".config/pip/pip.conf": f"[global]\nindex-url = https://bob:{SECRET['pipconf']}@mirror.invalid/simple\n"
        f"extra-index-url = http://{SECRET['extra']}@extra.invalid/simple\n[install]\nproxy = http://u:{SECRET['proxy']}@proxy.invalid:3128\n",
        ".netrc": f"machine mirror.invalid login bob password {SECRET['netrc']}\n",
        ".condarc": f"channels:\n  - https://bob:{SECRET['condarc']}@conda.invalid/t/{SECRET['token']}/forge\n",
        ".config/uv/uv.toml": f'[[index]]\nurl = "https://bob:{SECRET["uvtoml"]}@uv.invalid/simple"\ndefault = true\n',
        ".bashrc": f"export HF_TOKEN={SECRET['shell']}\nexport PATH=/opt/x:$PATH\n",
        ".gitconfig": f"[http]\n\tproxy = http://u:{SECRET['git']}@proxy.invalid:3128\n",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        (home / name).chmod(0o644)
    return home


@pytest.fixture(scope="module")
def environ(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PIP_INDEX_URL": f"https://bob:{SECRET['pipenv']}@env.invalid/simple",
        "HTTPS_PROXY": f"http://u:{SECRET['proxy']}@proxy.invalid:3128",
        "UV_INDEX": f"https://bob:{SECRET['uvenv']}@uv.invalid/simple",
        "HF_TOKEN": SECRET["token"],
        "WANDB_API_KEY": SECRET["token"],
        "MASTER_ADDR": f"http://u:{SECRET['master']}@10.0.0.1",
        "WORLD_SIZE": "2",
        "RANK": "0",
        "MASTER_PORT": "29500",
    }


def leaks(text: str) -> list[str]:
    return [place for place, secret in SECRET.items() if secret in text]


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_leaks(form: str, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "envdoctor", "check", "--quick", "-vv", "--format", form]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode in ((0, 1, 2) if form == "nagios" else (0, 1)), done.stderr
    assert not leaks(done.stdout + done.stderr)


def test_a_full_run_and_its_snapshot_leak_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "snapshot.json"
    command = [sys.executable, "-m", "envdoctor", "snapshot", "--timeout", "20", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    text = out.read_text()
    assert not leaks(text + done.stderr)
    assert "***" in text, "something was there to be redacted"
    again = subprocess.run(
        [sys.executable, "-m", "envdoctor", "check", "--from", str(out), "-v"],
        capture_output=True,
        text=True,
        env=environ,
    )
    assert again.returncode in (0, 1), again.stderr
    assert not leaks(again.stdout)
