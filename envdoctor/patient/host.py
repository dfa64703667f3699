"""The machine: system, C library, container or virtual machine, scheduler job, loaded modules."""

import os
import platform
import re
import sys

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from .sections import Ask


def container() -> "Tuple[str, str]":
    """Kind of the container this process is in and what shows it; ("", "") outside of one."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes", "KUBERNETES_SERVICE_HOST is set"
    for kind, variable in (("apptainer", "APPTAINER_CONTAINER"), ("singularity", "SINGULARITY_CONTAINER")):
        if os.environ.get(variable):
            return kind, variable + " is set"
    if reading.exists("/.dockerenv"):
        return "docker", "/.dockerenv exists"
    if reading.exists("/run/.containerenv"):
        return "podman", "/run/.containerenv exists"
    told = os.environ.get("container", "")
    if told:
        return told, "variable container is " + told
    cgroup = reading.text("/proc/1/cgroup", 65536) or ""
    for word, kind in (
        ("kubepods", "kubernetes"),
        ("docker", "docker"),
        ("libpod", "podman"),
        ("lxc", "lxc"),
        ("garden", "garden"),
    ):
        if word in cgroup:
            return kind, "/proc/1/cgroup names " + word
    return "", ""


def wsl() -> int:
    """1 or 2 inside the Windows Subsystem for Linux, else 0."""
    release = (reading.line("/proc/sys/kernel/osrelease") or "").lower()
    if "microsoft" not in release:
        return 0
    return 2 if "wsl2" in release or reading.exists("/dev/dxg") else 1


def virtual_machine() -> str:
    """Name of the hypervisor's product, "" on bare metal or where nothing tells."""
    maker = reading.line("/sys/class/dmi/id/sys_vendor") or ""
    product = reading.line("/sys/class/dmi/id/product_name") or ""
    flags = re.search(r"^flags\s*:.*\bhypervisor\b", reading.text("/proc/cpuinfo", 8192) or "", re.M)
    return ((maker + " " + product).strip() or "unknown hypervisor") if flags else ""


def distribution() -> "Tuple[str, str]":
    """Name and version of the distribution."""
    content = reading.text("/etc/os-release", 65536) or ""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', content, re.M))
    return fields.get("NAME", ""), fields.get("VERSION_ID", "")


def glibc() -> str:
    """Version of the C library this interpreter runs on, "" where it is not glibc."""
    try:
        told = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""
    return told.split()[-1] if told.startswith("glibc") else ""


def cgroup_memory() -> "Optional[int]":
    """Bytes of memory this process's control group allows; None without a limit."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = reading.number(path)
        # cgroup 1 says "no limit" with the largest page-aligned number.
        if limit is not None and limit < 1 << 60:
            return limit
    return None


def memory() -> "Optional[int]":
    found = re.search(r"^MemTotal:\s+(\d+) kB", reading.text("/proc/meminfo", 8192) or "", re.M)
    return int(found.group(1)) * 1024 if found else None


def scheduler() -> "Dict[str, str]":
    """The batch job this process belongs to."""
    environ = os.environ
    for kind, variable in (
        ("slurm", "SLURM_JOB_ID"),
        ("pbs", "PBS_JOBID"),
        ("lsf", "LSB_JOBID"),
        ("sge", "JOB_ID"),
        ("flux", "FLUX_JOB_ID"),
    ):
        if environ.get(variable) and (kind != "sge" or environ.get("SGE_ROOT")):
            return {"kind": kind, "job": environ[variable], "source": variable}
    return {}


def host(ask: "Ask") -> "Dict[str, Any]":
    kind, shown_by = container()
    name, version = distribution() if sys.platform.startswith("linux") else (platform.system(), platform.release())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "distribution": name,
        "distribution_version": version,
        "glibc": glibc(),
        "name": platform.node(),
        "boot_id": reading.line("/proc/sys/kernel/random/boot_id") or "",
        "root": hasattr(os, "geteuid") and os.geteuid() == 0,
        "cpus": usable or 1,
        "memory_bytes": memory(),
        "memory_limit_bytes": cgroup_memory(),
        "container": kind,
        "container_shown_by": shown_by,
        "wsl": wsl(),
        "virtual_machine": virtual_machine(),
        "scheduler": scheduler(),
        "modules": list(reading.parts(os.environ.get("LOADEDMODULES"))),
    }
