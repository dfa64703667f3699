"""Is the NCCL that torch loads the one it was built for?"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.libraries import Libraries, MappedLibraries, MappedLibrary, older, same
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.knowledge.installing import for_python, reinstall
from envdoctor.model import Missing, Scalar

TOPIC = Topic("libraries", 86, Text("the NCCL library that torch loads", "torch 加载的 NCCL 动态库"))

NCCL_LIBRARY_CONFLICT = Problem(
    code="nccl-library-conflict",
    severity=Severity.ERROR,
    title=Text(
        "NCCL {version} is loaded from {folder}, not the {own_version} that came with torch",
        "加载的是 {folder} 中的 NCCL {version}，而不是 torch 附带的 {own_version}",
    ),
    why=Text(
        "an older NCCL lacks functions that torch calls (`undefined symbol: ncclCommWindowRegister`); nodes with "
        "different ones do not talk to each other",
        "较旧的 NCCL 缺少 torch 调用的函数（`undefined symbol: ncclCommWindowRegister`）；NCCL 不同的节点之间无法通信",
    ),
    seen=Text(
        "{path} {version}, through {through}; torch's own: {own} {own_version}",
        "{path} {version}，经由 {through}；torch 自带：{own} {own_version}",
    ),
    confirm="NCCL_DEBUG=VERSION; python -c 'import torch; print(open(\"/proc/self/maps\").read())' | grep libnccl",
    caused_by=("nvidia-wheel-conflict", "nvidia-wheel-pin", "library-path-pollution"),
    situations={
        "path": Situation(
            command="unset LD_LIBRARY_PATH",
            help=Text(
                "take the folder out of LD_LIBRARY_PATH where it is set ({set_in})",
                "请在设置 LD_LIBRARY_PATH 处（{set_in}）去掉该目录",
            ),
        ),
        "preload": Situation(command="unset LD_PRELOAD"),
        "system": Situation(command="pip install --force-reinstall --no-deps {wheel}=={own_version}"),
        "overwritten": Situation(
            title=Text(
                "the libnccl of {wheel} says it is {version}, the package says {own_version}",
                "{wheel} 的 libnccl 自称 {version}，而软件包为 {own_version}",
            ),
            why=Text(
                "another package or a copied file has overwritten it: functions that torch calls may be missing",
                "它已被其他软件包或手工复制的文件覆盖：torch 调用的函数可能缺失",
            ),
            seen=Text("{path}: ncclGetVersion {version}", "{path}：ncclGetVersion 返回 {version}"),
            command="pip install --force-reinstall --no-deps {wheel}=={own_version}",
        ),
    },
)

NCCL_LIBRARY_MISSING = Problem(
    code="nccl-library-missing",
    severity=Severity.ERROR,
    title=Text("torch's libnccl is not there", "缺少 torch 所需的 libnccl"),
    why=Text(
        "importing torch fails: `libnccl.so.2: cannot open shared object file`",
        "导入 torch 会失败：`libnccl.so.2: cannot open shared object file`",
    ),
    seen=Text("needed by {wanted_by}, found nowhere", "{wanted_by} 需要它，但到处都找不到"),
    command="pip install --force-reinstall torch=={torch}",
    confirm="python -c 'import torch; print(torch.cuda.nccl.version())'",
    caused_by=("nvidia-wheel-conflict", "torch-leftover"),
    situations={
        "wheel": Situation(
            title=Text(
                "{wheel}, which torch {torch} requires, is not installed", "torch {torch} 所需的 {wheel} 未安装"
            ),
            seen=Text("torch requires {wheel}=={pin}", "torch 要求 {wheel}=={pin}"),
            command="pip install --no-deps {wheel}=={pin}",
        ),
        "payload": Situation(
            title=Text("{wheel} is installed, its library is gone", "已安装 {wheel}，但其动态库不见了"),
            seen=Text("absent: {path}", "缺失：{path}"),
            help=Text(
                "removing another nvidia-nccl package, which owned the same file, deleted it; to pip all is well",
                "卸载占有同一文件的另一个 nvidia-nccl 软件包时被一并删除；pip 却认为一切正常",
            ),
            command="pip install --force-reinstall --no-deps {wheel}=={pin}",
        ),
    },
)


def _wheel(packages: Packages | None, torch: TorchInstall) -> Distribution | None:
    """The nvidia-nccl distribution that torch pins, else the only one there is."""
    if packages is None:
        return None
    pinned = [pin.name for pin in torch.pins if pin.name.startswith("nvidia-nccl-")]
    found = [package for package in packages.distributions if package.name.startswith("nvidia-nccl-")]
    return next((p for p in found if p.name in pinned), found[0] if len(found) == 1 else None)


@check(NCCL_LIBRARY_CONFLICT)
def nccl_library_conflict(
    libraries: Libraries,
    torch: TorchInstall,
    mapped: MappedLibraries | Missing,
    imported: TorchImport | Missing,
    packages: Packages | None,
    python: Python | None,
) -> Iterable[Finding]:
    """What is mapped after the import; without that, what ld.so would find. A newer one is worth knowing only."""
    own = libraries.own("libnccl.so.2", torch)
    if own is None:
        return
    wheel = _wheel(packages, torch)
    own_version = own.version or (wheel.version if wheel else "")
    works = isinstance(imported, TorchImport) and not imported.error
    loaded = mapped.of("libnccl") if isinstance(mapped, MappedLibraries) else ()
    through = {library.real: library.through for library in libraries.of("libnccl")}
    if not loaded:
        loaded = tuple(MappedLibrary("libnccl", lib.real, lib.version) for lib in libraries.of("libnccl"))
    for library in loaded:
        at_home = library.path in (own.real, own.path)
        # What lies in its own place is only at fault where it contradicts the package it came with.
        if same(library.version, own_version) is True or (at_home and not (library.asked and own_version)):
            continue
        folder = os.path.dirname(library.path)
        found_through = through.get(library.path, "/proc/self/maps")
        by_place = "path" if libraries.searches(folder) else "system"
        kind = {"LD_LIBRARY_PATH": "path", "preload": "preload"}.get(found_through, by_place)
        evidence: dict[str, Scalar] = {
            "path": library.path,
            "folder": folder,
            "version": library.version or None,
            "through": found_through,
            "own": own.path,
            "own_version": own_version or None,
            "wheel": wheel.name if wheel else "nvidia-nccl",
            "set_in": libraries.set_in(folder) or None,
        }
        is_older = older(library.version, own_version)
        severity = Severity.NOTE
        if is_older is True:
            severity = Severity.WARNING if works else Severity.ERROR
        elif is_older is None:
            severity = Severity.WARNING
        found = NCCL_LIBRARY_CONFLICT.found("overwritten" if at_home else kind, **evidence).at(severity)
        yield found.mended_by(for_python(found.command, python, torch))


@check(NCCL_LIBRARY_MISSING)
def nccl_library_missing(
    torch: TorchInstall,
    packages: Packages,
    libraries: Libraries | None,
    imported: TorchImport | Missing,
    python: Python | None,
) -> Iterable[Finding]:
    """The pinned package absent, its file gone, or a libnccl that torch asks for and nobody finds."""
    if not torch.folder or not torch.cuda or (isinstance(imported, TorchImport) and not imported.error):
        return
    told = torch.version or torch.release
    pin = next((pin for pin in packages.pins(torch) if pin.name.startswith("nvidia-nccl-")), None)
    gone = next(
        (f for f in packages.damaged if not f.present and os.path.basename(f.path).startswith("libnccl.")), None
    )
    absent = next((lib for lib in (libraries.absent if libraries else ()) if lib.soname.startswith("libnccl.")), None)
    elsewhere = bool(libraries and libraries.of("libnccl"))
    severity = Severity.WARNING if elsewhere else Severity.ERROR
    if pin and packages.get(pin.name) is None:
        found = NCCL_LIBRARY_MISSING.found("wheel", wheel=pin.name, pin=pin.version, torch=told)
        yield found.at(severity).mended_by(for_python(found.command, python, torch))
    elif gone:
        owner = pin.name if pin and pin.name in gone.owners else gone.owners[0]
        installed = packages.get(owner)
        version = pin.version if pin and pin.name == owner else installed.version if installed else None
        found = NCCL_LIBRARY_MISSING.found("payload", wheel=owner, pin=version, path=gone.path, torch=told)
        yield found.at(severity).mended_by(for_python(found.command, python, torch))
    elif absent and libraries and libraries.copy_in(absent.soname, "wheel", "torch") is None:
        found = NCCL_LIBRARY_MISSING.found(wanted_by=absent.wanted_by, torch=told)
        yield found.mended_by(reinstall(torch, python, dependencies=True))


@summary
def line(
    torch: TorchInstall, libraries: Libraries, mapped: MappedLibraries | None, packages: Packages | None
) -> tuple[Text, Mapping[str, Scalar]] | None:
    loaded = mapped.of("libnccl") if mapped else ()
    if loaded:
        return Text("{version}, {path}", "{version}，{path}"), {"version": loaded[0].version, "path": loaded[0].path}
    wheel = _wheel(packages, torch)
    if wheel:
        return Text("{name} {version}", "{name} {version}"), {"name": wheel.name, "version": wheel.version}
    return None if torch.cuda else (Text("this torch has none", "该 torch 不含 NCCL"), {})
