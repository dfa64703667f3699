"""Which build of torch to install: the one that fits, or the one that was asked for if it runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envdoctor.errors import UsageError
from envdoctor.knowledge import cuda_driver, mirrors, torch_builds
from envdoctor.knowledge.installing import BUILD_TAG
from envdoctor.knowledge.verdict import Fit, Machine, Refusal, fits, judge

if TYPE_CHECKING:
    from envdoctor.facts.torch import TorchInstall
    from envdoctor.knowledge.prescription import Prescription

CPU = "cpu"


def chosen(told: Prescription, torch: TorchInstall | None, version: str, cpu: bool, cuda: str) -> Fit:
    """The build to install. Raises UsageError where none fits."""
    if cpu and cuda:
        raise UsageError(
            "--cpu and --cuda exclude each other",
            "--cpu 与 --cuda 不能同时使用",
        )
    tag = CPU if cpu else _tag(cuda)
    if not version and not tag:
        if torch and (own := _own(torch, told.machine)):
            return own
        if told.verdict.proposal is None:
            raise UsageError(
                f"no torch on PyTorch's index fits this machine: {told.verdict.why_not() or 'none known'}",
                f"PyTorch 索引中没有适合本机的 torch：{told.verdict.why_not() or '没有已知的版本'}",
            )
        return told.verdict.proposal
    known = [version] if version else _versions(torch)
    refused: list[Refusal] = []
    for name in known:
        release = torch_builds.release(name)
        if release is None or not release.default:
            newest = next(one.version for one in torch_builds.releases() if one.default)
            raise UsageError(
                f"--version {version}: no release of torch known here; the newest is {newest}",
                f"--version {version}：没有已知的 torch 版本与之对应；最新版本是 {newest}",
            )
        if tag == CPU:
            if fit := _cpu_build(release, told.machine):
                return fit
            continue
        if not tag and (fitting := fits(release, told.machine)):
            return fitting[0]
        builds = [build for build in release.builds if tag in ("", build.tag)]
        judged = [judge(release, build, told.machine) for build in builds]
        if found := next((one for one in judged if isinstance(one, Fit)), None):
            return found
        refused += [one for one in judged if isinstance(one, Refusal)]
    if tag and not refused:
        named = f"torch {version}" if version else "any torch known here"
        named_zh = f"torch {version} " if version else "已知的 torch 都"
        raise UsageError(
            f"there is no build of {named} for {tag} on this platform and Python",
            f"{named_zh}没有适合本平台与此 Python 的 {tag} 构建",
        )
    against = "; ".join(f"{one.version}+{one.tag}: {one.reasons[0].needs}" for one in refused[:4])
    raise UsageError(
        f"that torch cannot run here ({against}); without --version and --cuda the fitting one is chosen",
        f"本机无法运行该 torch（{against}）；去掉 --version 与 --cuda 即自动选择合适的版本",
    )


def _own(torch: TorchInstall, machine: Machine) -> Fit | None:
    """The installed build, if it is one of PyTorch's and fits: it lacks files, and is to be as it was."""
    release, tag = torch_builds.release(torch.version), torch_builds.official_tag(torch.version)
    build = release.build(tag) if release and tag else None
    found = judge(release, build, machine) if release and build else None
    return found if isinstance(found, Fit) else None


def _tag(cuda: str) -> str:
    """ "cu126" of "cu126", "12.6" or "126"."""
    if not cuda:
        return ""
    tag = "cu" + cuda.lower().removeprefix("cu").replace(".", "")
    if not BUILD_TAG.fullmatch(tag):
        raise UsageError(
            f"--cuda {cuda!r} is no build of torch; it takes one such as cu126",
            f"--cuda {cuda!r} 不是 torch 的构建；应形如 cu126",
        )
    return tag


def _versions(torch: TorchInstall | None) -> list[str]:
    """The installed release first, then all others, the newest first."""
    known = [release.version for release in torch_builds.releases() if release.default]
    own = torch.release if torch else ""
    return [own, *(name for name in known if name != own)] if own in known else known


def _cpu_build(release: torch_builds.Release, machine: Machine) -> Fit | None:
    """The CPU build of a release, which every platform and Python with wheels has."""
    span = release.free_threaded if machine.free_threaded else release.pythons(machine.system, machine.machine)
    if not span or (machine.python != (0, 0) and not torch_builds.python_holds(span, machine.python)):
        return None
    return Fit(release.version, CPU, "full")


def whole(torch: TorchInstall) -> bool:
    """Whether nothing of the installed torch is known to be missing."""
    return bool(torch.folder) and not (torch.leftover or torch.broken_files) and bool(torch.version)


def runs(torch: TorchInstall, told: Prescription) -> bool:
    """Whether what is installed runs here, as far as anybody can tell without running it."""
    if not whole(torch):
        return False
    if not told.seen.gpus:
        return True
    if not torch.cuda:
        return False
    release, tag = torch_builds.release(torch.version), torch_builds.official_tag(torch.version)
    build = release.build(tag) if release and tag else None
    if release and build:
        return isinstance(judge(release, build, told.machine), Fit)
    machine = told.machine
    return cuda_driver.reach(torch.cuda, machine.driver, machine.cuda_level, machine.windows_driver) != "no"


def is_build(torch: TorchInstall | None, fit: Fit) -> bool:
    """Whether this very build is installed."""
    if torch is None or not whole(torch) or torch.release != fit.version:
        return False
    tag = torch.version.partition("+")[2] or (f"cu{torch.cuda.replace('.', '')}" if torch.cuda else CPU)
    return tag == fit.tag


def index_of(mirror: str) -> str:
    """Address of a mirror of PyTorch's index by its id, "" for none. Raises UsageError for one that is not known."""
    if not mirror:
        return ""
    known = {index.id: index.url for index in mirrors.torch_indexes()}
    if mirror not in known:
        raise UsageError(
            f"--wheels-mirror {mirror}: no such mirror is known; there is {', '.join(known)}",
            f"--wheels-mirror {mirror}：没有这个镜像；可用 {'、'.join(known)}",
        )
    return known[mirror]
