"""`envdoctor fix pip-mirror` whole: the real program, the real pip of a venv, a real nginx, another user's files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import ROOT, needs
from tests.patient.made_wheels import wheel
from tests.patient.test_index_tls import certificates

__all__ = ["certificates"]  # a fixture

TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
NGINX = """
daemon off; worker_processes 1; pid {top}/pid; error_log {top}/error.log; user root;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type text/html; client_body_temp_path {top}/t1; proxy_temp_path {top}/t2;
    fastcgi_temp_path {top}/t3; uwsgi_temp_path {top}/t4; scgi_temp_path {top}/t5;
    ssl_certificate {ca}/good.pem; ssl_certificate_key {ca}/good.key;
    server {{ listen 127.0.0.1:{good} ssl; root {top}/good; index index.html; }}
    server {{ listen 127.0.0.1:{blocks} ssl; root {top}/good; index index.html;
              if ($http_user_agent ~ "^pip/") {{ return 403; }} }}
    server {{ listen 127.0.0.1:{stale} ssl; root {top}/stale; index index.html; }}
}}
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass
class Servers:
    """An index that is well, one that refuses pip, one that is behind: on this machine, over TLS."""

    good: str
    blocks: str
    stale: str
    ca: Path


def page(folder: Path, name: str, links: list[str]) -> None:
    folder = folder / "simple" / name
    folder.mkdir(parents=True)
    body = "".join(f'<a href="{link}">{link.rpartition("/")[2]}</a>\n' for link in links)
    head = '<meta name="pypi:repository-version" content="1.0">'
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Servers]:
    nginx = needs.program("nginx", "nginx-light")
    top = tmp_path_factory.mktemp("nginx")
    made = wheel(top / "good" / "files", "tinywheel", "1.0", {"tinywheel.py": b"answer = 42\n"})
    page(top / "good", "tinywheel", [f"../../files/{made.name}"])
    page(top / "good", "torch", ["../../files/torch-99.0-cp312-cp312-manylinux_2_28_x86_64.whl"])
    page(top / "stale", "torch", ["../../files/torch-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"])
    ports = dict(zip(("good", "blocks", "stale"), free_ports(3), strict=True))
    (top / "nginx.conf").write_text(NGINX.format(top=top, ca=certificates, **ports))
    process = subprocess.Popen([nginx, "-c", str(top / "nginx.conf"), "-e", str(top / "error.log")])
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", ports["stale"]), 1).close()
                break
            except OSError:
                assert time.monotonic() < until and process.poll() is None, (top / "error.log").read_text()
                time.sleep(0.05)
        urls = {name: f"https://127.0.0.1:{port}/simple" for name, port in ports.items()}
        yield Servers(**urls, ca=certificates / "ca.pem")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real venv with a pip of its own."""
    folder = tmp_path_factory.mktemp("target") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@dataclass
class User:
    """Somebody's home, environment and Python."""

    home: Path
    python: str
    environ: dict[str, str]
    prefix: tuple[str, ...] = ()

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, *argv], env=self.environ, cwd=ROOT, capture_output=True, text=True, timeout=120
        )  # fmt: skip

    def fix(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "envdoctor", "fix", *arguments)

    @property
    def conf(self) -> Path:
        return self.home / ".config" / "pip" / "pip.conf"

    def write(self, text: str) -> bytes:
        self.conf.parent.mkdir(parents=True, exist_ok=True)
        self.conf.write_bytes(text.encode())
        return text.encode()


@pytest.fixture
def user(tmp_path: Path, venv: Path) -> User:
    (tmp_path / "none").mkdir()
    environ = {
        "HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
        "XDG_CONFIG_DIRS": str(tmp_path / "none"), "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }  # fmt: skip
    return User(tmp_path, str(venv / "bin" / "python"), environ)


def test_pip_downloads_from_what_the_fix_wrote(user: User, servers: Servers) -> None:
    before = user.write(
        "# ten years of dotfiles\r\n[global]\r\nindex-url: http://mirrors.aliyun.com/pypi/simple/\r\n"
        f"trusted-host: mirrors.aliyun.com 127.0.0.1\r\ncert: {servers.ca}\r\ntimeout: 20"
    )
    done = user.fix("pip-mirror", "--url", servers.good, "--yes", "--python", user.python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.conf.read_bytes().decode() == (
        f"# ten years of dotfiles\r\n[global]\r\nindex-url: {servers.good}\r\ncert: {servers.ca}\r\ntimeout: 20"
    )
    assert "has torch 99.0" in done.stdout
    assert (
        "checked again: pip-untrusted-host is gone" in done.stdout
        or "checked again: pip-index-plain-http is gone" in done.stdout
    )
    target = user.home / "down"
    got = user.run(user.python, "-m", "pip", "download", "--no-deps", "-d", str(target), "tinywheel")
    assert got.returncode == 0, got.stdout + got.stderr
    assert [path.name for path in target.iterdir()] == ["tinywheel-1.0-py3-none-any.whl"]
    again = user.fix("pip-mirror", "--url", servers.good, "--yes", "--python", user.python)
    assert again.returncode == 0 and "nothing to do" in again.stdout
    undone = user.fix("--undo", "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert user.conf.read_bytes() == before


def test_a_certificate_that_does_not_verify_keeps_its_trusted_host(user: User, servers: Servers) -> None:
    user.write("[global]\ntrusted-host = 127.0.0.1\n")
    done = user.fix("pip-mirror", "--url", servers.good, "--yes", "--python", user.python)
    assert user.conf.read_text() == f"[global]\ntrusted-host = 127.0.0.1\nindex-url = {servers.good}\n"
    assert "does not verify" in done.stdout and "turns off certificate checks" in done.stdout
    got = user.run(user.python, "-m", "pip", "download", "--no-deps", "-d", str(user.home / "down"), "tinywheel")
    assert got.returncode == 0, got.stderr


@pytest.mark.parametrize(
    ("which", "told"), [("blocks", "refuses pip by its User-Agent (HTTP 403)"), ("stale", "is behind")]
)
def test_a_bad_index_is_written_when_asked_for_and_said_to_be_bad(
    user: User, servers: Servers, which: str, told: str
) -> None:
    user.write(f"[global]\ncert = {servers.ca}\n")
    url = getattr(servers, which)
    done = user.fix("pip-mirror", "--url", url, "--yes", "--python", user.python)
    assert done.returncode == 0 and told in done.stdout, done.stdout + done.stderr
    assert f"index-url = {url}" in user.conf.read_text()


def test_a_variable_wins_and_no_tick_is_shown(user: User) -> None:
    user.environ["PIP_INDEX_URL"] = "https://ada:s3cret-word@nexus.corp.example/simple"
    done = user.fix("pip-mirror", "--tuna", "--yes", "--offline", "--python", user.python)
    assert done.returncode == 1
    assert user.conf.read_text() == f"[global]\nindex-url = {TUNA}\n"
    assert "✗ not in effect" in done.stdout and "[pip-config-shadowed]" in done.stdout
    assert "unset PIP_INDEX_URL" in done.stdout
    assert "checked again: it is in effect" not in done.stdout
    assert "s3cret-word" not in done.stdout + done.stderr


def test_a_variable_of_a_start_up_file_is_taken_out_by_its_finding(user: User) -> None:
    mirror = "https://mirrors.aliyun.com/pypi/simple"
    user.environ.update(SHELL=needs.program("bash", "bash"), PIP_INDEX_URL=mirror)
    user.write(f"[global]\nindex-url = {TUNA}\n")
    bashrc = user.home / ".bashrc"
    bashrc.write_text(f"export PIP_INDEX_URL={mirror}\nexport EDITOR=vi\n")
    done = user.fix("pip-config-shadowed", "--yes", "--offline", "--python", user.python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checked again: pip-config-shadowed is gone" in done.stdout
    told = user.run("bash", "-ic", "unset PIP_INDEX_URL; . ~/.bashrc; echo ${PIP_INDEX_URL-none} $EDITOR")
    assert told.stdout.split() == ["none", "vi"]


def test_all_that_was_found_of_one_index_is_mended_by_one_command(user: User) -> None:
    user.write("[global]\nindex-url = https://pypi.douban.com/simple\ntrusted-host = pypi.douban.com\n")
    checked = user.run(sys.executable, "-m", "envdoctor", "check", "pip", "--offline", "--python", user.python)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    mendable = json.loads(user.fix("--json").stdout)["mendable"]
    assert {one["code"] for one in mendable} == {"pip-mirror-dead", "pip-insecure-trusted-host"}
    (command,) = {one["command"] for one in mendable}
    assert command.startswith("envdoctor fix pip-mirror --aliyun")
    done = user.fix("pip-mirror", "--aliyun", "--yes", "--offline", "--python", user.python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pip-mirror-dead is gone" in done.stdout and "pip-insecure-trusted-host is gone" in done.stdout
    assert user.conf.read_text() == "[global]\nindex-url = https://mirrors.aliyun.com/pypi/simple\n"


def test_credentials_are_in_the_private_journal_and_nowhere_else(user: User) -> None:
    user.write("[global]\nindex-url = https://ada:s3cret-word@nexus.corp.example/simple\n")
    diff = user.fix("pip-mirror", "--aliyun", "--diff", "--offline", "--python", user.python)
    assert diff.returncode == 1 and "@nexus.corp.example/simple" in diff.stdout and "***" in diff.stdout
    done = user.fix("pip-mirror", "--aliyun", "--yes", "--json", "--offline", "--python", user.python)
    told = json.loads(done.stdout)
    assert told["state"] == "applied", told
    assert "nexus.corp.example is no known mirror" in " ".join(one["text"] for one in told["remarks"])
    for run in (diff, done, user.fix("--history")):
        assert "s3cret-word" not in run.stdout + run.stderr
    records = [path for path in user.home.rglob("*.json") if b"aliyun" in path.read_bytes()]
    assert records and all(path.stat().st_mode & 0o777 == 0o600 for path in records)
    assert user.fix("--undo", "--yes").returncode == 0
    assert "s3cret-word" in user.conf.read_text()


def test_a_python_without_pip_is_told_of_uv(user: User, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "uv")], check=True)
    done = user.fix("pip-mirror", "--tuna", "--yes", "--offline", "--python", str(tmp_path / "uv" / "bin" / "python"))
    assert done.returncode == 1 and not user.conf.exists()
    assert "envdoctor fix uv-mirror --tuna" in done.stdout


@pytest.fixture
def nobody(venv: Path) -> Iterator[User]:
    """A user without rights, on a machine whose /etc-like folder and whose venv are root's."""
    needs.root()
    setpriv = needs.program("setpriv", "util-linux")
    top = Path(tempfile.mkdtemp())
    try:
        top.chmod(0o755)
        home = top / "home"
        for folder in (home, top / "etc" / "pip"):
            folder.mkdir(parents=True)
        os.chown(home, 65534, 65534)
        environ = {
            "HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "XDG_CONFIG_DIRS": str(top / "etc"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        prefix = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")
        # A Python below root's home is out of reach for another user but for the right to read all; none may write.
        reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
        again = "import envdoctor, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
        for further in ((), reading):
            found = User(home, sys.executable, environ, (*prefix, *further))
            if found.run(sys.executable, "-c", again).returncode == 0:
                break
        else:
            pytest.skip("another user may not read this checkout or its Python")
        yield found
    finally:
        shutil.rmtree(top)


def test_a_file_of_roots_is_a_command_to_paste(nobody: User) -> None:
    conf = nobody.home.parent / "etc" / "pip" / "pip.conf"
    conf.write_text("# for all\n[global]\nindex-url = https://pypi.douban.com/simple\n")
    nobody.environ["PIP_CONFIG_FILE"] = str(conf)
    done = nobody.fix("pip-mirror", "--tuna", "--yes", "--offline", "--json", "--python", nobody.python)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["edits"] == [], done.stdout + done.stderr
    (step,) = told["by_hand"]
    assert "sudo" in step["command"] and str(conf) in step["command"]
    assert "douban" in conf.read_text(), "nothing was changed"
    subprocess.run(["bash", "-c", step["command"].replace("sudo ", "")], check=True)
    assert conf.read_text() == f"# for all\n[global]\nindex-url = {TUNA}\n"
    again = nobody.fix("pip-mirror", "--tuna", "--yes", "--offline", "--python", nobody.python)
    assert again.returncode == 0 and "nothing to do" in again.stdout, again.stdout + again.stderr


def test_a_section_of_roots_is_overridden_in_the_users_own_file(nobody: User) -> None:
    conf = nobody.home.parent / "etc" / "pip" / "pip.conf"
    conf.write_text("[install]\nindex-url = https://pypi.douban.com/simple\n")
    done = nobody.fix("pip-mirror", "--tuna", "--yes", "--offline", "--python", nobody.python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert nobody.conf.read_text() == f"[install]\nindex-url = {TUNA}\n\n[global]\nindex-url = {TUNA}\n"
    assert nobody.conf.stat().st_uid == 65534
    assert "pip-mirror-dead is gone" in done.stdout
