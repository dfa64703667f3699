"""Hosts for tests: namespaces on a bridge, each with its own name, addresses, /etc/hosts, home, processes and sshd.

    with Lab(3) as lab:
        lab[0].run("hostname")                     # on a host
        lab[0].run("ssh", "node1", "hostname")     # they know each other's names, keys and host keys
        lab[1].fault("cut")                        # no packet in or out
        assert not lab.orphans()

They share this machine's file system, as nodes of a cluster share an NFS.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests import needs
from tests.bench.nodes import Ended
from tests.lab.made import Made

_number = itertools.count()
LIMIT_S = 90.0
HUNG_FILES = Path(__file__).parent / "hung_files.py"
# The first process of a host: it takes the exit status of all whose parents have died.
FIRST = """
import os, time
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        time.sleep(0.02)
"""
# Mounts of a host, made in its own namespace: {folder} holds its files.
MOUNTS = """
set -e
hostname {name}
mount --make-rprivate /
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/shells /etc/shells
mount -t tmpfs run /run
mkdir /run/sshd
mount -t proc proc /proc
exec {python} -I -c "$0"
"""
SSHD = """
HostKey {folder}/host_key
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile {folder}/home/.ssh/authorized_keys
PrintMotd no
{more}
"""
# Rules of a host's firewall by fault.
FAULTS = {
    "cut": "chain i { type filter hook input priority 0; iifname != lo drop; }\n"
    "chain o { type filter hook output priority 0; oifname != lo drop; }",
    "drop-ssh": "chain i { type filter hook input priority 0; tcp dport 22 drop; }",
    "reject-ssh": "chain i { type filter hook input priority 0; tcp dport 22 reject with icmp type admin-prohibited; }",
}


def _quietly(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass
class Host:
    """A host of a lab.

    Attributes:
        name: its own name. namespace: of its network. pid: of its first process, as this machine counts.
        folder: its files; home: root's home there.
    """

    name: str
    namespace: str
    address: str
    folder: Path
    interface: str = "eth0"
    pid: int = 0
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    hung: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    sshd: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def _enter(self, command: tuple[str, ...]) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-n", "-u", "-m", "-p", "--", *command]

    def _environ(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "COVERAGE_PROCESS_START") if name in os.environ}
        return {**kept, "HOME": str(self.home), "USER": "root", "GLOO_SOCKET_IFNAME": self.interface, **variables}

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command on this host, as a session of its own."""
        process = subprocess.Popen(
            self._enter(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env=self._environ(variables), cwd=self.home, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, *command: str, **variables: str) -> Ended:
        """Run a command on this host to its end."""
        began = time.monotonic()
        process = self.start(*command, **variables)
        out, err = process.communicate(timeout=LIMIT_S)
        return Ended(process.returncode, out, err, time.monotonic() - began)

    def serve(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command on this host for somebody who holds its input and output."""
        return subprocess.Popen(
            self._enter(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            env=self._environ({}), cwd=self.home, start_new_session=True,
        )  # fmt: skip

    def ip(self, words: str) -> None:
        _quietly("ip", "-n", self.namespace, *words.split())

    def fault(self, name: str) -> None:
        """Break something, see FAULTS."""
        self.nft(FAULTS[name])

    def nft(self, chains: str) -> None:
        """Load chains of a firewall."""
        text = f"table inet fault {{\n{chains}\n}}\n"
        subprocess.run(["ip", "netns", "exec", self.namespace, "nft", "-f", "-"], input=text, text=True, check=True)

    def hang(self, folder: str) -> None:
        """Put a file system that does not answer over a folder."""
        Path(f"/proc/{self.pid}/root{folder}").mkdir(parents=True, exist_ok=True)
        server = self.start(sys.executable, "-I", str(HUNG_FILES), folder)
        assert server.stdout is not None and server.stderr is not None
        assert server.stdout.readline() == "mounted\n", server.stderr.read()
        self.hung[folder] = server

    def mend(self) -> None:
        """Take the faults back."""
        _quietly("ip", "netns", "exec", self.namespace, "nft", "flush", "ruleset")
        for folder, server in self.hung.items():
            for pid in self.processes():
                words = _arguments(pid).split(b"\0")
                if bytes(HUNG_FILES) in words and folder.encode() in words:
                    os.kill(pid, signal.SIGKILL)  # the kernel ends the sleep of all who wait for an answer
            server.communicate(timeout=10)
            assert self.run("umount", "--lazy", folder).status == 0
        self.hung.clear()

    def login(self, shell: str = "/bin/bash") -> None:
        """Give root another login shell."""
        (self.folder / "passwd").write_text(
            f"root:x:0:0:root:{self.home}:{shell}\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        )
        (self.folder / "shells").write_text(f"/bin/sh\n/bin/bash\n{shell}\n")

    def start_sshd(self, more: str = "") -> None:
        """Start its sshd, with further lines of sshd_config."""
        self.stop_sshd()
        config = self.folder / "sshd_config"
        config.write_text(SSHD.format(folder=self.folder, more=more))
        with (self.folder / "sshd.log").open("ab") as log:
            self.sshd = subprocess.Popen(
                self._enter(("/usr/sbin/sshd", "-D", "-e", "-f", str(config))),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=self._environ({}),
                start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 5
        # Port 22 is 0x0016, and 0A is LISTEN.
        while not any(":0016 " in line and " 0A " in line for line in self._sockets()):
            assert time.monotonic() < until, (self.folder / "sshd.log").read_text()
            time.sleep(0.02)

    def _sockets(self) -> list[str]:
        return Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()

    def stop_sshd(self) -> None:
        """Stop the sshd that listens; sessions go on."""
        if self.sshd is not None:
            for pid in self.processes():
                if b"[listener]" in _arguments(pid):
                    os.kill(pid, signal.SIGKILL)
            self.sshd.wait(5)
            self.sshd = None

    def processes(self) -> list[int]:
        """What runs on this host but for its first process, numbered as on this machine."""
        own = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.pid:
                continue
            try:
                if os.readlink(entry / "ns/pid") == own:
                    found.append(int(entry.name))
            except OSError:
                pass  # it has ended
        return found

    def at_work(self) -> dict[int, str]:
        """What runs here and is not OpenSSH's server: process id -> command line."""
        found = {pid: _arguments(pid).replace(b"\0", b" ").decode("utf-8", "replace") for pid in self.processes()}
        return {pid: words for pid, words in found.items() if words and "sshd" not in words.partition(" ")[0]}


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Lab(Made):
    """Hosts node0, node1 ... on one bridge, 10.91.0.1 and on; gone afterwards with all that runs on them."""

    def __init__(self, count: int) -> None:
        needs.namespaces()
        for program, package in (
            ("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux"), ("ssh", "openssh-client"),
            ("sshd", "openssh-server"), ("ssh-keygen", "openssh-client"),
        ):  # fmt: skip
            needs.program(program, package)
        self.mark = f"lab{os.getpid()}-{next(_number)}"
        self.folder = Path(tempfile.mkdtemp(prefix="envdoctor-lab-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.hosts = [
            Host(f"node{place}", f"{self.mark}-{place}", f"10.91.0.{place + 1}", self.folder / f"node{place}")
            for place in range(count)
        ]

    def __getitem__(self, place: int) -> Host:
        return self.hosts[place]

    def __len__(self) -> int:
        return len(self.hosts)

    @property
    def hub(self) -> str:
        return f"{self.mark}-hub"

    def make(self) -> None:
        _quietly("ip", "netns", "add", self.hub)
        _quietly("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge")
        _quietly("ip", "-n", self.hub, "link", "set", "bridge", "up")
        key = self.folder / "key"
        _quietly("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        known = []
        for host in self.hosts:
            host.folder.mkdir()
            _quietly("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host.folder / "host_key"))
            public = (host.folder / "host_key.pub").read_text().split()[:2]
            known.append(f"{host.name},{host.address} {' '.join(public)}\n")
        table = "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in self.hosts)
        for place, host in enumerate(self.hosts):
            (host.home / ".ssh").mkdir(parents=True, mode=0o700)
            shutil.copy(key, host.home / ".ssh" / "id_ed25519")
            shutil.copy(f"{key}.pub", host.home / ".ssh" / "authorized_keys")
            (host.home / ".ssh" / "known_hosts").write_text("".join(known))
            (host.folder / "hosts").write_text(table)
            host.login()
            self._connect(place, host)
            self._boot(host)
            host.start_sshd()

    def _connect(self, place: int, host: Host) -> None:
        _quietly("ip", "netns", "add", host.namespace)
        end = ["type", "veth", "peer", "name", host.interface, "netns", host.namespace]
        _quietly("ip", "-n", self.hub, "link", "add", f"port{place}", *end)
        _quietly("ip", "-n", self.hub, "link", "set", f"port{place}", "master", "bridge", "up")
        host.ip("link set lo up")
        host.ip(f"link set {host.interface} up")
        host.ip(f"addr add {host.address}/24 dev {host.interface}")

    def _boot(self, host: Host) -> None:
        script = MOUNTS.format(name=host.name, folder=host.folder, python=sys.executable)
        # `ip netns exec` also shows the host's own interfaces in /sys.
        booting = subprocess.Popen(
            ["ip", "netns", "exec", host.namespace, "unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child",
             "sh", "-c", script, FIRST],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        host.started.append(booting)
        until = time.monotonic() + 10
        while not host.pid:
            assert time.monotonic() < until and booting.poll() is None, f"{host.name} does not boot"
            for child in Path(f"/proc/{booting.pid}/task/{booting.pid}/children").read_text().split():
                if FIRST.encode() in _arguments(int(child)) and b"python" in _arguments(int(child)).split(b"\0")[0]:
                    host.pid = int(child)
            time.sleep(0.01)

    def orphans(self, within_s: float = 10.0) -> dict[str, str]:
        """What is still at work on any host after so long: "host pid" -> command line."""
        until = time.monotonic() + within_s
        while True:
            left = {f"{host.name} {pid}": words for host in self.hosts for pid, words in host.at_work().items()}
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.05)

    def close(self) -> None:
        """Everything ends and is removed."""
        for host in self.hosts:
            if host.pid:
                try:
                    os.kill(host.pid, signal.SIGKILL)  # the kernel ends all others of its namespace
                except ProcessLookupError:
                    pass
            for process in host.started:
                try:
                    process.communicate(timeout=5)  # each waits for its own child, so that no zombie is left
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
            if host.sshd is not None:
                host.sshd.wait(10)
        for name in (*(host.namespace for host in self.hosts), self.hub):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
