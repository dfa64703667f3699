"""Does a run load the CUDA libraries that belong to torch, and are they all there?"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.driver import Driver
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import Libraries, LoadedLibrary, MappedLibraries, older
from envdoctor.facts.packages import Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import Pin, TorchImport, TorchInstall
from envdoctor.knowledge.installing import for_python, reinstall
from envdoctor.model import Missing, Scalar

TOPIC = Topic("libraries", 85, Text("CUDA libraries that a run loads", "运行时加载的 CUDA 动态库"))

# What NVIDIA's wheels bring. The driver's libcuda comes from elsewhere, NCCL has a topic of its own.
OF_CUDA = (
    "libcudart.", "libcublas", "libcudnn", "libcufft.", "libcufile.", "libcurand.", "libcusolver", "libcusparse",
    "libcupti.", "libnvJitLink.", "libnvrtc", "libnvshmem", "libnvToolsExt.", "libcudss.",
)  # fmt: skip

LIBRARY_PATH_POLLUTION = Problem(
    code="library-path-pollution",
    severity=Severity.ERROR,
    title=Text(
        "{soname} comes from {folder}, not from torch's own packages",
        "{soname} 来自 {folder}，而不是 torch 自带的软件包",
    ),
    why=Text(
        "an older copy lacks what torch's other libraries ask for: undefined symbols at import or at the first use",
        "较旧的副本缺少 torch 其他库所需的内容：导入或首次使用时出现未定义符号",
    ),
    seen=Text(
        "{path} {version}, found through {through}; torch's own: {own} {own_version}{others}",
        "{path} {version}，经由 {through} 找到；torch 自带：{own} {own_version}{others}",
    ),
    confirm="env -u LD_LIBRARY_PATH python -c 'import torch'",
    refs=("https://github.com/pytorch/pytorch/issues/111469",),
    situations={
        "path": Situation(
            command="unset LD_LIBRARY_PATH",
            help=Text(
                "a torch from wheels needs no LD_LIBRARY_PATH; take the folder out where it is set ({set_in})",
                "wheel 安装的 torch 不需要 LD_LIBRARY_PATH；请在设置处（{set_in}）去掉该目录",
            ),
        ),
        "preload": Situation(
            command="unset LD_PRELOAD",
            help=Text("LD_PRELOAD puts it before all others", "LD_PRELOAD 使其先于其他副本加载"),
        ),
        "system": Situation(
            help=Text(
                "torch finds the system's copy before its own: reinstall torch and NVIDIA's packages into one folder",
                "torch 先找到了系统中的副本：请将 torch 与 NVIDIA 软件包重新安装到同一目录",
            ),
            command="pip install --force-reinstall --no-deps torch=={torch}",
        ),
        "stub": Situation(
            title=Text(
                "libcuda.so.1 is a toolkit's stub, not the driver's library",
                "libcuda.so.1 是工具包中的桩库，而不是驱动的库",
            ),
            why=Text(
                "a stub can be linked and does nothing: CUDA does not initialise (CUDA driver is a stub library)",
                "桩库只能用于链接，没有功能：CUDA 无法初始化（CUDA driver is a stub library）",
            ),
            seen=Text("{path}, found through {through}", "{path}，经由 {through} 找到"),
            command="unset LD_LIBRARY_PATH",
            help=Text(
                "take the folder `stubs` out of LD_LIBRARY_PATH where it is set ({set_in})",
                "请在设置 LD_LIBRARY_PATH 处（{set_in}）去掉 `stubs` 目录",
            ),
        ),
    },
)

CUDA_LIBRARY_MISSING = Problem(
    code="cuda-library-missing",
    severity=Severity.ERROR,
    title=Text("{soname}, which torch needs, is found nowhere", "找不到 torch 所需的 {soname}"),
    why=Text(
        "importing torch fails: `cannot open shared object file: No such file or directory`",
        "导入 torch 会失败：`cannot open shared object file: No such file or directory`",
    ),
    seen=Text("{soname} is needed by {wanted_by}", "{wanted_by} 需要 {soname}"),
    command="pip install --force-reinstall torch=={torch}",
    confirm="python -c 'import torch'",
    caused_by=("torch-shadowed", "nvidia-wheel-conflict", "torch-leftover"),
    situations={
        "wheel": Situation(
            title=Text(
                "{count} {count:package|packages} with libraries that torch {torch} requires {count:is|are} not "
                "installed",
                "torch {torch} 所需的 {count} 个库软件包未安装",
            ),
            seen=Text("not installed: {absent}", "未安装：{absent}"),
            command="pip install --no-deps {wanted}",
        ),
        "payload": Situation(
            title=Text(
                "{owner} is installed, {files} of its libraries are gone",
                "已安装 {owner}，但其 {files} 个动态库不见了",
            ),
            seen=Text("absent: {path}", "缺失：{path}"),
            help=Text(
                "removing another package that owned the same files deleted them; pip thinks that all is well",
                "卸载占有同样文件的另一软件包时被一并删除；pip 却认为一切正常",
            ),
            command="pip install --force-reinstall --no-deps {owner}=={version}",
        ),
    },
)


def _set_in(libraries: Libraries, folder: str, host: Host | None) -> str | None:
    """Who put a folder into LD_LIBRARY_PATH, as far as that is seen."""
    module = next((m for m in (host.modules if host else ()) if any(w in m.lower() for w in ("cuda", "nvhpc"))), "")
    return libraries.set_in(folder) or (f"module {module}" if module else None)


def _mended(finding: Finding, kind: str, torch: TorchInstall | None, python: Python | None) -> Finding:
    """Where the user's own file puts a folder on LD_LIBRARY_PATH, the folder is taken out there."""
    if kind in ("path", "stub") and str(finding.evidence["set_in"] or "").startswith("~/"):
        return finding.fixed_by("library-path")
    return finding.mended_by(reinstall(torch, python)) if kind == "system" and torch is not None else finding


@check(LIBRARY_PATH_POLLUTION)
def library_path_pollution(
    libraries: Libraries,
    torch: TorchInstall,
    imported: TorchImport | Missing,
    host: Host | None,
    python: Python | None,
) -> Iterable[Finding]:
    """Copies that ld.so finds before torch's own, one finding for each folder they come from.

    An older one breaks the import; where torch was imported all the same, it is fragile only. A newer one of the same
    soname is compatible by NVIDIA's promise for a major version.
    """
    folders: dict[tuple[str, str], list[tuple[LoadedLibrary, bool | None]]] = {}
    for library, is_older in libraries.foreign(torch):
        folders.setdefault((os.path.dirname(library.path), library.through), []).append((library, is_older))
    for (folder, through), found in folders.items():
        found.sort(key=lambda each: (each[1] is not True, each[1] is not None))
        library, is_older = found[0]
        own = libraries.own(library.soname, torch)
        evidence: dict[str, Scalar] = {
            "soname": library.soname,
            "folder": folder,
            "through": through,
            "path": library.path,
            "version": library.version or None,
            "own": own.path if own else None,
            "own_version": (own.version or None) if own else None,
            "others": "".join(f"\n+ {other.path}" for other, _ in found[1:]),
            "set_in": _set_in(libraries, folder, host),
            "torch": torch.version,
        }
        kind = {"LD_LIBRARY_PATH": "path", "preload": "preload"}.get(through, "system")
        works = isinstance(imported, TorchImport) and not imported.error
        severity = Severity.NOTE
        if is_older is True:
            severity = Severity.WARNING if works else Severity.ERROR
        elif is_older is None and not works:
            severity = Severity.WARNING
        told = LIBRARY_PATH_POLLUTION.found(kind, **evidence).at(severity)
        yield _mended(told, kind, torch, python)


@check(LIBRARY_PATH_POLLUTION)
def mapped_from_elsewhere(
    mapped: MappedLibraries, libraries: Libraries, torch: TorchInstall, host: Host | None, python: Python | None
) -> Iterable[Finding]:
    """What a process holds after the import, where working it out from the files did not foresee it."""
    foreseen = {library.real for library, _ in libraries.foreign(torch)}
    for library in mapped.libraries:
        known = next((c.soname for c in libraries.copies if c.family == library.family), "")
        own = libraries.own(os.path.basename(library.path), torch) or libraries.own(known, torch)
        if own is None or library.family in ("libcuda", "libnccl", "libstdc++"):
            continue
        if library.path in (own.real, own.path) or library.path in foreseen:
            continue
        if any(other.path in (own.real, own.path) for other in mapped.of(library.family)):
            continue  # torch's own is there too; the second belongs to another package
        if older(library.version, own.version) is not False:
            folder = os.path.dirname(library.path)
            kind = "path" if libraries.searches(folder) else "system"
            found = LIBRARY_PATH_POLLUTION.found(
                kind,
                soname=os.path.basename(library.path),
                folder=folder,
                through="/proc/self/maps",
                path=library.path,
                version=library.version or None,
                own=own.path,
                own_version=own.version or None,
                others="",
                set_in=_set_in(libraries, folder, host),
                torch=torch.version,
            ).at(Severity.WARNING)
            yield _mended(found, kind, torch, python)


@check(LIBRARY_PATH_POLLUTION)
def stub_driver(libraries: Libraries, driver: Driver | Missing, host: Host | None) -> Iterable[Finding]:
    """A toolkit's stub found as libcuda.so.1. Without a driver (an image being built) it does no harm."""
    for library in libraries.of("libcuda"):
        if library.stub:
            there = isinstance(driver, Driver) and bool(driver.kernel_release)
            found = LIBRARY_PATH_POLLUTION.found(
                "stub",
                path=library.path,
                through=library.through,
                folder=os.path.dirname(library.path),
                soname=library.soname,
                set_in=_set_in(libraries, os.path.dirname(library.path), host),
            ).at(Severity.ERROR if there else Severity.NOTE)
            yield _mended(found, "stub", None, None)


@check(CUDA_LIBRARY_MISSING)
def wheel_absent(
    torch: TorchInstall, packages: Packages, libraries: Libraries | None, python: Python | None
) -> Iterable[Finding]:
    """Packages that torch pins and that are not there. Where their libraries are found elsewhere, that is fragile."""
    absent = [p for p in packages.pins(torch) if p.name.startswith("nvidia-") and packages.get(p.name) is None]
    absent = [pin for pin in absent if "-nccl-" not in pin.name]
    if not absent or not torch.folder or not torch.cuda:
        return
    elsewhere = libraries is not None and bool(libraries.loads) and not _not_found(libraries)
    found = CUDA_LIBRARY_MISSING.found(
        "wheel",
        count=len(absent),
        torch=torch.version or torch.release,
        absent=", ".join(_exactly(pin) for pin in absent),
        wanted=" ".join(f"'{_exactly(pin)}'" if "*" in pin.version else _exactly(pin) for pin in absent),
    )
    mend = for_python(found.command, python, torch)
    yield found.at(Severity.WARNING if elsewhere else Severity.ERROR).mended_by(mend)


def _exactly(pin: Pin) -> str:
    return f"{pin.name}=={pin.version}"


def _not_found(libraries: Libraries) -> list[tuple[str, str]]:
    """CUDA libraries that torch needs and nobody finds, with the library that asks.

    torch itself opens those of NVIDIA's wheels before a second try, wherever on sys.path they lie.
    """
    return [
        (library.soname, library.wanted_by)
        for library in libraries.absent
        if library.soname.startswith(OF_CUDA) and libraries.copy_in(library.soname, "wheel", "torch") is None
    ]


@check(CUDA_LIBRARY_MISSING)
def payload_absent(
    packages: Packages,
    torch: TorchInstall | Missing,
    imported: TorchImport | Missing,
    python: Python | None,
) -> Iterable[Finding]:
    """Libraries that a RECORD names and that are not on disk. Images are also slimmed by removing some on purpose."""
    works = isinstance(imported, TorchImport) and not imported.error
    pinned = {pin.name for pin in packages.pins(torch)} if isinstance(torch, TorchInstall) else set()
    owners: dict[str, list[str]] = {}
    for file in packages.damaged:
        if not file.present and not os.path.basename(file.path).startswith("libnccl"):
            for owner in dict.fromkeys(file.owners):
                owners.setdefault(owner, []).append(file.path)
    for owner, paths in owners.items():
        installed = packages.get(owner)
        severity = Severity.NOTE if owner not in pinned else Severity.WARNING if works else Severity.ERROR
        found = CUDA_LIBRARY_MISSING.found(
            "payload",
            owner=owner,
            files=len(paths),
            path=paths[0],
            version=installed.version if installed else None,
        )
        own = torch if isinstance(torch, TorchInstall) else None
        yield found.at(severity).mended_by(for_python(found.command, python, own))


@check(CUDA_LIBRARY_MISSING)
def library_absent(
    libraries: Libraries,
    torch: TorchInstall,
    packages: Packages,
    imported: TorchImport | Missing,
    python: Python | None,
) -> Iterable[Finding]:
    """Libraries that torch's files ask for and ld.so will not find."""
    if isinstance(imported, TorchImport) and not imported.error:
        return
    if any(packages.get(pin.name) is None for pin in packages.pins(torch)):
        return  # said already, with the package to install
    for soname, wanted_by in _not_found(libraries):
        found = CUDA_LIBRARY_MISSING.found(soname=soname, wanted_by=wanted_by, torch=torch.version or torch.release)
        yield found.mended_by(reinstall(torch, python, dependencies=True))


@summary
def line(libraries: Libraries, torch: TorchInstall) -> tuple[Text, Mapping[str, Scalar]] | None:
    loads = [library for library in libraries.loads if library.family not in ("libstdc++", "libcuda")]
    if not loads:
        return None if torch.cuda else (Text("this torch loads none", "该 torch 不加载 CUDA 动态库"), {})
    own = sum(1 for lib in loads if (copy := libraries.own(lib.soname, torch)) and copy.real == lib.real)
    return Text("{own} of {loads} from torch's own packages", "{loads} 个中 {own} 个来自 torch 自带的软件包"), {
        "own": own,
        "loads": len(loads),
    }
