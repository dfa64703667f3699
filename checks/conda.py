"""Do conda's channels exist, and did conda choose a torch that fits this machine?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.conda import CondaConfig, Condarc
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.index import IndexProbes
from envdoctor.facts.pci import PciDevices
from envdoctor.knowledge.conda_channels import WITH_OPTION, mirror_of
from envdoctor.model import Scalar

TOPIC = Topic("conda", 320, Text("conda's channels and its choice of torch", "conda 的频道及其选择的 torch"))
SETTINGS = "https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/settings.html"

CONDA_CHANNEL_UNREACHABLE = Problem(
    code="conda-channel-unreachable",
    severity=Severity.WARNING,
    title=Text("the conda channel {url} cannot be reached", "无法访问 conda 频道 {url}"),
    why=Text(
        "one dead channel ends every `conda install`: CondaHTTPError",
        "只要有一个频道失效，所有 `conda install` 都会以 CondaHTTPError 结束",
    ),
    seen=Text("{url}/noarch/repodata.json: {outcome}\n{place}", "访问 {url}/noarch/repodata.json：{outcome}\n{place}"),
    confirm="curl -sSI --max-time 5 {url}/noarch/repodata.json",
    caused_by=("pip-proxy", "pip-ssl", "pip-index-unreachable"),
    refs=(SETTINGS,),
    situations={
        "gone": Situation(
            severity=Severity.ERROR,
            title=Text("the conda channel {url} does not exist", "conda 频道 {url} 不存在"),
        ),
    },
)


def places(config: CondaConfig, key: str) -> Iterator[tuple[Condarc, int, str, str]]:
    """Every entry of a key in all files: file, line, name (of a map's entry) and value."""
    for file in config.files:
        setting = file.setting(key)
        if setting:
            for item in setting.items:
                yield file, setting.line, "", item
            for pair in setting.pairs:
                for item in pair.items:
                    yield file, pair.line, pair.name, item


def place_of(config: CondaConfig, url: str) -> str:
    """Where a channel's address is written: "~/.condarc:3", or the names of the files."""
    for key in ("default_channels", "channels", "custom_channels", "channel_alias", "custom_multichannels"):
        for file, line, name, value in places(config, key):
            if value.rstrip("/") in (url, url.rpartition("/")[0]) and (not name or url.endswith("/" + name)):
                return f"{file.path}:{line}"
    return ", ".join(file.path for file in config.files) or "CONDA_CHANNELS"


def remedied(found: Finding, url: str, command: str) -> Finding:
    """The finding with the fix that writes the addresses of this mirror anew, or the command where it is none known."""
    mirror = mirror_of(url)
    word = next((name for name in ((mirror.id, *mirror.words) if mirror else ()) if name in WITH_OPTION), None)
    return found.fixed_by("conda-mirror", f"--{word}") if word else found.mended_by(command)


@check(CONDA_CHANNEL_UNREACHABLE)
def conda_channel_unreachable(config: CondaConfig, probes: IndexProbes) -> Iterable[Finding]:
    """404 of a channel's list is certain; a host that does not answer may be this machine's network, and where no index
    answers either, the machine may be meant to be offline."""
    offline = bool(probes.indexes) and not any(probe.reached for probe in probes.indexes)
    for probe in probes.channels:
        evidence: dict[str, Scalar] = {"url": probe.url, "place": place_of(config, probe.url)}
        where = str(evidence["place"]).rpartition(":")
        command = (
            f"${{EDITOR:-vi}} +{where[2]} {shlex.quote(where[0])}"
            if where[2].isdigit()
            else "conda config --show-sources"
        )
        if re.search(r"/([\w.-]+)/\1$", probe.url):
            continue  # conda-channel-doubled says why
        if probe.status in (404, 410):
            found = CONDA_CHANNEL_UNREACHABLE.found("gone", **evidence, outcome=f"HTTP {probe.status}")
            yield remedied(found, probe.url, command)
        elif not probe.reached:
            found = CONDA_CHANNEL_UNREACHABLE.found(**evidence, outcome=f"{probe.outcome} {probe.detail}".strip())
            found = found.at(Severity.NOTE) if offline and probe.outcome not in ("proxy", "tls") else found
            yield found.mended_by(command)


CONDA_CHANNEL_DOUBLED = Problem(
    code="conda-channel-doubled",
    severity=Severity.ERROR,
    title=Text("the address of conda channel {channel} repeats its name", "conda 频道 {channel} 的地址重复了频道名"),
    why=Text(
        "conda appends the name itself and asks for .../{channel}/{channel}, which does not exist",
        "conda 会自行追加频道名，因而请求并不存在的 .../{channel}/{channel}",
    ),
    seen=Text(
        "custom_channels at {file}:{line}: {channel}: {value}", "{file}:{line} 处的 custom_channels：{channel}：{value}"
    ),
    command="sed -i '{line}s|/{channel}/*$||' {path}",
    refs=(SETTINGS,),
)


@check(CONDA_CHANNEL_DOUBLED)
def conda_channel_doubled(config: CondaConfig) -> Iterable[Finding]:
    """An entry of custom_channels whose value already ends in the channel's name, or a channel URL with it twice."""
    for file, line, name, value in places(config, "custom_channels"):
        if name and urlsplit(value).path.rstrip("/").rpartition("/")[2] == name:
            found = CONDA_CHANNEL_DOUBLED.found(
                channel=name, value=value, file=file.path, path=shlex.quote(file.path), line=line
            )
            yield remedied(found, value, found.command or "")
    for key in ("channels", "default_channels"):
        for file, line, _, value in places(config, key):
            twice = re.search(r"/cloud/([\w.-]+)/\1/?$", value)
            if twice:
                found = CONDA_CHANNEL_DOUBLED.found(
                    channel=twice[1], value=value, file=file.path, path=shlex.quote(file.path), line=line
                )
                command = f"sed -i 's|/cloud/{twice[1]}/{twice[1]}|/cloud/{twice[1]}|' {shlex.quote(file.path)}"
                yield remedied(found, value, command)


CONDA_CPU_SOLVE = Problem(
    code="conda-cpu-solve",
    severity=Severity.ERROR,
    title=Text(
        "conda chose a CPU build of {name} on a machine with NVIDIA GPUs",
        "机器有 NVIDIA GPU，conda 却选择了 {name} 的 CPU 构建",
    ),
    why=Text(
        "torch.cuda.is_available() is False: training runs on the CPU or stops",
        "torch.cuda.is_available() 为 False：训练只能在 CPU 上进行或直接失败",
    ),
    seen=Text("{name} {version}, build {build}, from {channel}", "{name} {version}，构建 {build}，来自 {channel}"),
    command="conda install -p {prefix} --override-channels -c conda-forge 'pytorch-gpu' 'cuda-version>=12'",
    help=Text(
        "conda solves for the driver it sees: on a login node without a GPU set CONDA_OVERRIDE_CUDA=12.6 first",
        "conda 按其看到的驱动求解：在没有 GPU 的登录节点上请先设置 CONDA_OVERRIDE_CUDA=12.6",
    ),
    refs=(
        "https://conda-forge.org/docs/user/tipsandtricks/#installing-cuda-enabled-packages-like-tensorflow-and-pytorch",
    ),
    situations={
        "cpuonly": Situation(
            seen=Text(
                "{name} {version}, build {build}; the package {blocker} forces CPU builds",
                "{name} {version}，构建 {build}；软件包 {blocker} 强制使用 CPU 构建",
            ),
            command="conda remove -p {prefix} {blocker}",
        ),
    },
)


@check(CONDA_CPU_SOLVE)
def conda_cpu_solve(config: CondaConfig, pci: PciDevices | None, gpus: Gpus | None) -> Iterable[Finding]:
    """pytorch of conda with "cpu" in its build string, beside a GPU."""
    if not (pci and pci.nvidia_gpus) and not (gpus and gpus.count):
        return
    named = {package.name: package for package in config.packages}
    torch = named.get("pytorch") or named.get("libtorch")
    if torch is None or not torch.cpu:
        return
    blocker = next((name for name in ("cpuonly", "pytorch-cpu") if name in named), None)
    yield CONDA_CPU_SOLVE.found(
        "cpuonly" if blocker else None,
        name=torch.name,
        version=torch.version,
        build=torch.build,
        channel=torch.channel or "-",
        prefix=shlex.quote(config.environment),
        blocker=blocker,
    )


CONDA_NOT_ON_PATH = Problem(
    code="conda-not-on-path",
    severity=Severity.NOTE,
    title=Text("conda is installed in {folder} and not on PATH", "conda 安装在 {folder}，但不在 PATH 中"),
    why=Text(
        "`conda activate` fails in a new shell and in batch scripts",
        "在新的 shell 和批处理脚本中 `conda activate` 会失败",
    ),
    seen=Text(
        "{folder}/bin/conda exists; no start-up file holds the block of `conda init`",
        "存在 {folder}/bin/conda；没有启动文件含有 `conda init` 的代码块",
    ),
    command=". {folder}/etc/profile.d/conda.sh && conda init",
)


@check(CONDA_NOT_ON_PATH)
def conda_not_on_path(config: CondaConfig) -> Iterable[Finding]:
    """An installation in a usual place that neither PATH nor a start-up file knows."""
    if config.installations and not config.programs and not config.initialised_in:
        folder = config.installations[0]
        yield CONDA_NOT_ON_PATH.found(folder=folder).fixed_by("conda-path", "--root", folder)


@summary
def line(config: CondaConfig) -> tuple[Text, Mapping[str, Scalar]] | None:
    where = config.environment or config.root or (config.installations[0] if config.installations else "")
    values: dict[str, Scalar] = {"where": where or "-", "channels": ", ".join(config.channels)}
    if config.channels:
        return Text("{where}; channels {channels}", "{where}；频道 {channels}"), values
    return (Text("{where}", "{where}"), values) if where else None
