"""May pip use the places its packages come from, and do they fit this machine?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.index import IndexProbes
from envdoctor.facts.names import NameResolution
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.pip import PipConfig, PipValue, host_of
from envdoctor.facts.pip_rules import is_plain, is_private, put, trusts, unset
from envdoctor.facts.python import Python, name_of
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import mirrors, other_index
from envdoctor.knowledge.chosen_index import asks

TOPIC = Topic("pip", 304, Text("the places packages come from", "软件包的来源"))
# PyTorch's folder of builds without CUDA, at the origin and at mirrors of it.
CPU_INDEX = re.compile(r"/(?:whl|pytorch-wheels|torch-wheels)/cpu\b", re.I)


def sources(config: PipConfig, options: tuple[str, ...]) -> Iterator[tuple[str, str, PipValue]]:
    """Every URL in effect for `pip install`: option, URL, where it is written."""
    asked = {value: url for url, value in config.indexes()}
    for option in options:
        value = config.winner(option)
        if value and (option == "find-links" or value in asked):
            for url in (value.value,) if option == "index-url" else value.items:
                yield option, url, value


def trusted(config: PipConfig) -> tuple[str, ...]:
    value = config.winner("trusted-host")
    return value.items if value else ()


def without(config: PipConfig, value: PipValue, gone: Iterable[str], python: Python | None) -> str:
    """The command that takes entries out of a value, or the value away where nothing is left."""
    kept = " ".join(item for item in value.items if item not in gone)
    return put(config, value, value.key, kept, name_of(python)) if kept else unset(config, value, name_of(python))


def secure_address(url: str) -> str:
    """A known mirror's address over https, empty where it is not known to have one."""
    mirror = mirrors.pypi_mirror(url)
    return mirror.index_url if mirror and mirror.index_url.startswith("https:") else ""


@dataclass(frozen=True)
class Remedies:
    """How the findings about one place are mended, so that all of them say the same.

    Attributes:
        probes, resolution: what the place answered, where it was asked.
    """

    config: PipConfig
    python: Python | None
    probes: IndexProbes | None = None
    resolution: NameResolution | None = None

    def fails(self, finding: Finding, option: str, value: PipValue, url: str) -> Finding | None:
        """The finding about a place that is to be replaced anyway, mended by that; None for one that may stay."""
        if option == "index-url":
            better = other_index.instead_of(url, self.probes, self.resolution)
            return asks(finding, self.config, better, name_of(self.python)) if better else None
        mirror = mirrors.pypi_mirror(url)
        if mirror and mirror.status == "dead":
            return finding.mended_by(without(self.config, value, [url], self.python))
        return None

    def at(self, finding: Finding, option: str, value: PipValue, url: str, better: str) -> Finding:
        """The finding, mended by the same place at another address: by the fix where it is the index."""
        if option == "index-url":
            return asks(finding, self.config, better, name_of(self.python))
        new = value.value.replace(url, better)
        return finding.mended_by(put(self.config, value, option, new, name_of(self.python)))


PIP_UNTRUSTED_HOST = Problem(
    code="pip-untrusted-host",
    severity=Severity.ERROR,
    title=Text("pip ignores {url}: plain HTTP, and not a trusted host", "pip 忽略 {url}：明文 HTTP，且不是受信任主机"),
    why=Text("packages that are only there are not found", "只在该处提供的包将无法找到"),
    seen=Text(
        "{option} at {place}: {url}\ntrusted-host: {trusted}", "{place} 处的 {option}：{url}\ntrusted-host：{trusted}"
    ),
    help=Text(
        "trusted-host takes a bare host name: the one written as a URL matches nothing",
        "trusted-host 只接受主机名：写成 URL 不会匹配任何主机",
    ),
    refs=("https://pip.pypa.io/en/stable/cli/pip/#cmdoption-trusted-host",),
    situations={
        "plain": Situation(help=Text("use https where the host offers it", "若主机支持，请改用 https")),
    },
)


@check(PIP_UNTRUSTED_HOST)
def pip_untrusted_host(
    config: PipConfig, python: Python | None, probes: IndexProbes | None, resolution: NameResolution | None
) -> Iterable[Finding]:
    """An http:// index, extra index or find-links page that trusted-host does not name."""
    hosts, remedies = trusted(config), Remedies(config, python, probes, resolution)
    for option, url, value in sources(config, ("index-url", "extra-index-url", "find-links")):
        if not is_plain(url) or trusts(url, hosts):
            continue
        as_url = any(host_of(entry) == host_of(url) for entry in hosts if "://" in entry)
        finding = PIP_UNTRUSTED_HOST.found(
            None if as_url else "plain", url=url, option=option, place=value.place, trusted=" ".join(hosts) or "-"
        )
        if replaced := remedies.fails(finding, option, value, url):
            finding = replaced
        elif better := secure_address(url):
            finding = remedies.at(finding, option, value, url, better)
        else:
            kept = (*(entry for entry in hosts if host_of(entry) != host_of(url)), host_of(url))
            new = put(config, config.winner("trusted-host"), "trusted-host", " ".join(kept), name_of(python))
            finding = finding.mended_by(new)
        # pip goes on with the other places, with a warning, where an additional one is not trusted.
        yield finding if option == "index-url" else finding.at(Severity.WARNING)


PIP_INDEX_PLAIN_HTTP = Problem(
    code="pip-index-plain-http",
    severity=Severity.WARNING,
    title=Text("pip downloads over plain HTTP from {host}", "pip 以明文 HTTP 从 {host} 下载"),
    why=Text("anyone on the path can replace a package", "链路上的任何人都可以替换软件包"),
    seen=Text("{option} at {place}: {url}", "{place} 处的 {option}：{url}"),
)


@check(PIP_INDEX_PLAIN_HTTP)
def pip_index_plain_http(
    config: PipConfig, python: Python | None, probes: IndexProbes | None, resolution: NameResolution | None
) -> Iterable[Finding]:
    """A trusted http:// place; worth a note where the host belongs to a private network or a cloud's own one."""
    hosts, remedies = trusted(config), Remedies(config, python, probes, resolution)
    for option, url, value in sources(config, ("index-url", "extra-index-url", "find-links")):
        if not is_plain(url) or not trusts(url, hosts):
            continue
        mirror = mirrors.pypi_mirror(url)
        finding = PIP_INDEX_PLAIN_HTTP.found(host=host_of(url), option=option, place=value.place, url=url)
        near = is_private(url) or bool(mirror and mirror.intranet)
        better = secure_address(url) or url.replace("http", "https", 1)
        mended = remedies.fails(finding, option, value, url) or remedies.at(finding, option, value, url, better)
        yield finding.at(Severity.NOTE) if near else mended


PIP_INSECURE_TRUSTED_HOST = Problem(
    code="pip-insecure-trusted-host",
    severity=Severity.WARNING,
    title=Text("trusted-host turns off certificate checks for {host}", "trusted-host 关闭了对 {host} 的证书校验"),
    why=Text(
        "anyone on the path can replace a package, and pip does not cache what comes from there",
        "链路上的任何人都可以替换软件包，且 pip 不缓存来自该处的内容",
    ),
    seen=Text("trusted-host at {place}: {host}\n{url} is https", "{place} 处的 trusted-host：{host}\n{url} 是 https"),
    help=Text(
        "only plain HTTP needs trusted-host; for a private certificate authority set global.cert",
        "只有明文 HTTP 才需要 trusted-host；若使用私有 CA，请设置 global.cert",
    ),
)


@check(PIP_INSECURE_TRUSTED_HOST)
def pip_insecure_trusted_host(
    config: PipConfig, python: Python | None, probes: IndexProbes | None, resolution: NameResolution | None
) -> Iterable[Finding]:
    """An https place in effect whose host is trusted, where a check of its certificate would do."""
    value = config.winner("trusted-host")
    if value is None:
        return
    remedies, told = Remedies(config, python, probes, resolution), set()
    for option, url, place in sources(config, ("index-url", "extra-index-url", "find-links")):
        if not url.lower().startswith("https:") or not trusts(url, value.items) or host_of(url) in told:
            continue
        told.add(host_of(url))
        finding = PIP_INSECURE_TRUSTED_HOST.found(host=host_of(url), place=value.place, url=url)
        command = without(config, value, [entry for entry in value.items if trusts(url, (entry,))], python)
        # No file takes back what a variable trusts.
        if not value.variable and (replaced := remedies.fails(finding, option, place, url)):
            finding = replaced
        elif option == "index-url" and not value.variable and secure_address(url).rstrip("/") == url.rstrip("/"):
            by_fix = asks(finding, config, secure_address(url), name_of(python))
            finding = by_fix if by_fix.fix else finding.mended_by(command)
        else:
            finding = finding.mended_by(command)
        yield finding.at(Severity.NOTE) if is_private(url) else finding


PIP_CPU_INDEX = Problem(
    code="pip-cpu-index",
    severity=Severity.ERROR,
    title=Text(
        "pip takes torch from a CPU index, and this machine has NVIDIA GPUs ({gpus})",
        "机器有 {gpus} 块 NVIDIA GPU，而 pip 从 CPU 索引安装 torch",
    ),
    why=Text(
        "`pip install torch` brings a build without CUDA: its version ends in +cpu and ranks above the plain one",
        "`pip install torch` 会装上不含 CUDA 的构建：其版本以 +cpu 结尾，排序高于普通版本",
    ),
    seen=Text("{option} at {place}: {url}", "{place} 处的 {option}：{url}"),
    refs=("https://pytorch.org/get-started/locally/",),
)


@check(PIP_CPU_INDEX)
def pip_cpu_index(
    config: PipConfig, pci: PciDevices | None, gpus: Gpus | None, torch: TorchInstall | None, python: Python | None
) -> Iterable[Finding]:
    """PyTorch's folder of CPU builds among the places in effect; a warning once a CUDA build is installed."""
    count = max(len(pci.nvidia_gpus) if pci else 0, gpus.count if gpus else 0)
    if not count:
        return
    for option, url, value in sources(config, ("index-url", "extra-index-url", "find-links")):
        if CPU_INDEX.search(url):
            finding = PIP_CPU_INDEX.found(gpus=count, option=option, place=value.place, url=url)
            finding = finding.mended_by(without(config, value, [url], python))
            yield finding.at(Severity.WARNING) if torch and torch.cuda else finding


PIP_MIRROR_DEAD = Problem(
    code="pip-mirror-dead",
    severity=Severity.ERROR,
    title=Text("the mirror {host} is gone", "镜像站 {host} 已停止服务"),
    why=Text(
        "pip finds no package, or waits for a host that never answers", "pip 找不到任何包，或一直等待不会应答的主机"
    ),
    seen=Text("{option} at {place}: {url}", "{place} 处的 {option}：{url}"),
)


@check(PIP_MIRROR_DEAD)
def pip_mirror_dead(config: PipConfig, python: Python | None) -> Iterable[Finding]:
    """A place in effect that belongs to a mirror known to have ended."""
    remedies = Remedies(config, python)
    for option, url, value in sources(config, ("index-url", "extra-index-url")):
        mirror = mirrors.pypi_mirror(url)
        if mirror and mirror.status == "dead":
            finding = PIP_MIRROR_DEAD.found(host=host_of(url), option=option, place=value.place, url=url)
            mended = remedies.fails(finding, option, value, url) or finding
            yield mended if option == "index-url" else mended.at(Severity.WARNING)
