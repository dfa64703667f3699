"""Does uv take its packages from where pip does, and does a mirror leak into the lock file?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Text, Topic, check, summary
from envdoctor.facts.pip import PipConfig, PipEffective, host_of
from envdoctor.facts.uv import UvConfig, UvEffective
from envdoctor.knowledge import mirrors
from envdoctor.model import Scalar

TOPIC = Topic("uv", 330, Text("uv's index and lock file", "uv 的索引与锁文件"))

UV_IGNORES_PIP_CONFIG = Problem(
    code="uv-ignores-pip-config",
    severity=Severity.NOTE,
    title=Text(
        "pip uses {host}, uv does not: it never reads pip's configuration",
        "pip 使用 {host}，而 uv 不会：它从不读取 pip 的配置",
    ),
    why=Text(
        "uv downloads from its default index: slow or impossible where pip is fast",
        "uv 会从默认索引下载：pip 很快的地方，uv 可能很慢甚至无法下载",
    ),
    seen=Text(
        "pip: {url} at {place}\nuv: no default index in {files}", "pip：{url}（{place}）\nuv：{files} 中没有默认索引"
    ),
    command="export UV_DEFAULT_INDEX={quoted}",
    refs=("https://docs.astral.sh/uv/concepts/indexes/",),
)


@check(UV_IGNORES_PIP_CONFIG)
def uv_ignores_pip_config(uv: UvConfig, pip: PipConfig) -> Iterable[Finding]:
    """uv is there, pip has an index of its own, and uv has none."""
    chosen = pip.winner("index-url")
    if not uv.program or chosen is None or uv.default_index is not None:
        return
    finding = UV_IGNORES_PIP_CONFIG.found(
        host=host_of(chosen.value) or chosen.value,
        url=chosen.value,
        quoted=shlex.quote(chosen.value),
        place=chosen.place,
        files=", ".join(file.path for file in uv.files) or "-",
    )
    # No file has an effect under UV_NO_CONFIG: there the variable of the problem's command is the way.
    yield finding if uv.no_config else finding.fixed_by("uv-mirror", *_same_index(chosen.value))


def _same_index(url: str) -> tuple[str, ...]:
    """The options of `uv-mirror` that give uv the index pip has."""
    known = mirrors.pypi_mirror(url)
    for name in mirrors.WITH_OPTION:
        mirror = mirrors.named(name)
        if mirror is not None and known == mirror and url.rstrip("/") == mirror.index_url:
            return (f"--{name}",)
    return ("--url", url)


UV_CONFIG_REFUSED = Problem(
    code="uv-config-refused",
    severity=Severity.ERROR,
    title=Text("uv refuses its configuration", "uv 拒绝读取其配置"),
    why=Text("every command of uv ends with this error", "uv 的所有命令都会以该错误结束"),
    seen=Text("uv says: {error}", "uv 的输出：{error}"),
    refs=("https://docs.astral.sh/uv/concepts/configuration-files/",),
)
# What uv says of a file or variable it does not take; it says other things of a project that is no project.
REFUSALS = ("failed to parse", "failed to open file", "failed to read", "invalid value")


@check(UV_CONFIG_REFUSED)
def uv_config_refused(effective: UvEffective) -> Iterable[Finding]:
    """uv was asked for its settings and gave an error about them."""
    words = effective.error.lower()
    if any(refusal in words for refusal in REFUSALS):
        yield UV_CONFIG_REFUSED.found(error=effective.error)


UV_LOCK_MIRROR = Problem(
    code="uv-lock-mirror",
    severity=Severity.WARNING,
    title=Text("{lock} names the mirror {host}", "{lock} 中写入了镜像站 {host}"),
    why=Text(
        "everyone who syncs this project downloads from there, with `--frozen` whatever their settings",
        "所有同步该项目的人都会从那里下载；使用 `--frozen` 时更是不受各自设置影响",
    ),
    seen=Text("registry entries of {lock}: {hosts}", "{lock} 的 registry 条目：{hosts}"),
    refs=("https://github.com/astral-sh/uv/issues/6349",),
)


@check(UV_LOCK_MIRROR)
def uv_lock_mirror(uv: UvConfig, pip: PipEffective | None) -> Iterable[Finding]:
    """A lock file in reach whose packages come from a mirror of the table."""
    for host in uv.lock.hosts:
        if any(host == host_of(mirror.index_url) for mirror in mirrors.pypi()):
            finding = UV_LOCK_MIRROR.found(lock=uv.lock.path, host=host, hosts=", ".join(uv.lock.hosts))
            official = pip.default_index if pip else ""
            yield finding.mended_by(f"uv lock --default-index {official}") if official else finding
            return


@summary
def line(uv: UvConfig) -> tuple[Text, Mapping[str, Scalar]] | None:
    index = uv.default_index
    if index:
        return Text("{url} ({place})", "{url}（{place}）"), {"url": index.url, "place": index.place}
    return (
        (Text("{program}, its default index", "{program}，默认索引"), {"program": uv.program}) if uv.program else None
    )
