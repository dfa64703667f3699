"""A Docker daemon of the tests' own, and containers of it that run this machine's programs on a root of their own.

    with Daemon(folder) as daemon:
        daemon.container("trainer-0")
        daemon.docker("exec", "trainer-0", "true")

It makes no bridge and no rule of the firewall, and holds its images in `folder`: nothing of the machine is changed.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from pathlib import Path
from types import TracebackType

import pytest

from tests import needs

IMAGE = "envdoctor-test:1"
STARTS_S = 60.0
# A root in which /usr of this machine is mounted; /bin and the others are links into it, as in Debian's own.
FOLDERS = ("usr", "etc", "tmp", "proc", "sys", "dev", "run", "root")
LINKS = ("bin", "sbin", "lib", "lib64")


class Daemon:
    """dockerd. The test skips where it cannot be: it may do in one container and not in the next."""

    def __init__(self, folder: Path) -> None:
        needs.namespaces()
        for name in ("docker", "dockerd", "containerd", "runc"):
            if not any(os.access(os.path.join(place, name), os.X_OK) for place in [*os.get_exec_path(), "/usr/sbin"]):
                pytest.skip(f"needs {name} (Debian package docker.io)")
        if not Path("/bin").is_symlink():
            pytest.skip("needs a machine whose /bin is a link into /usr")
        self.folder = folder
        self.socket = folder / "socket"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}

    def __enter__(self) -> Daemon:
        command = [
            "dockerd", "--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"),
            "--pidfile", str(self.folder / "pid"), "--host", f"unix://{self.socket}", "--bridge=none",
            "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--storage-driver=vfs",
        ]  # fmt: skip
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            )  # fmt: skip
        until = time.monotonic() + STARTS_S
        while self.docker("info").returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                said = (self.folder / "log").read_text("utf-8", "replace").strip().splitlines()
                self._end()
                pytest.skip(f"dockerd does not start here: {said[-1] if said else 'no word'}")
            time.sleep(0.1)
        self._import()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        listed = self.docker("ps", "--all", "--quiet").stdout.split()
        if listed:
            self.docker("rm", "--force", *listed)
        self._end()

    def _end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def docker(self, *words: str, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run the client to its end."""
        done = subprocess.run(["docker", *words], input=given, capture_output=True, env=self.environ, timeout=120)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def _import(self) -> None:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as archive:
            for name in FOLDERS:
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(folder)
            for name in LINKS:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                archive.addfile(link)
        done = self.docker("import", "-", IMAGE, given=held.getvalue())
        assert done.returncode == 0, done.stderr

    def container(self, name: str, *options: str) -> None:
        """Start one that sleeps."""
        done = self.docker(
            "run", "--detach", "--name", name, "--hostname", name, "--network", "none", "--volume", "/usr:/usr:ro",
            *options, IMAGE, "sleep", "3600",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def at_work(self, name: str) -> list[str]:
        """The command lines of what runs in a container, but for what it was started with."""
        done = self.docker("top", name, "-wweo", "pid,args")  # else as wide as COLUMNS, which the daemon inherits
        assert done.returncode == 0, done.stderr
        return [line.split(maxsplit=1)[1] for line in done.stdout.splitlines()[1:] if "sleep 3600" not in line]
