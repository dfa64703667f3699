"""Which torch runs here: the newest build that fits driver, GPUs, Python and platform, and why no newer one does."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envdoctor.knowledge import cuda_driver, gpus, torch_builds
from envdoctor.knowledge.torch_builds import Build, Release
from envdoctor.knowledge.versions import at_least, minor, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envdoctor.facts.driver import Driver
    from envdoctor.facts.gpu import Gpu
    from envdoctor.facts.host import Host
    from envdoctor.facts.python import Python

Axis = Literal["platform", "glibc", "python", "gpu", "driver"]


@dataclass(frozen=True)
class Machine:
    """What a build of torch has to fit. What is not known is not held against a build.

    Attributes:
        system: "linux", "windows", "macos".
        machine: "x86_64", "aarch64", ... of the interpreter.
        glibc: version; "" where the C library is another one (musl), None if unknown.
        python: (3, 11); (0, 0) if unknown.
        free_threaded: a "t" build of Python.
        driver: release of the NVIDIA driver, "" if unknown.
        cuda_level: newest CUDA the libcuda in use supports, "" if unknown.
        windows_driver: the driver is the Windows one, also under WSL.
        capabilities: of every GPU that training sees, "9.0"; those of unknown capability are left out.
    """

    system: str = "linux"
    machine: str = "x86_64"
    glibc: str | None = None
    python: tuple[int, int] = (0, 0)
    free_threaded: bool = False
    driver: str = ""
    cuda_level: str = ""
    windows_driver: bool = False
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reason:
    """Why a build does not run here. `needs` is notation, the same in every language: "driver>=580.65.06"."""

    axis: Axis
    needs: str


@dataclass(frozen=True)
class Fit:
    """A build that runs here. `reach` tells whether the driver can also translate its PTX, see cuda_driver.reach."""

    version: str
    tag: str
    reach: cuda_driver.Reach

    def __str__(self) -> str:
        return f"{self.version}+{self.tag}"


@dataclass(frozen=True)
class Refusal:
    """A build that does not run here, with everything that stands against it, the hardest to mend first."""

    version: str
    tag: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Verdict:
    """Which torch runs here.

    Attributes:
        best: the newest release that has a fitting build, in its most fitting build; None if there is none.
        keep: a fitting build of the installed release, or of another patch of it.
        full: the newest whose CUDA the driver supports in full, PTX included.
        alternatives: the other fitting builds of the release proposed.
        refusals: every build newer than `best`, the newest first.
    """

    best: Fit | None = None
    keep: Fit | None = None
    full: Fit | None = None
    alternatives: tuple[Fit, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def proposal(self) -> Fit | None:
        """The build to install: of the installed release if it has one that fits, which changes least."""
        return self.keep or self.best

    @property
    def axes(self) -> frozenset[Axis]:
        """What stands against the refused builds."""
        return frozenset(reason.axis for refusal in self.refusals for reason in refusal.reasons)

    def why_not(self, most: int = 3) -> str:
        """What stands against newer releases, in notation: "2.15.0: no sm_70; 2.14.1..2.12.1: driver>=580.65.06".

        Of a build the reason that is hardest to mend is named, of several patches of a release the newest.

        Args:
            most: so many groups of releases; "..." stands for the rest. Empty if the newest release fits.
        """
        of_minor: dict[tuple[int, int], list[Refusal]] = {}
        for refusal in self.refusals:
            patches = of_minor.setdefault(minor(refusal.version), [])
            if not patches or patches[0].version == refusal.version:
                patches.append(refusal)
        groups: list[tuple[str, list[str]]] = []
        for refusals in of_minor.values():
            reason = _reason(refusals)
            if not groups or groups[-1][0] != reason:
                groups.append((reason, []))
            groups[-1][1].append(refusals[0].version)
        told = [f"{'..'.join(dict.fromkeys((told[0], told[-1])))}: {reason}" for reason, told in groups]
        return "; ".join(told[:most]) + ("; ..." if len(told) > most else "")


def _reason(refusals: list[Refusal]) -> str:
    """Why none of the builds of a release runs here. Where the driver alone is too old, the least that would do."""
    first = [(refusal.tag, refusal.reasons[0]) for refusal in refusals]
    if all(reason.axis == "driver" for _, reason in first):
        return min((reason.needs for _, reason in first), key=lambda needs: numbers(needs.partition(">=")[2]))
    tags: dict[str, list[str]] = {}
    for tag, reason in first:
        tags.setdefault(reason.needs, []).append(tag)
    if len(tags) == 1:
        return first[0][1].needs
    return ", ".join(f"{' '.join(of)} {needs}" for needs, of in tags.items())


def capability_of(gpu: Gpu) -> str:
    """Compute capability of a GPU, by its name where the driver does not tell; "" if it is not known."""
    return gpu.compute_capability or gpus.capability_of(gpu.name)


def machine_of(host: Host | None, python: Python | None, driver: Driver | None, visible: Iterable[Gpu] = ()) -> Machine:
    """The machine as the facts tell it."""
    named = map(capability_of, visible)
    on_windows = bool(host and (host.system == "windows" or host.wsl))
    return Machine(
        system=host.system if host and host.system else "linux",
        machine=torch_builds.machine_name((python and python.machine) or (host and host.machine) or "x86_64"),
        glibc=_glibc_of(host) if host and host.system == "linux" else None,
        python=python.minor if python else (0, 0),
        free_threaded=bool(python and python.tag.endswith("t")),
        driver=driver.release if driver else "",
        cuda_level=driver.cuda_level if driver else "",
        windows_driver=on_windows,
        capabilities=tuple(capability for capability in named if capability),
    )


def _glibc_of(host: Host) -> str | None:
    """Its version; "" for another C library; None where nobody looked, as in a report that somebody pasted."""
    if host.glibc:
        return host.glibc
    looked = bool(host.boot_id) or host.distribution.lower().startswith("alpine")
    return "" if looked else None


def judge(release: Release, build: Build, machine: Machine) -> Fit | Refusal:
    """Hold one build against the machine."""
    codes = torch_builds.arch_list(release.version, build.tag, machine.system, machine.machine)
    reach = cuda_driver.reach(
        cuda_driver.cuda_of(build.tag), machine.driver, machine.cuda_level, machine.windows_driver
    )
    reasons = [
        *_platform(machine, codes),
        *_glibc(release, build, machine),
        *_python(release, machine),
        *_gpu(codes, machine),
        *_driver(build, codes, reach, machine),
    ]
    if reasons:
        return Refusal(release.version, build.tag, tuple(reasons))
    return Fit(release.version, build.tag, reach)


def _platform(machine: Machine, codes: tuple[str, ...]) -> Iterable[Reason]:
    if machine.system == "linux" and machine.glibc == "":
        yield Reason("platform", "glibc")
    elif not codes:
        yield Reason("platform", f"no {machine.system} {machine.machine} wheel")


def _glibc(release: Release, build: Build, machine: Machine) -> Iterable[Reason]:
    least = build.glibc or release.glibc
    if machine.glibc and not at_least(machine.glibc, least):
        yield Reason("glibc", f"glibc>={least}")


def _python(release: Release, machine: Machine) -> Iterable[Reason]:
    span = release.pythons(machine.system, machine.machine)
    if machine.free_threaded:
        span = release.free_threaded
    if machine.python != (0, 0) and not torch_builds.python_holds(span, machine.python):
        yield Reason("python", f"python {span_text(span, machine.free_threaded)}")


def span_text(span: str, free_threaded: bool = False) -> str:
    """ "3.11-3.15", "3.14t-3.15t", "3.14t" where first and last are the same."""
    mark = "t" if free_threaded else ""
    return "-".join(dict.fromkeys(part + mark for part in span.split("-")))


def _gpu(codes: tuple[str, ...], machine: Machine) -> Iterable[Reason]:
    for capability in dict.fromkeys(machine.capabilities):
        if codes and gpus.runs(codes, capability) == "no":
            yield Reason("gpu", f"no sm_{gpus.whole(capability)}")


def _driver(build: Build, codes: tuple[str, ...], reach: cuda_driver.Reach, machine: Machine) -> Iterable[Reason]:
    cuda = cuda_driver.cuda_of(build.tag)
    if reach == "no":
        yield Reason("driver", f"driver>={cuda_driver.floor(cuda, machine.windows_driver)}")
    elif reach == "minor" and any(gpus.runs(codes, capability) == "jit" for capability in machine.capabilities):
        # Only PTX fits the GPU, and this driver cannot translate it.
        yield Reason("driver", f"driver>={cuda_driver.full_branch(cuda)}")


def _preference(release: Release, machine: Machine, fit: Fit) -> tuple[bool, bool, float]:
    """Smaller is better: a CUDA the driver supports in full; the build of the official index; else the CUDA nearest
    to what the driver supports: the newest of those in full, the oldest of the others."""
    cuda = minor(cuda_driver.cuda_of(fit.tag))
    distance = cuda[0] + cuda[1] / 100
    default = fit.tag == release.default_on(machine.system, machine.machine)
    return (fit.reach == "minor", not default, distance if fit.reach == "minor" else -distance)


def fits(release: Release, machine: Machine) -> tuple[Fit, ...]:
    """The builds of a release that run here, the most fitting first."""
    judged = [judge(release, build, machine) for build in release.builds]
    found = [fit for fit in judged if isinstance(fit, Fit)]
    return tuple(sorted(found, key=lambda fit: _preference(release, machine, fit)))


@functools.cache
def which_torch(machine: Machine, installed: str = "") -> Verdict:
    """The CUDA builds of torch that run here.

    Args:
        installed: release of the torch that is installed, "2.11.0"; "" for none.
    """
    refusals: list[Refusal] = []
    best: Fit | None = None
    full: Fit | None = None
    running: dict[str, tuple[Fit, ...]] = {}
    for release in torch_builds.releases():
        if not release.default:
            continue  # the LTS release, from an index of its own
        running[release.version] = fitting = fits(release, machine)
        best = best or (fitting[0] if fitting else None)
        full = full or next((fit for fit in fitting if fit.reach == "full"), None)
        if best is None:
            judged = [judge(release, build, machine) for build in release.builds]
            refusals += [refusal for refusal in judged if isinstance(refusal, Refusal)]
    keep = _kept(installed, running)
    proposal = keep or best
    others = running[proposal.version] if proposal else ()
    return Verdict(best, keep, full, tuple(fit for fit in others if fit != proposal), tuple(refusals))


def _kept(installed: str, running: dict[str, tuple[Fit, ...]]) -> Fit | None:
    """The best build of the installed release, else of the newest patch of it."""
    if running.get(installed):
        return running[installed][0]
    patches = (version for version in running if numbers(installed) and minor(version) == minor(installed))
    return next((running[version][0] for version in patches if running[version]), None)
