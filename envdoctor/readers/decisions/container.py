"""Containers and WSL: what the container toolkit's refusals and a missing library of the driver mean there."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.host import Host
from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context, value

# What nvidia-container-cli says -> the problem; the first that fits. "" is told by a row of its own. Of
# libnvidia-container: src/driver.c asks the driver, src/nvc_mount.c and src/nvcgo give the container its files.
ANSWERS = (
    (re.compile(r"driver/library version mismatch|driver not loaded|WSL environment detected|requires reset"), ""),
    (re.compile(r"device error: \S{1,60}: unknown device|unknown device id"), "cuda-visible-devices-invalid"),
    (re.compile(r"no cuda-capable device|no devices|not found: \S*nvidia\d"), "gpu-not-visible"),
    (re.compile(r"gpu is lost|fallen off"), "gpu-fell-off-bus"),
    (re.compile(r"(?:cuda|nvml) error: unknown error"), "cuda-init-failed-unknown"),
    (re.compile(r"load library failed: libnvidia-ml|driver error|driver rpc error|driver not found"), "driver-missing"),
    (re.compile(r"."), "gpu-not-in-container"),
)


def cli(seen: Sighting, context: Context) -> Sighting | None:
    """nvidia-container-cli asks the driver first and then fills the container: its words tell where it stopped."""
    said = value(seen, "said")
    code = next(code for pattern, code in ANSWERS if pattern.search(said))
    if not code:
        return None
    if code == "driver-missing" and "libnvidia-ml" in said and context.saw("docker-in-vm"):
        # A daemon in a snap or a virtual machine has no view of the host's libraries.
        return replace(seen, code="gpu-not-in-container")
    if wsl(context) and ("file exists" in said or code == "driver-missing"):
        code = "wsl-driver"
    return replace(seen, code=code)


def init_memory(seen: Sighting, context: Context) -> Sighting:
    """WSL answers so to the first question about devices where it cannot map them all."""
    return replace(seen, code="wsl-driver", severity="warning") if wsl(context) else seen


def smi_level(seen: Sighting, context: Context) -> Sighting:
    """nvidia-smi asks libcuda for the level: in WSL Windows has to bring it."""
    return replace(seen, code="wsl-driver", severity="error") if wsl(context) else seen


def no_nvml(seen: Sighting, context: Context) -> Sighting | None:
    """Without libnvidia-ml there is no driver; in a container it has not been handed in."""
    if context.saw("device-plugin", "ctk-cli"):
        return None
    if wsl(context):
        return replace(seen, code="wsl-driver")
    return replace(seen, code="gpu-not-in-container" if container(context) else seen.code)


def lost(seen: Sighting, context: Context) -> Sighting:
    """NVML's "Unknown Error" is how a container looks whose device rules systemd has rewritten; in WSL and on a host
    it is one failure of several."""
    if wsl(context):
        return replace(seen, code="wsl-driver")
    return seen


def no_smi(seen: Sighting, context: Context) -> Sighting:
    """A container without nvidia-smi beside a host that shows its GPUs was not given them."""
    if container(context) and "gpu" in context.sections:
        return replace(seen, code="gpu-not-in-container", severity="warning")
    return seen


def ngc_without_driver(seen: Sighting, context: Context) -> Sighting:
    """NVIDIA's images say so at every start without a GPU; it is a fault where something then asks for one."""
    wanted = context.saw("no-gpus-available", "torch-no-driver", "cuda-100", "needs-gpu", "cuda-35", "libcuda-missing")
    return replace(seen, severity="error") if wanted else seen


def ngc_driver(seen: Sighting, context: Context) -> Sighting:
    """The entry point compares release numbers; where it names none, none was detected."""
    del context
    return seen if value(seen, "driver") else replace(seen, code="driver-missing", severity="warning")


def ngc_gpu(seen: Sighting, context: Context) -> Sighting:
    """A warning that the image is older than the GPU; a fault where the image then finds no GPU that it supports."""
    del context
    return replace(seen, severity="error") if "No supported" in seen.quote else seen


def container(context: Context) -> bool:
    host = context.sections.get("host")
    return isinstance(host, Host) and bool(host.container)


def wsl(context: Context) -> bool:
    host = context.sections.get("host")
    return isinstance(host, Host) and bool(host.wsl)
