"""Makes a machine appear: its /sys, /proc, /dev and libraries, in namespaces of its own. Needs root and gcc."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.lab.machine import Machine, Torch

HERE = Path(__file__).parent
LIBRARIES = {"nvml.c": "libnvidia-ml", "cuda.c": "libcuda"}
COMPILE = ("gcc", "-std=c99", "-D_DEFAULT_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function")
SHARED = ("-shared", "-fPIC")
SOMEBODY = 4711  # the owner of what is denied; root without capabilities stands for the user
AGO_S = 300  # age of the kernel's messages
NVIDIA_MAJOR, UVM_MAJOR = 195, 511

# Enters the machine: $1 is its folder, $2 the working directory, the rest the command. The root is this machine's with
# the machine's files over it; /dev and /sys/module are replaced as a whole, because names cannot be added to them.
ENTER = r"""
set -e
there=$1 here=$2; shift 2
new=$there/new
mount -t tmpfs lab "$there/layers"
mkdir "$there/layers/upper" "$there/layers/work"
cp -a "$there/root/." "$there/layers/upper/"
mount -t overlay -o "lowerdir=/,upperdir=$there/layers/upper,workdir=$there/layers/work" lab "$new"
[ -e "$there/root/.dockerenv" ] || rm -f "$new/.dockerenv" "$new/run/.containerenv"
while read -r place; do
    mount --rbind "$place" "$new$place"
done < "$there/mounts"
mount -t proc lab "$new/proc"
mount --bind "$there/proc" "$new/proc/driver"
[ ! -e "$there/osrelease" ] || mount --bind "$there/osrelease" "$new/proc/sys/kernel/osrelease"
mount --rbind /sys "$new/sys"
mount --bind /sys/module "$new/lab/module"
mount --bind "$there/module" "$new/sys/module"
mount --bind "$there/bus" "$new/sys/bus/pci/devices"
mount -t tmpfs -o mode=755 lab "$new/dev"
for name in null zero full random urandom tty; do cp -a /dev/$name "$new/dev/"; done
mkdir "$new/dev/shm" "$new/dev/pts"
mount --bind /dev/shm "$new/dev/shm"
mount --bind /dev/pts "$new/dev/pts"
ln -s /proc/self/fd "$new/dev/fd"
cp "$there/kmsg" "$new/dev/kmsg"
while read -r name major minor owner; do
    mknod -m 660 "$new/dev/$name" c "$major" "$minor"
    chown "$owner:$owner" "$new/dev/$name"
done < "$there/nodes"
chroot "$new" ldconfig -X 2> /dev/null
[ ! -e "$there/runs" ] || chroot "$new" nv-fabricmanager > /dev/null 2>&1 &
chroot "$new" sh -c 'cd "$1"; shift; exec "$@"' lab "$here" "$@"
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


def mounts(*needed: Path) -> list[str]:
    """The mount points other than / that hold what a run needs: they are not part of the root's file system."""
    found = set()
    for path in needed:
        place = path.resolve()
        while not place.is_mount():
            place = place.parent
        found.add(str(place))
    return sorted(found - {"/"})


class Stage:
    """A machine set up in `folder`, with the libraries that `build_libraries` made."""

    def __init__(self, machine: Machine, folder: Path, libraries: Path) -> None:
        self.machine = machine
        self.folder = folder
        for name in ("root/lab/module", "layers", "new", "proc", "module", "bus"):
            (folder / name).mkdir(parents=True)
        self._write(
            "mounts", "".join(f"{place}\n" for place in mounts(ROOT, Path(sys.prefix), Path(sys.base_prefix), folder))
        )
        self._write("machine", machine.description())
        self._module()
        self._libraries(libraries)
        self._fabric_manager()
        self._bus()
        self._nodes()
        self._log()
        if machine.container:
            self._write("root/.dockerenv", "")

    def _write(self, path: str, content: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def _module(self) -> None:
        """The kernel module in /sys/module and /proc/driver."""
        machine, release = self.machine, self.machine.kernel or self.machine.driver
        for name in os.listdir("/sys/module"):
            (self.folder / "module" / name).symlink_to(f"/lab/module/{name}")
        if machine.module:
            self._write(f"module/{machine.module}/version", release + "\n")
        if machine.module != "nvidia":
            return
        kind = "Open Kernel Module for x86_64" if machine.open_module else "x86_64 Kernel Module"
        built = f"{release}  Release Build  (dvs-builder@U22)  Mon Jul 21 10:11:12 UTC 2025\n"
        self._write("proc/nvidia/version", f"NVRM version: NVIDIA UNIX {kind}  {built}GCC version:  gcc 12.3.0\n")
        for index, gpu in enumerate(machine.gpus):
            uuid = machine.answers(index, gpu)["uuid"]
            lines = {"Model": gpu.name, "IRQ": 80 + index, "GPU UUID": uuid, "Bus Type": "PCIe"}
            text = "".join(f"{key}: \t {value}\n" for key, value in lines.items())
            self._write(f"proc/nvidia/gpus/{machine.address(index)}/information", text)

    def _libraries(self, built: Path) -> None:
        """The libraries under their releases' names, where ldconfig looks."""
        machine, folder, compat = self.machine, "usr/lib/nvidia", "usr/local/cuda/compat"
        wanted = [(folder, name, machine.driver) for name in LIBRARIES.values() if machine.libraries]
        wanted += [(compat, "libcuda", machine.compat)] if machine.compat else []
        for place, name, release in wanted:
            file = self._write(f"root/{place}/{name}.so.{release}", "")
            shutil.copy(built / name, file)
            (file.parent / f"{name}.so.1").symlink_to(file.name)
        if machine.wsl:
            for name in LIBRARIES.values():
                shutil.copy(built / name, self._write(f"root/usr/lib/wsl/lib/{name}.so.1", ""))
            self._write("root/etc/ld.so.conf.d/ld.wsl.conf", "/usr/lib/wsl/lib\n")
            self._write("osrelease", "6.6.87.2-microsoft-standard-WSL2\n")
        # Containers of NVIDIA put their folder of forward compatibility first, by a file of this name.
        self._write("root/etc/ld.so.conf.d/00-compat.conf", f"/{compat}\n" if machine.compat else "")
        self._write("root/etc/ld.so.conf.d/01-nvidia.conf", f"/{folder}\n")

    def _fabric_manager(self) -> None:
        if self.machine.fabric_manager == "absent":
            return
        release = self.machine.fabric_manager_release or self.machine.kernel or self.machine.driver
        self._write("root/usr/bin/nv-fabricmanager", FABRIC_MANAGER.format(release=release)).chmod(0o755)
        if self.machine.fabric_manager == "active":
            self._write("runs", "")

    def _bus(self) -> None:
        """Each GPU below a port of its own, and the NVSwitches, as sysfs shows them."""
        for index, gpu in enumerate(self.machine.gpus):
            bus, address = f"{0x10 * index + 0x10:02x}", self.machine.address(index)
            port = f"pci0000:{bus}/0000:{bus}:01.0"
            self._device(port, "0x8086", "0x352a", "0x060400", 16)
            # Under WSL the bus shows a device of Microsoft's in the GPU's place.
            vendor, device = ("0x1414", "0x008e") if self.machine.wsl else ("0x10de", gpu.device)
            self._device(f"{port}/{address}", vendor, device, "0x030200", gpu.width, gpu.responds)
        for index in range(self.machine.nvswitches):
            self._device(f"pci0000:00/0000:{0xC0 + index:02x}:00.0", "0x10de", "0x22a3", "0x068000", 16)

    def _device(self, path: str, vendor: str, device: str, class_code: str, width: int, responds: bool = True) -> None:
        files = {"vendor": vendor, "device": device, "class": class_code, "numa_node": "0"}
        files |= {"current_link_width": str(width), "max_link_width": "16"}
        files |= dict.fromkeys(("current_link_speed", "max_link_speed"), "32.0 GT/s PCIe")
        for name, content in files.items():
            self._write(f"root/lab/{path}/{name}", content + "\n")
        head = int(vendor, 16).to_bytes(2, "little") + int(device, 16).to_bytes(2, "little")
        (self.folder / "root/lab" / path / "config").write_bytes(head if responds else b"\xff" * 4)
        if vendor == "0x10de" and self.machine.module:
            (self.folder / "root/lab" / self.machine.module).mkdir(exist_ok=True)
            (self.folder / "root/lab" / path / "driver").symlink_to(f"/lab/{self.machine.module}")
        (self.folder / "bus" / Path(path).name).symlink_to(f"/lab/{path}")

    def _nodes(self) -> None:
        nodes = [(f"nvidia{index}", NVIDIA_MAJOR, index) for index in range(len(self.machine.gpus))]
        nodes += [("nvidiactl", NVIDIA_MAJOR, 255)]
        nodes += [("nvidia-uvm", UVM_MAJOR, 0)] if self.machine.uvm else []
        nodes = nodes if self.machine.nodes else []
        nodes += [("dxg", 10, 127)] if self.machine.wsl else []
        owners = {name: SOMEBODY if name in self.machine.denied else 0 for name, _, _ in nodes}
        self._write("nodes", "".join(f"{name} {major} {minor} {owners[name]}\n" for name, major, minor in nodes))

    def _log(self) -> None:
        """Records as /dev/kmsg gives them: priority, number, microseconds since boot."""
        stamp = int(max(1.0, time.clock_gettime(time.CLOCK_MONOTONIC) - AGO_S) * 1e6)
        lines = ("Linux version 6.8.0-generic", *self.machine.log)
        self._write("kmsg", "".join(f"4,{number},{stamp},-;{text}\n" for number, text in enumerate(lines)))

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str] | None = None, user: bool = False, limit_s: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine; `user`: without root's capabilities, so that what others own is denied."""
        variables = {**os.environ, "FAKE_NVIDIA": str(self.folder / "machine"), **self.machine.environ}
        # With processes of its own: what runs there ends with it, and another test's machine is not seen.
        apart = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--cgroup"]
        enter = ["unshare", *apart, "sh", "-c", ENTER, "lab", str(self.folder), str(ROOT)]
        plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if user else []
        command = [*enter, *plain, *argv]
        whole = {**variables, **(environ or {})}
        return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=limit_s)

    def facts(
        self, *sections: str, user: bool = False, limit_s: float = 30.0, python: str = sys.executable
    ) -> dict[str, Any]:
        """The raw sections that the patient sends from this machine, in `python`; missing ones as their records."""
        code = (
            "import json, sys\n"
            "from envdoctor.transport import local\n"
            "request = local.Request(limit_s=float(sys.argv[1]), offline=True, only=tuple(sys.argv[3:]))\n"
            "answer = local.examine(sys.argv[2], request)\n"
            "missing = {name: [gone.reason, gone.detail] for name, gone in answer.missing.items()}\n"
            "print(json.dumps({'values': answer.values, 'missing': missing, 'failure': answer.failure}))\n"
        )
        said = self.run([sys.executable, "-c", code, str(limit_s), python, *sections], user=user)
        assert said.returncode == 0, said.stderr
        answer = json.loads(said.stdout)
        assert not answer["failure"], answer["failure"]
        assert isinstance(answer, dict)
        return answer

    def check(self, python: Path, *options: str, user: bool = False) -> dict[str, Any]:
        """The report of `envdoctor check --json` on this machine, about an environment."""
        argv = [sys.executable, "-m", "envdoctor", "check", "--json", "--offline", "--python", str(python), *options]
        said = self.run(argv, user=user)
        assert said.returncode in (0, 1), f"exit code {said.returncode}: {said.stderr} {said.stdout[-3000:]}"
        report = json.loads(said.stdout)
        assert isinstance(report, dict)
        return report
