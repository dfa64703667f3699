"""Makes a machine appear: its /sys, /proc, /dev and libraries, in namespaces of its own. Needs root and gcc."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.machine import Gpu, Machine, Torch

HERE = Path(__file__).parent
LIBRARIES = {"nvml.c": "libnvidia-ml", "cuda.c": "libcuda"}
COMPILE = ("gcc", "-std=c99", "-D_DEFAULT_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function")
SHARED = ("-shared", "-fPIC")
SOMEBODY = 4711  # the owner of what is denied; root without capabilities stands for the user
NVIDIA_MAJOR, UVM_MAJOR = 195, 511

# Enters the machine: $1 is its folder, the rest the command. /dev and /sys/module are replaced as a whole, with the
# real things inside, because names cannot be added to them.
ENTER = r"""
set -e
there=$1; shift
mkdir -p "$there/real/module"
mount --bind /sys/module "$there/real/module"
mount --bind "$there/sys/module" /sys/module
mount --bind "$there/sys/pci" /sys/bus/pci/devices
mount --bind "$there/proc" /proc/driver
mount --bind "$there/ld.so.cache" /etc/ld.so.cache
mount -t tmpfs -o mode=755 lab "$there/dev"
for name in null zero full random urandom tty; do cp -a /dev/$name "$there/dev/"; done
mkdir "$there/dev/shm" "$there/dev/pts"
mount --bind /dev/shm "$there/dev/shm"
mount --bind /dev/pts "$there/dev/pts"
ln -s /proc/self/fd "$there/dev/fd"
cp "$there/kmsg" "$there/dev/kmsg"
while read -r name major minor owner; do
    mknod -m 660 "$there/dev/$name" c "$major" "$minor"
    chown "$owner:$owner" "$there/dev/$name"
done < "$there/nodes"
mount --bind "$there/dev" /dev
if [ -d "$there/bin" ]; then
    mount -t overlay -o "lowerdir=$there/bin:/usr/bin" lab /usr/bin
fi
if [ -e "$there/runs" ]; then
    nv-fabricmanager > /dev/null 2>&1 &
fi
"$@"
"""
FABRIC_MANAGER = """#!/bin/sh
if [ "$1" = --version ]; then
    echo "Fabric Manager version is : {release}"
    exit
fi
sleep 600
"""


def build_libraries(folder: Path) -> Path:
    """Compile the fake libraries once into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in LIBRARIES.items():
        command = [*COMPILE, *SHARED, f"-Wl,-soname,{name}.so.1", str(HERE / "nvidia" / source)]
        subprocess.run([*command, "-o", str(folder / name)], check=True)
    return folder


def build_environment(folder: Path, torch: Torch) -> Path:
    """A venv with the stand-in of a torch build; returns its Python."""
    python = folder / "bin" / "python"
    if python.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python3*/site-packages"))
    package = site / "torch"
    shutil.copytree(HERE / "fake_torch", package, ignore=shutil.ignore_patterns("__pycache__"))
    told: dict[str, object] = {"__version__": torch.version, "cuda": torch.cuda, "ARCHITECTURES": torch.architectures}
    told |= {"debug": False, "git_version": "0" * 40, "hip": None}
    (package / "version.py").write_text("".join(f"{name} = {value!r}\n" for name, value in told.items()))
    (folder / "empty.c").write_text("int nothing;\n")
    suffix = f"cpython-{sys.version_info[0]}{sys.version_info[1]}-x86_64-linux-gnu.so"
    subprocess.run(["gcc", *SHARED, str(folder / "empty.c"), "-o", str(package / f"_C.{suffix}")], check=True)
    info = site / f"torch-{torch.version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {torch.version}\n")
    (info / "INSTALLER").write_text("pip\n")
    files = [path.relative_to(site) for path in (*package.rglob("*"), *info.rglob("*")) if path.is_file()]
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*files, info.relative_to(site) / "RECORD"]))
    return python


class Stage:
    """A machine set up in `folder`, with the libraries that `build_libraries` made."""

    def __init__(self, machine: Machine, folder: Path, libraries: Path) -> None:
        self.machine = machine
        self.folder = folder
        folder.mkdir(parents=True)
        self._driver()
        self._libraries(libraries)
        self._bus()
        self._nodes()
        self._log()
        (folder / "machine").write_text(machine.description())
        (folder / "dev").mkdir()

    def _write(self, path: str, content: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def _driver(self) -> None:
        machine, release = self.machine, self.machine.kernel or self.machine.driver
        for name in os.listdir("/sys/module"):
            link = self.folder / "sys/module" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self.folder / "real/module" / name)
        self._write("sys/module/nvidia/version", release + "\n")
        built = f"{release}  Release Build  (dvs-builder@U22)  Mon Jul 21 10:11:12 UTC 2025\n"
        kind = "Open Kernel Module for x86_64" if machine.open_module else "x86_64 Kernel Module"
        self._write(
            "proc/nvidia/version", f"NVRM version: NVIDIA UNIX {kind}  {built}GCC version:  gcc version 12.3.0\n"
        )
        for index, gpu in enumerate(machine.gpus):
            uuid = machine.answers(index, gpu)["uuid"]
            lines = {"Model": gpu.name, "IRQ": 80 + index, "GPU UUID": uuid, "Bus Type": "PCIe"}
            text = "".join(f"{key}: \t {value}\n" for key, value in lines.items())
            self._write(f"proc/nvidia/gpus/{machine.address(index)}/information", text)
        if machine.fabric_manager != "absent":
            self._write("bin/nv-fabricmanager", FABRIC_MANAGER.format(release=release))
            (self.folder / "bin/nv-fabricmanager").chmod(0o755)
        if machine.fabric_manager == "active":
            self._write("runs", "")

    def _libraries(self, built: Path) -> None:
        """The libraries under their releases' names, and a cache of ldconfig's that knows them."""
        folder = self.folder / "lib"
        folder.mkdir()
        for name in LIBRARIES.values():
            shutil.copy(built / name, folder / f"{name}.so.{self.machine.driver}")
            (folder / f"{name}.so.1").symlink_to(f"{name}.so.{self.machine.driver}")
        self._write("ld.so.conf", f"{folder}\ninclude /etc/ld.so.conf\n")
        ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin") or "ldconfig"
        place = ["-C", str(self.folder / "ld.so.cache"), "-f", str(self.folder / "ld.so.conf")]
        subprocess.run([ldconfig, "-X", *place], check=True, capture_output=True)

    def _bus(self) -> None:
        """Each GPU below a bridge and a root port, and the NVSwitches, as sysfs shows them."""
        (self.folder / "sys/pci").mkdir(parents=True)
        (self.folder / "drivers/nvidia").mkdir(parents=True)
        for index, gpu in enumerate(self.machine.gpus):
            root, bus = f"pci0000:{0x10 * index + 0x10:02x}", 0x10 * index + 0x10
            port, address = f"0000:{bus:02x}:01.0", self.machine.address(index)
            self._device(f"{root}/{port}", "0x8086", "0x352a", "0x060400", 16)
            self._device(f"{root}/{port}/{address}", "0x10de", gpu.device, "0x030200", gpu.width, gpu)
        for index in range(self.machine.nvswitches):
            self._device(f"pci0000:00/0000:{0xC0 + index:02x}:00.0", "0x10de", "0x22a3", "0x068000", 2)

    def _device(self, path: str, vendor: str, device: str, class_code: str, width: int, gpu: Gpu | None = None) -> None:
        most = "16" if gpu else str(width)
        speed = "32.0 GT/s PCIe\n"
        files = {"vendor": vendor, "device": device, "class": class_code, "numa_node": "0"}
        files |= {"current_link_width": str(width), "max_link_width": most}
        for name, content in files.items():
            self._write(f"devices/{path}/{name}", content + "\n")
        for name in ("current_link_speed", "max_link_speed"):
            self._write(f"devices/{path}/{name}", speed)
        answers = gpu is None or gpu.responds
        head = int(vendor, 16).to_bytes(2, "little") + int(device, 16).to_bytes(2, "little")
        (self.folder / "devices" / path / "config").write_bytes(head if answers else b"\xff" * 4)
        if vendor == "0x10de":
            (self.folder / "devices" / path / "driver").symlink_to(self.folder / "drivers/nvidia")
        (self.folder / "sys/pci" / Path(path).name).symlink_to(self.folder / "devices" / path)

    def _nodes(self) -> None:
        nodes = [(f"nvidia{index}", NVIDIA_MAJOR, index) for index in range(len(self.machine.gpus))]
        nodes += [("nvidiactl", NVIDIA_MAJOR, 255), ("nvidia-uvm", UVM_MAJOR, 0)]
        owners = {name: SOMEBODY if name in self.machine.denied else 0 for name, _, _ in nodes}
        self._write("nodes", "".join(f"{name} {major} {minor} {owners[name]}\n" for name, major, minor in nodes))

    def _log(self) -> None:
        """Records as /dev/kmsg gives them: priority, number, microseconds since boot."""
        with open("/proc/uptime") as uptime:
            now = float(uptime.read().split()[0])
        stamp = int(max(1.0, now - 300) * 1e6)
        lines = ("Linux version 6.8.0-generic", *self.machine.log)
        self._write("kmsg", "".join(f"4,{number},{stamp},-;{text}\n" for number, text in enumerate(lines)))

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str] | None = None, user: bool = False, limit_s: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine; `user`: without root's capabilities, so that what others own is denied."""
        variables = {**os.environ, "FAKE_NVIDIA": str(self.folder / "machine"), **self.machine.environ}
        # With processes of its own: what runs there ends with it, and another test's machine is not seen.
        apart = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        enter = [*apart, "sh", "-c", ENTER, "lab", str(self.folder)]
        plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if user else []
        command = [*enter, *plain, *argv]
        whole = {**variables, **(environ or {})}
        return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=limit_s)

    def facts(self, *sections: str, user: bool = False, limit_s: float = 30.0) -> dict[str, Any]:
        """The raw sections that the patient sends from this machine; missing ones as their records."""
        code = (
            "import json, sys\n"
            "from envdoctor.transport import local\n"
            "request = local.Request(limit_s=float(sys.argv[1]), offline=True, only=tuple(sys.argv[2:]))\n"
            "answer = local.examine(sys.executable, request)\n"
            "missing = {name: [gone.reason, gone.detail] for name, gone in answer.missing.items()}\n"
            "print(json.dumps({'values': answer.values, 'missing': missing, 'failure': answer.failure}))\n"
        )
        said = self.run([sys.executable, "-c", code, str(limit_s), *sections], user=user)
        assert said.returncode == 0, said.stderr
        answer = json.loads(said.stdout)
        assert not answer["failure"], answer["failure"]
        assert isinstance(answer, dict)
        return answer

    def check(self, python: Path, *options: str) -> dict[str, Any]:
        """The report of `envdoctor check --json` on this machine, about an environment."""
        argv = [sys.executable, "-m", "envdoctor", "check", "--json", "--offline", "--python", str(python), *options]
        said = self.run(argv)
        assert said.returncode in (0, 1), f"exit code {said.returncode}: {said.stderr}"
        report = json.loads(said.stdout)
        assert isinstance(report, dict)
        return report
