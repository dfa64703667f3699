"""The machine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scheduler:
    """The batch job: kind "slurm", "pbs", "lsf", "sge", "flux" or "" outside of one."""

    kind: str = ""
    job: str = ""
    source: str = ""


@dataclass(frozen=True)
class Host:
    """The machine and what surrounds the process.

    Attributes:
        system: "linux", "macos", "windows" or what Python calls it.
        machine: "x86_64", "aarch64", ...
        glibc: version, empty where the C library is another.
        name: the name the machine gives itself.
        cpus: processors this process may use.
        memory_limit_bytes: limit of the control group, None without one.
        container: "docker", "podman", "kubernetes", "apptainer", "singularity", "lxc", ... or "".
        container_shown_by: what shows it.
        wsl: 1 or 2 inside the Windows Subsystem for Linux, else 0.
        virtual_machine: product of the hypervisor, empty on bare metal.
        modules: loaded environment modules, LOADEDMODULES in order.
    """

    system: str = ""
    kernel: str = ""
    machine: str = ""
    distribution: str = ""
    distribution_version: str = ""
    glibc: str = ""
    name: str = ""
    boot_id: str = ""
    root: bool = False
    cpus: int = 1
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    container: str = ""
    container_shown_by: str = ""
    wsl: int = 0
    virtual_machine: str = ""
    scheduler: Scheduler = field(default_factory=Scheduler)
    modules: tuple[str, ...] = ()
