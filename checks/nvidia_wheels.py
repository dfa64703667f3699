"""Are NVIDIA's wheels the ones torch asks for, each with its own files on disk?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.libraries import older
from envdoctor.facts.packages import Packages, fits
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.installing import for_python
from envdoctor.model import Scalar

TOPIC = Topic("packages", 82, Text("NVIDIA's wheels beside torch", "torch 所用的 NVIDIA 软件包"))

NVIDIA_WHEEL_CONFLICT = Problem(
    code="nvidia-wheel-conflict",
    severity=Severity.ERROR,
    title=Text(
        "{owners} own the same files ({files}); on disk are those of {belongs_to}, torch needs those of {winner}",
        "{owners} 占有同样的文件（{files} 个）；磁盘上的属于 {belongs_to}，而 torch 需要 {winner} 的",
    ),
    why=Text(
        "libraries of another build are loaded: undefined symbols at import, or crashes later",
        "加载的是另一构建的动态库：导入时出现未定义符号，或之后崩溃",
    ),
    seen=Text(
        "{path}: the size and digest are those in the RECORD of {belongs_to}",
        "{path}：大小与摘要与 {belongs_to} 的 RECORD 一致",
    ),
    command="pip uninstall -y {losers} && pip install --force-reinstall --no-deps {winner}=={version}",
    confirm="pip show -f {winner}",
    refs=("https://github.com/pytorch/pytorch/issues/186591",),
    situations={
        "right": Situation(
            severity=Severity.WARNING,
            title=Text(
                "{owners} own the same files ({files}); those on disk are the right ones by luck",
                "{owners} 占有同样的文件（{files} 个）；磁盘上的恰好是正确的",
            ),
            why=Text(
                "the order of installation decided it; the next upgrade, or removing one of them, breaks the other",
                "这取决于安装顺序；下次升级或卸载其中之一，另一个就会损坏",
            ),
            seen=Text("{path}: belongs to {belongs_to}", "{path}：属于 {belongs_to}"),
        ),
        "unsettled": Situation(
            severity=Severity.WARNING,
            title=Text("{owners} own the same files ({files})", "{owners} 占有同样的文件（{files} 个）"),
            seen=Text(
                "{path}: claimed by the RECORD of each; whose it is was not settled",
                "{path}：各自的 RECORD 均声明占有；尚不能确定属于谁",
            ),
        ),
    },
)

NVIDIA_WHEEL_PIN = Problem(
    code="nvidia-wheel-pin",
    severity=Severity.WARNING,
    title=Text(
        "{count} of the packages that torch {torch} pins {count:has|have} another version",
        "torch {torch} 所固定的软件包中有 {count} 个版本不符",
    ),
    why=Text(
        "torch was built and tested with the pinned ones: undefined symbols or wrong results may follow",
        "torch 是以所固定的版本构建并测试的：可能出现未定义符号或结果错误",
    ),
    seen=Text("installed: {installed}\npinned: {pinned}{asked}", "已安装：{installed}\n应为：{pinned}{asked}"),
    command="pip install --no-deps {wanted}",
    confirm="pip check",
    caused_by=("torch-shadowed",),
)


@check(NVIDIA_WHEEL_CONFLICT)
def nvidia_wheel_conflict(torch: TorchInstall, packages: Packages, python: Python | None) -> Iterable[Finding]:
    """Files that several distributions claim; torch's pins say whose they should be."""
    pins = {pin.name: pin.version for pin in packages.pins(torch)}
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, file in enumerate(packages.damaged):
        if file.present and len(set(file.owners)) > 1:
            groups.setdefault(tuple(sorted(set(file.owners))), []).append(index)
    for owners, indices in groups.items():
        # A file that is not the winner's says more than one that is.
        files = [packages.damaged[index] for index in indices]
        winner = next((owner for owner in owners if owner in pins), "")
        file = next((f for f in files if f.belongs_to and f.belongs_to != winner), files[0])
        keep = winner or file.belongs_to or owners[-1]
        installed = packages.get(keep)
        evidence: dict[str, Scalar] = {
            "owners": ", ".join(owners),
            "files": len(files),
            "belongs_to": file.belongs_to or None,
            "path": file.path,
            "winner": keep,
            "losers": " ".join(owner for owner in owners if owner != keep),
            "version": pins[keep] if "*" not in pins.get(keep, "*") else installed.version if installed else "",
        }
        if not winner:
            # This torch needs none of them; what does need them is not known.
            found = NVIDIA_WHEEL_CONFLICT.found("unsettled", **evidence).at(Severity.NOTE)
        elif not file.belongs_to:
            found = NVIDIA_WHEEL_CONFLICT.found("unsettled", **evidence)
        elif file.belongs_to == winner:
            found = NVIDIA_WHEEL_CONFLICT.found("right", **evidence)
        else:
            other = packages.get(file.belongs_to)
            # NCCL's symbols only ever grow, and it carries its CUDA runtime inside.
            newer = "-nccl-" in winner and other is not None and older(other.version, pins[winner]) is False
            found = NVIDIA_WHEEL_CONFLICT.found(**evidence).at(Severity.WARNING if newer else Severity.ERROR)
        yield found.mended_by(for_python(found.command, python, torch))


@check(NVIDIA_WHEEL_PIN)
def nvidia_wheel_pin(torch: TorchInstall, packages: Packages, python: Python | None) -> Iterable[Finding]:
    """Installed, but at another version. One that is absent altogether is `cuda-library-missing`."""
    wrong = []
    for pin in packages.pins(torch):
        installed = packages.get(pin.name)
        if installed is not None and not fits(installed.version, pin.version):
            wrong.append((installed, pin))
    if not wrong:
        return
    asking = []
    for installed, _ in wrong:
        for package in packages.distributions:
            wants = package.requirement(installed.name)
            if package.name != "torch" and wants.startswith("==") and fits(installed.version, wants[2:]):
                asking.append(f"{package.name} {package.version} -> {installed.name}{wants}")
    # A newer NCCL is compatible and often installed on purpose.
    harmless = all("-nccl-" in pin.name and older(own.version, pin.version) is False for own, pin in wrong)
    found = NVIDIA_WHEEL_PIN.found(
        count=len(wrong),
        torch=torch.version or torch.release,
        installed=", ".join(f"{own.name} {own.version}" for own, _ in wrong),
        pinned=", ".join(f"{pin.name} {pin.version}" for _, pin in wrong),
        asked=f" ({'; '.join(asking)})" if asking else "",
        wanted=" ".join(f"'{pin.name}=={pin.version}'" if "*" in pin.version else f"{pin.name}=={pin.version}"
                        for _, pin in wrong),
    )  # fmt: skip
    mend = for_python(found.command, python, torch)
    yield found.at(Severity.NOTE if harmless else Severity.WARNING).mended_by(mend)


@summary
def line(torch: TorchInstall, packages: Packages) -> tuple[Text, Mapping[str, Scalar]] | None:
    pins = packages.pins(torch)
    if not pins:
        return Text("torch pins none", "torch 未固定任何软件包"), {}
    fitting = sum(1 for pin in pins if (found := packages.get(pin.name)) and fits(found.version, pin.version))
    return Text("{fitting} of {pinned} as torch pins them", "{pinned} 个固定版本中 {fitting} 个相符"), {
        "fitting": fitting,
        "pinned": len(pins),
    }
