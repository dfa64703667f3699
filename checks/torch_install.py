"""`envdoctor fix torch`: the torch that fits driver, GPUs and Python, by the tool that keeps the environment."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from envdoctor import (
    ByHand,
    Files,
    Missing,
    Option,
    Place,
    Plan,
    Remark,
    RunCommand,
    Said,
    Text,
    Topic,
    UsageError,
    fix,
    said,
)
from envdoctor.facts.conda import CondaConfig
from envdoctor.facts.disks import Disks
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces
from envdoctor.facts.packages import Packages
from envdoctor.facts.pip import PipConfig
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchCuda, TorchImport, TorchInstall
from envdoctor.facts.uv import UvConfig
from envdoctor.knowledge import cuda_driver
from envdoctor.knowledge.chosen_torch import CPU, chosen, index_of, is_build, runs, whole
from envdoctor.knowledge.installing import (
    BUILD_TAG,
    FAMILY,
    Argv,
    in_own_environment,
    index_option,
    install_steps,
    tool,
)
from envdoctor.knowledge.prescription import COMPANIONS, Prescription, prescribe
from envdoctor.knowledge.room import shortages
from envdoctor.knowledge.verdict import Fit
from envdoctor.knowledge.versions import minor
from envdoctor.model import Scalar

TOPIC = Topic("torch", 75)

# A login node installs for those that have GPUs, so it is said and no build is changed for it.
UNSEEN = said(
    "no NVIDIA GPU is seen here: this build is for machines that have one; `--cpu` is smaller by gigabytes",
    "这里看不到 NVIDIA GPU：该版本用于有 GPU 的机器；`--cpu` 可安装小几个 GB 的 CPU 版",
)


@dataclass(frozen=True)
class Target:
    """The environment that is to hold torch.

    Attributes:
        python: its interpreter.
        installer: "pip", "uv" or "conda".
        site: the folder that packages go to, "" if unknown.
    """

    python: Python
    installer: str
    site: str


def _place(
    python: Python, torch: TorchInstall | None, pip: PipConfig | None, uv: UvConfig | None, conda: CondaConfig | None
) -> Target:
    """The tool that installed torch; where there is none yet, the environment's pip, else uv."""
    has_pip, has_uv = bool(pip and pip.pip_version), bool(uv and uv.program)
    installer = torch.installer if torch else ""
    if installer == "conda" and python.conda:
        pass
    elif installer != "conda" and has_uv and (installer == "uv" or not has_pip):
        installer = "uv"
    else:
        installer = "pip"
    folders = [folder for folder in python.isolated_path if folder.endswith("site-packages")]
    own = os.path.dirname(torch.folder or torch.leftover or torch.dist_info) if torch else ""
    return Target(python, installer, own if own in folders else folders[0] if folders else "")


def _not_here(place: Target, conda: CondaConfig | None, files: Files) -> Said | None:
    """Why nothing is installed into this environment by itself; None where nothing speaks against it."""
    python = place.python
    if python.externally_managed and place.installer != "conda":
        return said(
            "{python} belongs to the operating system (PEP 668, {marker}): torch goes into an environment of its own",
            "{python} 由操作系统管理（PEP 668，{marker}）：请把 torch 装进单独的环境",
            python=python.executable, marker=python.externally_managed,
        )  # fmt: skip
    if place.installer == "conda" and not (conda and conda.programs):
        return said(
            "conda installed torch here, and there is no conda on PATH",
            "这里的 torch 由 conda 安装，但 PATH 中没有 conda",
        )
    if python.conda and conda and python.conda in (conda.root, *conda.installations):
        return said(
            "{python} is conda's base, which conda itself runs in: torch goes into an environment of its own",
            "{python} 是 conda 的 base 环境，conda 自身在其中运行：请把 torch 装进单独的环境",
            python=python.executable,
        )
    if place.site and not files.writable(os.path.join(place.site, ".envdoctor-new")):
        return said(
            "this user may not write to {site}: torch goes into an environment of the user's own",
            "当前用户不能写入 {site}：请把 torch 装进自己的环境",
            site=place.site,
        )
    return None


def _conda_steps(fit: Fit, place: Target, conda: CondaConfig, beside: Iterable[str]) -> list[tuple[Argv, Argv]]:
    """What conda is to do, and what takes it back."""
    program = conda.programs[0].path if conda.programs else "conda"
    named = {package.name: package for package in conda.packages}
    cuda = () if fit.tag == CPU else ("pytorch-gpu", f"cuda-version={cuda_driver.cuda_of(fit.tag)}")
    wanted = (f"pytorch={fit.version}", *(("pytorch-cpu",) if fit.tag == CPU else cuda), *beside)
    prefix = ("-p", place.python.conda, "--yes")
    versions = [f"{one.name}=={one.version}={one.build}" for one in conda.packages]
    channels = dict.fromkeys(one.channel.rpartition("/")[2] or one.channel for one in conda.packages)
    undo = (
        sys.executable, "-m", "envdoctor.put_back", "--conda", program, "--prefix", place.python.conda,
        *(word for name in channels if name for word in ("--channel", name)), *versions,
    )  # fmt: skip
    steps: list[tuple[Argv, Argv]] = []
    blockers = [name for name in ("cpuonly", "pytorch-cpu") if name in named and fit.tag != CPU]
    if blockers:
        steps.append(((program, "remove", *prefix, "--force", *blockers), ()))
    steps.append(((program, "install", *prefix, "--override-channels", "-c", "conda-forge", *wanted), ()))
    return [(argv, undo if versions else ()) for argv, _ in steps]


def _put_back(place: Target, torch: TorchInstall | None, packages: Packages | None) -> Argv:
    """The command that restores the versions of now; () where they cannot be had again."""
    python = place.python
    here = [
        one for one in (packages.distributions if packages else ())
        if FAMILY.fullmatch(one.name) and (not python.isolated_path or one.folder in python.isolated_path)
    ]  # fmt: skip
    if packages is None or (torch and _not_again(torch, packages)):
        return ()
    own = next((one.version for one in here if one.name == "torch"), "")
    index = index_option(own.partition("+")[2]).split()
    by = ("--uv",) if place.installer == "uv" else ()
    versions = [f"{one.name}=={one.version}" for one in here]
    return (sys.executable, "-m", "envdoctor.put_back", "--python", python.executable, *by, *index, *versions)


def _not_again(torch: TorchInstall, packages: Packages) -> bool:
    """Whether the installed torch comes from no index: built here, editable, from a file or a URL."""
    own = packages.get("torch")
    local = torch.dist_version.partition("+")[2]
    return bool(own and own.wheel) or (bool(local) and not BUILD_TAG.fullmatch(local)) or "a0" in torch.dist_version


def _remarks(
    fit: Fit, place: Target, torch: TorchInstall | None, packages: Packages | None, disks: Disks | None, back: Argv
) -> Iterator[Remark]:
    """What a user should know who says yes."""
    if torch and packages and _not_again(torch, packages):
        yield Remark(
            said(
                "torch {version} was not installed from an index: it cannot be brought back once it is replaced",
                "torch {version} 不是从索引安装的：替换后无法恢复",
                version=torch.dist_version or torch.version,
            ),
            "warning",
        )
    elif back:
        yield Remark(
            said(
                "undo installs the versions of now again; what it needs is downloaded again",
                "撤销会重新安装当前的版本，所需文件会重新下载",
            )
        )
    if torch and torch.copies and torch.copies[0].place in ("working directory", "PYTHONPATH", "user site"):
        yield Remark(
            said(
                "training imports {folder} ({place}), which wins against what is installed here",
                "训练导入的是 {folder}（{place}），它优先于此处安装的 torch",
                folder=torch.copies[0].folder, place=torch.copies[0].place,
            ),
            "warning",
        )  # fmt: skip
    built = [
        one.name
        for one in (packages.distributions if packages else ())
        if one.torch and minor(one.torch) != minor(fit.version) and not FAMILY.fullmatch(one.name)
    ]
    if built:
        yield Remark(
            said(
                "built for another torch than {version}, and to be installed again: {names}",
                "以下软件包是为 {version} 以外的 torch 编译的，需要重新安装：{names}",
                version=fit.version, names=", ".join(built[:6]),
            ),
            "warning",
        )  # fmt: skip
    for short in shortages(disks, place.site, cuda=fit.tag != CPU):
        yield Remark(
            said(
                "{mount} has {free} GB free, and about {need} GB are needed there",
                "{mount} 剩余 {free} GB，大约需要 {need} GB",
                mount=short.mount_point, free=round(short.free / 1e9, 1), need=round(short.needs / 1e9, 1),
            ),
            "warning",
        )  # fmt: skip


def works(
    plan: Plan, torch: TorchInstall | Missing, loaded: TorchImport | Missing, cuda: TorchCuda | Missing
) -> Iterable[Said]:
    """The build that was wanted lies there, imports, and finds the GPUs."""
    if isinstance(torch, Missing):
        yield said("there is no torch", "没有 torch")
        return
    wanted = Fit(str(plan.wants["version"]), str(plan.wants["tag"]), "full")
    if wanted.version and not is_build(torch, wanted):
        yield said(
            "torch {found} is there, not {wanted}", "当前是 torch {found}，不是 {wanted}",
            found=torch.version or torch.dist_version or "-", wanted=str(wanted),
        )  # fmt: skip
    if isinstance(loaded, TorchImport) and loaded.error:
        yield said("import torch: {error}", "import torch：{error}", error=f"{loaded.error}: {loaded.message}"[:200])
    elif isinstance(loaded, Missing) and loaded.reason in ("crashed", "hung"):
        yield said("import torch: {error}", "import torch：{error}", error=loaded.reason)
    elif isinstance(cuda, TorchCuda) and plan.wants["gpus"] and not cuda.available:
        yield said(
            "torch.cuda.is_available() is False: {error}", "torch.cuda.is_available() 为 False：{error}",
            error=(cuda.error or "no reason given")[:200],
        )  # fmt: skip


def places(
    python: Python, torch: TorchInstall | Missing, host: Host | None, driver: Driver | None, gpus: Gpus | None,
    environment: Environment | None, packages: Packages | None, **options: Any,
) -> Iterable[Place]:  # fmt: skip
    """The index of a build that pip's own configuration does not lead to."""
    found = None if isinstance(torch, Missing) else torch
    told = prescribe(host, python, driver, gpus, environment, found, packages)
    asked = {name: options.get(name, "") for name in ("version", "cpu", "cuda")}
    if found and (found.installer == "conda" or (not any(asked.values()) and runs(found, told))):
        return
    fit = chosen(told, found, str(asked["version"]), bool(asked["cpu"]), str(asked["cuda"]))
    if is_build(found, fit):
        return
    machine = told.machine
    index = index_of(str(options.get("wheels_mirror", "")))
    steps = install_steps(fit, "", "pip", machine.system, machine.machine, found.release if found else "", index=index)
    if "--index-url" in steps[-1]:
        yield Place(steps[-1][steps[-1].index("--index-url") + 1])


def _silent(asked: AskedPlaces | None, removes: bool) -> Iterator[Remark]:
    """What does not answer. Raises UsageError where something would be removed before that shows."""
    for probe in asked.probes if asked else ():
        outcome = f"HTTP {probe.status}" if probe.reached else probe.outcome
        if not probe.reached or (probe.status or 0) >= 400:
            if removes:
                raise UsageError(
                    f"{probe.url} does not answer now ({outcome}), and torch would come from there: nothing is removed "
                    "before it does; --wheels-mirror nju names another place, --offline does not ask",
                    f"{probe.url} 目前没有应答（{outcome}），而 torch 要从那里下载：在其应答之前不会移除任何内容；"
                    "可用 --wheels-mirror nju 换一处下载，或用 --offline 跳过询问",
                )
            yield Remark(
                said(
                    "{url} does not answer now ({outcome}); builds for CUDA lie there only, or on a mirror of it: "
                    "--wheels-mirror nju",
                    "{url} 目前无法访问（{outcome}）；带 CUDA 标签的版本只在该处或其镜像上：--wheels-mirror nju",
                    url=probe.url, outcome=outcome,
                ),
                "warning",
            )  # fmt: skip


@fix(
    "torch",
    Text("install the torch that fits driver, GPUs and Python", "安装适合驱动、GPU 与 Python 的 torch"),
    mends=(
        "torch-missing", "torch-cpu-build", "torch-rocm-build", "driver-too-old", "driver-no-ptx-jit",
        "gpu-arch-unsupported-old", "gpu-arch-unsupported-new", "conda-cpu-solve",
    ),
    watches=("torch-leftover", "torch-shadowed", "torch-import-fails", "torch-import-crashes"),
    asks=places,
    verify=works,
    options={
        "version": Option(Text("this release, if it runs here", "指定版本，须能在本机运行"), metavar="X.Y.Z"),
        "cpu": Option(Text("the CPU build", "CPU 版")),
        "cuda": Option(
            Text("the build for this CUDA, if it runs here", "指定 CUDA 的版本，须能在本机运行"), metavar="cu126"
        ),
        "beside": Option(
            Text("torchvision, torchaudio: install these as well; those installed are matched anyway",
                 "torchvision、torchaudio：一并安装；已安装的总会一起更换"),
            metavar="NAME",
        ),
        "wheels_mirror": Option(
            Text("a mirror of PyTorch's index, for builds that only it has: nju", "使用 PyTorch 索引的镜像：nju"),
            metavar="NAME",
        ),
    },
)  # fmt: skip
def torch(
    python: Python, torch: TorchInstall | Missing, host: Host | None, driver: Driver | None, gpus: Gpus | None,
    environment: Environment | None, packages: Packages | None, pip: PipConfig | None, uv: UvConfig | None,
    conda: CondaConfig | None, disks: Disks | None, asked: AskedPlaces | None, files: Files, *, version: str = "",
    cpu: bool = False, cuda: str = "", beside: tuple[str, ...] = (), wheels_mirror: str = "",
) -> Plan:  # fmt: skip
    found = None if isinstance(torch, Missing) else torch
    told = prescribe(host, python, driver, gpus, environment, found, packages)
    names = [name for word in beside for name in word.replace(",", " ").split()]
    if odd := next((name for name in names if name not in COMPANIONS), ""):
        raise UsageError(
            f"--beside {odd}: it takes torchvision and torchaudio", f"--beside {odd}：只支持 torchvision 和 torchaudio"
        )
    wants: dict[str, Scalar] = {"version": "", "tag": "", "gpus": bool(told.seen.gpus)}
    if found and not (version or cpu or cuda) and runs(found, told):
        kept = said("torch {version} fits this machine", "torch {version} 适合本机", version=found.version)
        return Plan(title=kept, wants=wants)
    fit = chosen(told, found, version, cpu, cuda)
    wants |= {"version": fit.version, "tag": fit.tag, "gpus": bool(told.seen.gpus) and fit.tag != CPU}
    title = said("Install torch {build} in {place}", "在 {place} 中安装 torch {build}",
                 build=str(fit), place=python.prefix or python.executable)  # fmt: skip
    if is_build(found, fit):
        return Plan(title=title, wants=wants)
    place = _place(python, found, pip, uv, conda)
    also = [name for name in COMPANIONS if name in names or (packages and packages.get(name))]
    steps, back = _steps(fit, place, told, found, packages, conda, also, index_of(wheels_mirror))
    if reason := _not_here(place, conda, files):
        machine = told.machine
        elsewhere = (
            # Conda alone makes what conda installs, wherever it may be.
            " && ".join(shlex.join(argv) for argv, _ in steps)
            if place.installer == "conda"
            else in_own_environment(
                fit, python.executable, machine.system, machine.machine, also, index_of(wheels_mirror)
            )
        )
        return Plan(title=title, by_hand=(ByHand(elsewhere, reason),), wants=wants)
    return Plan(
        title=title,
        commands=tuple(RunCommand(argv, _why(argv, fit), undo) for argv, undo in steps),
        remarks=(
            *_silent(asked, removes=any(_removes(argv) for argv, _ in steps)),
            *([Remark(UNSEEN)] if not (told.seen.gpus or cuda or fit.tag == CPU) else ()),
            *_remarks(fit, place, found, packages, disks, back),
        ),
        wants=wants,
    )


def _removes(argv: Argv) -> bool:
    return "uninstall" in argv or "remove" in argv


def _why(argv: Argv, fit: Fit) -> Said:
    if _removes(argv):
        return said("removes what shares files with it or stands in its way", "移除与它共用文件或妨碍它的软件包")
    if "--force-reinstall" in argv:
        return said("puts every file of torch in place again", "重新写入 torch 的全部文件")
    return said("installs torch {build}", "安装 torch {build}", build=str(fit))


def _steps(
    fit: Fit, place: Target, told: Prescription, torch: TorchInstall | None, packages: Packages | None,
    conda: CondaConfig | None, also: list[str], index: str,
) -> tuple[list[tuple[Argv, Argv]], Argv]:  # fmt: skip
    """The commands with what takes each back, and the command that takes all of them back."""
    if place.installer == "conda":
        by_conda = _conda_steps(fit, place, conda or CondaConfig(), also)
        return by_conda, by_conda[0][1]
    argvs = install_steps(
        fit, place.python.executable, place.installer, told.machine.system, told.machine.machine,
        installed=torch.release if torch else "", nvidia=[pin.name for pin in torch.pins] if torch else (),
        beside=also, index=index,
    )  # fmt: skip
    if torch and torch.dist_info and not whole(torch):
        # Where its metadata is left, pip calls it installed, whatever else is gone.
        words = [word for word in argvs[-1] if word.startswith(("torch==", "--index-url", "http"))]
        again = tool(place.installer, place.python.executable, "install", "--force-reinstall", "--no-deps", *words)
        argvs = (*argvs, again)
    back = _put_back(place, torch, packages)
    # Whichever step is taken back first puts everything in place: the others then find nothing to do.
    return [(argv, back) for argv in argvs], back
