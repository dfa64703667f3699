"""The releases of PyTorch, the CUDA builds of each, and what a build contains and needs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from envdoctor.knowledge import rows, table
from envdoctor.knowledge.versions import numbers


@dataclass(frozen=True)
class Build:
    """One CUDA build of a release.

    Attributes:
        tag: "cu126", as in the local version and in the address of its wheel index.
        cudnn, nccl: versions it requires or links; empty where that is not settled.
        windows: there are Windows wheels of it.
        glibc: where it needs another glibc than its release.
    """

    tag: str
    cudnn: str = ""
    nccl: str = ""
    windows: bool = True
    glibc: str = ""


@dataclass(frozen=True)
class Release:
    """A release of torch.

    Attributes:
        date: of publication, "2026-09-30".
        python: minor versions that have Linux x86_64 wheels, "3.10-3.14".
        free_threaded: those that have free-threaded wheels, empty for none.
        aarch64, windows, macos_arm64: as `python`, None where they are the same, empty for none.
        macos_x86_64: as `python`, empty for none.
        glibc: what the Linux wheels need.
        default: the build on the official index for Linux x86_64; empty if the release is not there.
        default_aarch64: the same for Linux aarch64; empty for a CPU build.
        builds: its CUDA builds.
        torchvision: the releases that go with it, the newest last.
        torchaudio: the release that goes with it; after 2.11.0 there was none, and 2.11.0 goes with all later torch.
    """

    version: str
    date: str
    python: str
    builds: tuple[Build, ...]
    torchvision: tuple[str, ...]
    torchaudio: str
    free_threaded: str = ""
    aarch64: str | None = None
    windows: str | None = None
    macos_arm64: str | None = None
    macos_x86_64: str = ""
    glibc: str = "2.28"
    default: str = ""
    default_aarch64: str = ""

    def pythons(self, system: str, machine: str) -> str:
        """The Python versions that have wheels on a platform, "3.10-3.14"; empty for none.

        Args:
            system: "linux", "windows" or "macos".
            machine: "x86_64" or "aarch64".
        """
        own = {
            ("linux", "x86_64"): self.python,
            ("linux", "aarch64"): self.aarch64,
            ("windows", "x86_64"): self.windows,
            ("macos", "aarch64"): self.macos_arm64,
            ("macos", "x86_64"): self.macos_x86_64,
        }
        found = own.get((system, machine), "")
        return self.python if found is None else found

    def build(self, tag: str) -> Build | None:
        return next((build for build in self.builds if build.tag == tag), None)

    def default_on(self, system: str, machine: str) -> str:
        """The CUDA build that a plain `pip install torch` gives on a platform; empty for a CPU build."""
        if system != "linux":
            return ""
        return {"x86_64": self.default, "aarch64": self.default_aarch64}.get(machine, "")


@dataclass(frozen=True)
class Code:
    """The GPU code in the wheels of some builds of the releases from `since` to `until`.

    Attributes:
        machine: "x86_64" or "aarch64" for Linux, "windows" where its wheels differ from those of Linux x86_64.
        sm: compute capabilities with compiled code, 90 for 9.0.
        ptx: those with intermediate code.
    """

    machine: str
    tags: tuple[str, ...]
    since: str
    until: str
    sm: tuple[int, ...]
    ptx: tuple[int, ...] = ()

    def holds(self, version: str, tag: str) -> bool:
        return tag in self.tags and numbers(self.since) <= numbers(version) <= numbers(self.until)

    @property
    def arch_list(self) -> tuple[str, ...]:
        """As torch.cuda.get_arch_list() has it."""
        return (*(f"sm_{number}" for number in self.sm), *(f"compute_{number}" for number in self.ptx))


def machine_name(machine: str) -> str:
    """The name of a processor in these tables: "x86_64" of "AMD64", "aarch64" of "arm64"; others as they are."""
    lower = machine.lower()
    return {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}.get(lower, lower)


@functools.cache
def releases() -> tuple[Release, ...]:
    """All releases, the newest first."""
    told = rows("torch_builds", "release", Release)
    return tuple(sorted(told, key=lambda release: numbers(release.version), reverse=True))


def release(version: str) -> Release | None:
    """The release "2.13.0", also of "2.13.0+cu130"; None for a nightly, a build of one's own, or a newer one."""
    wanted = version.partition("+")[0]
    return next((known for known in releases() if known.version == wanted), None)


def official_tag(version: str) -> str:
    """ "cu130" of "2.13.0+cu130" if PyTorch published that build, else "": only of those is the content known."""
    known, tag = release(version), version.partition("+")[2]
    return tag if known and known.build(tag) else ""


@functools.cache
def arch_list(version: str, tag: str, system: str, machine: str) -> tuple[str, ...]:
    """The GPU code in the wheel of a build, as torch.cuda.get_arch_list() has it; empty if it is not known.

    Args:
        version: release of torch, "2.13.0".
        tag: of the build, "cu130".
        system, machine: as in `Release.pythons`.
    """
    known = release(version)
    build = known.build(tag) if known else None
    if build is None or system not in ("linux", "windows"):
        return ()
    if system == "windows" and (machine != "x86_64" or not build.windows):
        return ()
    order = ("windows", "x86_64") if system == "windows" else (machine,)
    told: tuple[Code, ...] = rows("torch_builds", "code", Code)
    for name in order:
        for row in told:
            if row.machine == name and row.holds(known.version if known else "", tag):
                return row.arch_list
    return ()


def companions(version: str) -> tuple[tuple[str, ...], str] | None:
    """The torchvision releases (the newest last) and the torchaudio release that go with a torch; None if unknown."""
    known = release(version)
    return (known.torchvision, known.torchaudio) if known else None


def nvidia_pins(version: str, tag: str) -> tuple[str, str] | None:
    """The cuDNN and NCCL of a build, "" where not settled; None for an unknown build.

    The exact requirements on all of NVIDIA's wheels stand in the METADATA of the installed torch
    (`TorchInstall.pins`); this is for a torch that is not installed.
    """
    known = release(version)
    build = known.build(tag) if known else None
    return (build.cudnn, build.nccl) if build else None


def python_holds(span: str, python: tuple[int, int]) -> bool:
    """Whether a span such as "3.10-3.14" holds a Python version; an empty span holds none."""
    if not span:
        return False
    first, _, last = span.partition("-")
    return numbers(first) <= python <= numbers(last)


def index_url(tag: str) -> str:
    """Address of the index that serves the wheels of a build: "cu126", "cpu"."""
    address: str = table("torch_builds")["meta"]["index"]
    return address.format(tag=tag)
