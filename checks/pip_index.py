"""Do the package indexes that pip asks answer, with what pip needs?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.host import Host
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.names import NameResolution
from envdoctor.facts.pip import PipConfig, PipEffective, host_of
from envdoctor.facts.python import Python, name_of
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import mirrors, other_index
from envdoctor.knowledge.chosen_index import asks
from envdoctor.model import Scalar, Why

TOPIC = Topic("pip", 310, Text("the package indexes pip asks", "pip 所访问的软件包索引"))


def elsewhere(finding: Finding, probe: IndexProbe, config: PipConfig | None, python: Python | None) -> Finding | None:
    """The finding, mended by another mirror in the place of this index; None for an extra index."""
    if probe.option != "index-url" or config is None:
        return None
    return asks(finding, config, other_index.other(probe.url), name_of(python))


def evidence_of(probe: IndexProbe) -> dict[str, Scalar]:
    return {
        "host": host_of(probe.url), "url": probe.url, "option": probe.option, "outcome": probe.outcome,
        "detail": probe.detail or "-", "status": probe.status, "address": probe.address or "-",
    }  # fmt: skip


PIP_INDEX_UNREACHABLE = Problem(
    code="pip-index-unreachable",
    severity=Severity.ERROR,
    title=Text("the package index {host} cannot be reached", "无法访问软件包索引 {host}"),
    why=Text(
        "pip installs nothing from there, and waits long before it says so", "pip 无法从该处安装，且要等待很久才会报错"
    ),
    seen=Text("{url}: {outcome}, {detail}", "访问 {url}：{outcome}，{detail}"),
    # Without the credentials that the address may hold: the report does not show them, and no answer needs them.
    look="curl -sSI --max-time 5 {asked}",
    situations={
        "no-name": Situation(
            title=Text("the name of the package index {host} does not resolve", "软件包索引的主机名 {host} 无法解析"),
            seen=Text("{url}: {detail} (getaddrinfo)", "解析 {url} 的主机名：{detail}（getaddrinfo）"),
            look="getent hosts {name}",
        ),
        "no-names": Situation(
            title=Text(
                "no name of a package index that was asked resolves: {host}",
                "所访问的软件包索引主机名均无法解析：{host}",
            ),
            seen=Text("{url}: {detail} (getaddrinfo)", "解析 {url} 的主机名：{detail}（getaddrinfo）"),
            help=Text(
                "another mirror would hardly resolve either: correct the name server, or set https_proxy where a proxy "
                "is the only way out",
                "换用其他镜像多半同样无法解析：请更正 DNS 服务器；若只能经代理访问外网，请设置 https_proxy",
            ),
            look="getent hosts {name}; cat /etc/resolv.conf; env | grep -i _proxy",
        ),
        "no-route": Situation(
            title=Text("there is no route to the package index {host}", "没有通往软件包索引 {host} 的路由"),
            help=Text(
                "another mirror would not be reached either: this machine needs a way out, or https_proxy",
                "换用其他镜像同样无法到达：本机需要外网出口，或设置 https_proxy",
            ),
            look="ip route; env | grep -i _proxy",
        ),
        "intranet": Situation(
            title=Text("{host} exists inside {cloud} only", "{host} 只在 {cloud} 内网中存在"),
            seen=Text("{url}: {outcome}, {detail}", "访问 {url}：{outcome}，{detail}"),
        ),
        "timeout": Situation(
            title=Text("the package index {host} does not answer within 3 s", "软件包索引 {host} 在 3 秒内没有应答"),
            seen=Text("{url}: no answer from {address}", "{url}：{address} 没有应答"),
        ),
        "status": Situation(
            title=Text("the package index {host} answers with HTTP {status}", "软件包索引 {host} 返回 HTTP {status}"),
            seen=Text("{url}: HTTP {status}", "{url} 返回 HTTP {status}"),
        ),
        "portal": Situation(
            title=Text("{host} answers with a page that is no package index", "{host} 返回的页面不是软件包索引"),
            why=Text(
                "a login page or a portal stands in between: pip finds no package",
                "中间隔着登录页或认证门户：pip 找不到任何包",
            ),
            seen=Text("{url}: {content_type}, without a single file", "{url}：{content_type}，不含任何文件"),
        ),
    },
)


def _unreachable(probe: IndexProbe, probes: IndexProbes, resolution: NameResolution | None) -> Finding | None:
    if not other_index.unreachable(probe):
        return None
    bare = re.sub(r"//[^/?#]*@", "//", probe.url)
    evidence = {**evidence_of(probe), "asked": shlex.quote(bare), "name": shlex.quote(host_of(probe.url))}
    if other_index.server_fails(probe):
        return PIP_INDEX_UNREACHABLE.found("status", **evidence)
    if other_index.is_portal(probe):
        return PIP_INDEX_UNREACHABLE.found("portal", **evidence, content_type=probe.content_type or "-")
    if other_index.is_local(probe, probes, resolution):
        return PIP_INDEX_UNREACHABLE.found("no-route" if probe.outcome == "no-route" else "no-names", **evidence)
    mirror = mirrors.pypi_mirror(probe.url)
    if mirror and mirror.intranet:
        return PIP_INDEX_UNREACHABLE.found("intranet", **evidence, cloud=mirror.intranet)
    return PIP_INDEX_UNREACHABLE.found(probe.outcome if probe.outcome in ("no-name", "timeout") else None, **evidence)


@check(PIP_INDEX_UNREACHABLE)
def pip_index_unreachable(
    probes: IndexProbes,
    config: PipConfig | None,
    host: Host | None,
    torch: TorchInstall | Missing,
    python: Python | None,
    resolution: NameResolution | None,
) -> Iterable[Finding]:
    """An error where no index is left and one was chosen or is needed; else the machine may be meant to be offline.

    Compute nodes have no way out, and share the home folder that names an index: in a job, torch is installed already.
    """
    found = [(probe, finding) for probe in probes.indexes if (finding := _unreachable(probe, probes, resolution))]
    none_left = len(found) == len(probes.indexes)
    chosen = config is not None and config.winner("index-url") is not None
    absent = isinstance(torch, Missing) and torch.reason == Why.NOT_HERE.value
    wanted = chosen or absent
    in_job = bool(host and host.scheduler.kind)
    for probe, finding in found:
        mirror = mirrors.pypi_mirror(probe.url)
        if mirror and mirror.status == "dead":
            continue  # pip-mirror-dead says so, with more certainty
        # Another mirror helps where this one fails, not where the machine has no name server or no route at all.
        local = other_index.is_local(probe, probes, resolution)
        mended = finding if local else elsewhere(finding, probe, config, python) or finding
        if none_left and wanted and not in_job:
            yield mended
        elif none_left and not absent:
            yield mended.at(Severity.NOTE)
        else:
            yield mended.at(Severity.WARNING)


PIP_MIRROR_BLOCKED = Problem(
    code="pip-mirror-blocked",
    severity=Severity.ERROR,
    title=Text("{host} refuses pip by its name, and answers others", "{host} 按名称拒绝 pip，却应答其他客户端"),
    why=Text(
        'pip says "from versions: none" although the package is there', '软件包明明存在，pip 却报 "from versions: none"'
    ),
    seen=Text(
        "{url}: HTTP {status} for pip's User-Agent, HTTP {status_plain} for another",
        "{url}：对 pip 的 User-Agent 返回 HTTP {status}，对其他的返回 HTTP {status_plain}",
    ),
)


@check(PIP_MIRROR_BLOCKED)
def pip_mirror_blocked(probes: IndexProbes, config: PipConfig | None, python: Python | None) -> Iterable[Finding]:
    """The same page refused to pip and given to a browser."""
    for probe in probes.indexes:
        if other_index.blocked(probe):
            finding = PIP_MIRROR_BLOCKED.found(**evidence_of(probe), status_plain=probe.status_plain)
            yield elsewhere(finding, probe, config, python) or finding.at(Severity.WARNING)


PIP_MIRROR_FOREIGN_LINKS = Problem(
    code="pip-mirror-foreign-links",
    severity=Severity.WARNING,
    title=Text("{host} lists files that lie on {files}", "{host} 列出的文件位于 {files}"),
    why=Text(
        "the mirror speeds up the list only: downloads go to the other host", "该镜像只加速了列表：下载仍走另一主机"
    ),
    seen=Text("{url}: links lead to {files}", "{url}：链接指向 {files}"),
)


@check(PIP_MIRROR_FOREIGN_LINKS)
def pip_mirror_foreign_links(
    probes: IndexProbes, effective: PipEffective | None, config: PipConfig | None, python: Python | None
) -> Iterable[Finding]:
    """A mirror of the table whose files are another site's; for any other index this may be its own way, and a note."""
    default = host_of(effective.default_index) if effective else ""
    for probe in probes.indexes:
        files = other_index.foreign_files(probe)
        if files and host_of(probe.url) != default:
            finding = PIP_MIRROR_FOREIGN_LINKS.found(**evidence_of(probe), files=files)
            if mirrors.pypi_mirror(probe.url):
                yield elsewhere(finding, probe, config, python) or finding
            else:
                yield finding.at(Severity.NOTE)


PIP_INDEX_STALE = Problem(
    code="pip-index-stale",
    severity=Severity.WARNING,
    title=Text("{host} is behind: its newest torch is {newest}", "{host} 已落后：其最新的 torch 为 {newest}"),
    why=Text(
        '"no matching distribution" for newer releases of torch and of what goes with it',
        '安装较新的 torch 及其配套包时会报 "no matching distribution"',
    ),
    seen=Text(
        "{url}: torch up to {newest}; {expected} came out on {date}",
        "{url}：torch 最新为 {newest}；{expected} 已于 {date} 发布",
    ),
)


@check(PIP_INDEX_STALE)
def pip_index_stale(probes: IndexProbes, config: PipConfig | None, python: Python | None) -> Iterable[Finding]:
    """A full index whose list of torch, read to its end, stops before a release that has been out for a while."""
    release = mirrors.expected_release()
    for probe in probes.indexes:
        if other_index.stale(probe):
            finding = PIP_INDEX_STALE.found(
                **evidence_of(probe), newest=probe.newest, expected=release.version, date=release.date
            )
            yield elsewhere(finding, probe, config, python) or finding


PIP_INDEX_SLOW = Problem(
    code="pip-index-slow",
    severity=Severity.WARNING,
    title=Text("{host} takes {seconds:.1f} s for its first word", "{host} 首次应答耗时 {seconds:.1f} 秒"),
    why=Text("pip asks for dozens of such pages before it installs", "pip 安装前要请求数十个这样的页面"),
    seen=Text(
        "{url}: name {resolve:.2f} s, connection {connect:.2f} s, TLS {tls:.2f} s, first byte {first:.2f} s",
        "{url}：域名解析 {resolve:.2f} 秒，连接 {connect:.2f} 秒，TLS {tls:.2f} 秒，首字节 {first:.2f} 秒",
    ),
)


@check(PIP_INDEX_SLOW)
def pip_index_slow(probes: IndexProbes, config: PipConfig | None, python: Python | None) -> Iterable[Finding]:
    """An index that answers, after two seconds or more."""
    for probe in probes.indexes:
        if other_index.slow(probe):
            steps = other_index.steps_s(probe)
            finding = PIP_INDEX_SLOW.found(
                **evidence_of(probe),
                seconds=sum(steps),
                resolve=steps[0],
                connect=steps[1],
                tls=steps[2],
                first=steps[3],
            )
            yield elsewhere(finding, probe, config, python) or finding


@summary
def line(probes: IndexProbes) -> tuple[Text, Mapping[str, Scalar]] | None:
    indexes = probes.indexes
    if not indexes:
        return None
    first = indexes[0]
    values: dict[str, Scalar] = {"host": host_of(first.url), "newest": first.newest or None}
    if first.status == 200:
        values["seconds"] = (first.connect_s or 0.0) + (first.tls_s or 0.0) + (first.first_byte_s or 0.0)
        if first.newest and first.whole:
            return Text(
                "{host} answers in {seconds:.2f} s, torch up to {newest}",
                "{host} 应答 {seconds:.2f} 秒，torch 最新为 {newest}",
            ), values
        return Text("{host} answers in {seconds:.2f} s", "{host} 应答 {seconds:.2f} 秒"), values
    values["outcome"] = f"HTTP {first.status}" if first.status else first.outcome
    return Text("{host}: {outcome}", "{host}：{outcome}"), values
