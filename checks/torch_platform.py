"""Is there a torch for this Python and platform?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import torch_builds
from envdoctor.knowledge.prescription import prescribe
from envdoctor.knowledge.torch_builds import Release
from envdoctor.knowledge.verdict import Machine, machine_of, span_text, which_torch
from envdoctor.knowledge.versions import minor
from envdoctor.model import Missing, Scalar, Why

TOPIC = Topic("torch", 68, Text("a torch for this Python and platform", "适用于此 Python 与平台的 torch"))

# Feature releases that a Python may lag behind before it is worth a note.
LAGS = 3
PREVIOUS_VERSIONS = "https://pytorch.org/get-started/previous-versions/"

PYTHON_UNSUPPORTED = Problem(
    code="python-unsupported",
    severity=Severity.ERROR,
    title=Text(
        "torch has no wheel for {python} on {platform}",
        "torch 没有适用于 {platform} 上 {python} 的软件包",
    ),
    why=Text(
        "`pip install torch` finds no matching distribution",
        "`pip install torch` 找不到匹配的版本",
    ),
    seen=Text(
        "{python} ({executable}); torch {newest} has wheels for Python {pythons}",
        "{python}（{executable}）；torch {newest} 提供 Python {pythons} 的软件包",
    ),
    help=Text(
        "make an environment with Python {suited}: `conda create -n torch python={suited}`, "
        "`uv venv --python {suited}` or the system's python{suited}",
        "请用 Python {suited} 新建环境：`conda create -n torch python={suited}`、`uv venv --python {suited}` 或系统的 "
        "python{suited}",
    ),
    confirm="python -m pip debug --verbose",
    refs=(PREVIOUS_VERSIONS,),
    situations={
        "installed": Situation(
            why=Text(
                "the torch that is installed comes from elsewhere; pip cannot install or upgrade it",
                "已安装的 torch 来自其他来源；pip 无法安装或升级它",
            ),
            severity=Severity.NOTE,
        ),
        "machine": Situation(
            title=Text(
                "no torch that fits these GPUs and this driver has a wheel for {python}",
                "适合这些 GPU 与本驱动的 torch 都没有 {python} 的软件包",
            ),
            why=Text(
                "whatever torch pip finds for this Python cannot use the GPUs",
                "pip 能为此 Python 找到的 torch 都用不了这些 GPU",
            ),
        ),
        "behind": Situation(
            title=Text(
                "the newest torch for {python} is {newest_here}, from {date}",
                "支持 {python} 的最新 torch 是 {newest_here}（{date} 发布）",
            ),
            why=Text(
                "pip installs that release, and fixes of later ones never arrive",
                "pip 只会安装该版本，后续版本的修复都用不上",
            ),
            severity=Severity.NOTE,
        ),
    },
)

PLATFORM_UNSUPPORTED = Problem(
    code="platform-unsupported",
    severity=Severity.ERROR,
    title=Text("PyTorch publishes no wheels for {platform}", "PyTorch 不提供 {platform} 的软件包"),
    why=Text("`pip install torch` finds no matching distribution", "`pip install torch` 找不到匹配的版本"),
    seen=Text("{system} on {machine} ({source})", "系统 {system}，处理器 {machine}（{source}）"),
    help=Text(
        "take it from where this platform gets it: the distribution, conda-forge, the machine's maker; or build it",
        "请从该平台自己的渠道获取（发行版、conda-forge 或机器厂商），或自行编译",
    ),
    confirm="python -m pip debug --verbose",
    refs=(PREVIOUS_VERSIONS,),
    situations={
        "musl": Situation(
            title=Text(
                "PyTorch publishes no wheels for musl, the C library here",
                "PyTorch 不提供适用于 musl（本机的 C 库）的软件包",
            ),
            help=Text(
                "use an image with glibc, such as debian or ubuntu instead of alpine",
                "请改用基于 glibc 的镜像，例如以 debian 或 ubuntu 代替 alpine",
            ),
        ),
        "intel-mac": Situation(
            title=Text(
                "{newest} is the last torch for Macs with an Intel processor",
                "{newest} 是支持 Intel 处理器 Mac 的最后一个 torch",
            ),
            why=Text(
                "newer releases of torch cannot be installed here",
                "更新的 torch 无法在本机安装",
            ),
            help=Text(
                "it needs Python {pythons}; newer torch for this Mac comes from conda-forge only",
                "它要求 Python {pythons}；更新的版本只能从 conda-forge 获得",
            ),
        ),
    },
)


def _with_wheels(machine: Machine) -> tuple[Release, ...]:
    """The releases that have any wheel for the platform and the Python, CPU builds included, the newest first."""
    found = []
    for release in torch_builds.releases():
        span = release.pythons(machine.system, machine.machine)
        if span and machine.free_threaded:
            span = release.free_threaded
        if release.default and torch_builds.python_holds(span, machine.python):
            found.append(release)
    return tuple(found)


def _for_platform(machine: Machine) -> tuple[Release, ...]:
    return tuple(release for release in torch_builds.releases() if release.pythons(machine.system, machine.machine))


def _name(python: Python, machine: Machine) -> str:
    kind = "Python" if python.implementation == "cpython" else python.implementation
    return f"{kind} {span_text('.'.join(map(str, machine.python)), machine.free_threaded)}"


def _suited(release: Release, machine: Machine) -> str:
    """A Python for which a release has wheels: 3.12, which most packages support, or the last there is."""
    span = release.pythons(machine.system, machine.machine)
    return "3.12" if torch_builds.python_holds(span, (3, 12)) else span.rpartition("-")[2]


@check(PYTHON_UNSUPPORTED)
def python_unsupported(
    python: Python,
    host: Host,
    torch: TorchInstall | Missing,
    driver: Driver | None,
    gpus: Gpus | None,
    environment: Environment | None,
) -> Iterable[Finding]:
    """No wheel for this Python: at all, or none that fits the GPUs, or none for the last few releases."""
    if isinstance(torch, Missing) and torch.reason != Why.NOT_HERE.value:
        return
    absent = isinstance(torch, Missing)
    if not absent and not python.executable:
        return  # somebody's report of a torch that runs there
    told = prescribe(host, python, driver, gpus, environment)
    machine, on_platform = told.machine, _for_platform(told.machine)
    if machine.python == (0, 0) or machine.glibc == "" or not on_platform:
        return
    here = _with_wheels(machine) if python.implementation == "cpython" else ()
    newest = on_platform[0]
    evidence: dict[str, Scalar] = {
        "python": _name(python, machine),
        "executable": python.executable or None,
        "platform": f"{machine.system} {machine.machine}",
        "newest": newest.version,
        "pythons": newest.pythons(machine.system, machine.machine),
        "suited": _suited(newest, machine),
    }
    if not here:
        yield PYTHON_UNSUPPORTED.found(None if absent else "installed", **evidence)
        return
    # What the machine could run with another Python.
    else_best = which_torch(replace(machine, python=(0, 0), free_threaded=False)).best
    fitting = torch_builds.release(else_best.version) if else_best else None
    if told.seen.gpus and told.seen.certain and told.verdict.best is None and fitting:
        evidence |= {
            "newest": fitting.version,
            "pythons": fitting.pythons(machine.system, machine.machine),
            "suited": _suited(fitting, machine),
        }
        found = PYTHON_UNSUPPORTED.found("machine", **evidence)
        # A torch of somebody else's make may well know these GPUs.
        known = isinstance(torch, Missing) or torch_builds.official_tag(torch.version) or torch.version.endswith("+cpu")
        yield found if known else found.at(Severity.NOTE)
        return
    later = {minor(release.version) for release in on_platform} - {minor(release.version) for release in here}
    if len([version for version in later if version > minor(here[0].version)]) >= LAGS:
        yield PYTHON_UNSUPPORTED.found("behind", **evidence, newest_here=here[0].version, date=here[0].date)


@check(PLATFORM_UNSUPPORTED)
def platform_unsupported(host: Host, python: Python | None, torch: TorchInstall | Missing) -> Iterable[Finding]:
    """Linux on x86_64 or aarch64 with glibc, Windows on x86_64, macOS on Apple silicon have wheels of each release."""
    absent = isinstance(torch, Missing) and torch.reason == Why.NOT_HERE.value
    machine = machine_of(host, python, None)
    known = _for_platform(machine)
    evidence: dict[str, Scalar] = {
        "platform": f"{machine.system} {machine.machine}",
        "system": f"{host.distribution or host.system} {host.distribution_version}".strip(),
        "machine": machine.machine,
        "source": "platform.machine()",
    }
    if machine.glibc == "":
        found = PLATFORM_UNSUPPORTED.found("musl", **evidence)
    elif not known and machine.system in ("linux", "macos"):
        found = PLATFORM_UNSUPPORTED.found(**evidence)
    elif known and minor(known[0].version) < minor(torch_builds.releases()[0].version):
        span = known[0].pythons(machine.system, machine.machine)
        evidence |= {"newest": known[0].version, "pythons": span}
        found = PLATFORM_UNSUPPORTED.found("intel-mac", **evidence)
        absent = absent and machine.python != (0, 0) and not torch_builds.python_holds(span, machine.python)
    else:
        return
    yield found if absent else found.at(Severity.NOTE)
