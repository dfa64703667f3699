"""Can pip read its configuration, and does it name an index?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.index import IndexProbes
from envdoctor.facts.names import NameResolution
from envdoctor.facts.pip import PipConfig, PipEffective, PipFile, PipValue
from envdoctor.facts.pip_rules import put, unset
from envdoctor.facts.python import Python, name_of
from envdoctor.knowledge import mirrors, other_index
from envdoctor.knowledge.chosen_index import asks
from envdoctor.model import Scalar

TOPIC = Topic("pip", 300, Text("pip's configuration, and the index it names", "pip 的配置及其指定的索引"))
RULES = "https://pip.pypa.io/en/stable/topics/configuration/"


PIP_CONFIG_BROKEN = Problem(
    code="pip-config-broken",
    severity=Severity.ERROR,
    title=Text("pip cannot read {file}: every pip command fails", "pip 无法读取 {file}：所有 pip 命令都会失败"),
    why=Text("no package can be installed, listed or removed", "无法安装、列出或卸载任何软件包"),
    seen=Text("{file}:{line}: {text}", "{file} 第 {line} 行：{text}"),
    confirm="python -m pip config list",
    refs=(RULES,),
    situations={
        "bom": Situation(
            title=Text(
                "{file} begins with a byte order mark: every pip command fails",
                "{file} 以字节顺序标记（BOM）开头：所有 pip 命令都会失败",
            ),
            command=r"sed -i '1s/^\xEF\xBB\xBF//' {path}",
        ),
        "no-section-header": Situation(
            title=Text(
                "{file} has values before any section: every pip command fails",
                "{file} 在任何段之前就有内容：所有 pip 命令都会失败",
            ),
            command="sed -i '1i [global]' {path}",
        ),
        "duplicate-option": Situation(
            title=Text(
                "{file} sets `{text}` twice in one section: every pip command fails",
                "{file} 在同一段中重复设置 `{text}`：所有 pip 命令都会失败",
            ),
            seen=Text("{file}:{line}: `{text}` for the second time", "{file}:{line}：`{text}` 第二次出现"),
            command="sed -i '{line}s/^/# /' {path}",
        ),
        "duplicate-section": Situation(
            title=Text(
                "{file} has the section [{text}] twice: every pip command fails",
                "{file} 中 [{text}] 段出现两次：所有 pip 命令都会失败",
            ),
            seen=Text("{file}:{line}: [{text}] for the second time", "{file}:{line}：[{text}] 第二次出现"),
            command="${{EDITOR:-vi}} +{line} {path}",
            help=Text("move the values below it into the first [{text}]", "把其下的设置移到第一个 [{text}] 段中"),
        ),
        "bad-line": Situation(command="sed -i '{line}s/^/# /' {path}"),
        "not-decodable": Situation(
            command="${{EDITOR:-vi}} +{line} {path}",
            help=Text(
                "save it in the encoding of the locale, best without letters beyond ASCII",
                "请按当前 locale 的编码保存，最好只用 ASCII 字符",
            ),
        ),
        "unreadable": Situation(
            severity=Severity.WARNING,
            title=Text(
                "pip may not read {file} and leaves it out without a word",
                "pip 无权读取 {file}，且不作任何提示地忽略它",
            ),
            why=Text("its settings have no effect for this user", "其中的设置对当前用户无效"),
            seen=Text("{file}: {text}", "文件 {file}：{text}"),
            command="sudo chmod a+r {path}",
        ),
        "refused": Situation(
            title=Text("pip refuses the value of `{option}`", "pip 不接受 `{option}` 的值"),
            seen=Text("`{text}` at {place}", "{place} 处为 `{text}`"),
        ),
        "pip-says": Situation(
            title=Text("pip cannot use its configuration", "pip 无法使用其配置"),
            seen=Text("pip says: {text}", "pip 的原话：{text}"),
            look="{python} -m pip config debug",
        ),
        "comment": Situation(
            title=Text("a comment has become part of `{option}`", "注释成了 `{option}` 的一部分"),
            why=Text(
                "pip knows no comments behind a value, and asks a place that does not exist",
                "pip 不支持写在值后面的注释，因而会访问不存在的地址",
            ),
            seen=Text("`{text}` at {place}", "{place} 处为 `{text}`"),
        ),
        "flat": Situation(
            title=Text(
                "`{option}` is a flat list of files, not an index",
                "`{option}` 指向的是平铺的文件列表，而不是软件包索引",
            ),
            why=Text(
                'pip finds no package there: "from versions: none"', 'pip 在那里找不到任何包："from versions: none"'
            ),
            seen=Text("{text} at {place}", "{place} 处为 {text}"),
            help=Text(
                "such a page belongs into find-links, beside an index", "此类页面应写入 find-links，并另设一个索引"
            ),
        ),
        "no-such-page": Situation(
            title=Text(
                "`{option}` is an address that does not exist or refuses pip", "`{option}` 是不存在或拒绝 pip 的地址"
            ),
            why=Text("pip finds no package there", "pip 在那里找不到任何包"),
            seen=Text("{text} at {place}", "{place} 处为 {text}"),
        ),
        "moved": Situation(
            severity=Severity.NOTE,
            title=Text("`{option}` only sends pip elsewhere", "`{option}` 只会把 pip 转向别处"),
            why=Text("{note}: one more host that must be reachable", "{note}：多了一个必须可达的主机"),
            seen=Text("{text} at {place}", "{place} 处为 {text}"),
        ),
        "not-simple": Situation(
            title=Text("`{option}` lacks `/simple` at its end", "`{option}` 的末尾缺少 `/simple`"),
            why=Text(
                'pip finds no package there: "from versions: none"', 'pip 在那里找不到任何包："from versions: none"'
            ),
            seen=Text("{text} at {place}", "{place} 处为 {text}"),
        ),
    },
)


def _sudo(file: PipFile, command: str | None) -> str | None:
    plain = not command or command.startswith(("$", "sudo"))
    return command if plain or file.own else f"sudo {command}"


@check(PIP_CONFIG_BROKEN)
def pip_config_broken(config: PipConfig, effective: PipEffective | None, python: Python | None) -> Iterable[Finding]:
    """A file or value at which pip ends, or a file it silently leaves out."""
    told = False
    for file in config.files:
        if file.fatal or file.fault == "unreadable":
            told = True
            finding = PIP_CONFIG_BROKEN.found(
                file.fault, file=file.path, path=shlex.quote(file.path), line=file.line, text=file.detail
            )
            yield finding.mended_by(_sudo(file, finding.command))
    for number in config.refused:
        value = config.values[number]
        told = True
        yield PIP_CONFIG_BROKEN.found("refused", option=value.key, text=value.value, place=value.place).mended_by(
            unset(config, value, name_of(python))
        )
    if effective and effective.error and not told:
        finding = PIP_CONFIG_BROKEN.found("pip-says", text=effective.error, python=name_of(python))
        yield finding.at(Severity.WARNING)


@check(PIP_CONFIG_BROKEN)
def pip_index_wrong(
    config: PipConfig, python: Python | None, probes: IndexProbes | None, resolution: NameResolution | None
) -> Iterable[Finding]:
    """An index URL in effect that cannot be one: a swallowed comment, a flat page, an invented or shortened path."""
    for option in ("index-url", "extra-index-url"):
        value = config.winner(option)
        if value is None:
            continue
        swallowed = re.match(r"(\S+)\s+[#;]", value.value)
        for url in value.items if option == "extra-index-url" and not swallowed else (value.value,):
            meant = swallowed[1] if swallowed else url
            instead = other_index.instead_of(meant, probes, resolution) if option == "index-url" else ""
            if swallowed:
                finding = PIP_CONFIG_BROKEN.found("comment", option=option, text=value.value, place=value.place)
                wrong = [_with_address(finding, config, option, value, meant, name_of(python))]
            else:
                wrong = [*_wrong_address(config, option, value, url, name_of(python))]
            yield from (asks(one, config, instead, name_of(python)) if instead else one for one in wrong)


def _with_address(
    finding: Finding, config: PipConfig, option: str, value: PipValue, wanted: str, python: str
) -> Finding:
    """The finding, mended by another value: by the fix where it is the index."""
    if option == "index-url":
        return asks(finding, config, wanted, python)
    return finding.mended_by(put(config, value, option, wanted, python))


def _wrong_address(config: PipConfig, option: str, value: PipValue, url: str, python: str) -> Iterable[Finding]:
    known, mirror = mirrors.wheels(url), mirrors.pypi_mirror(url)
    evidence: dict[str, Scalar] = {"option": option, "text": url, "place": value.place}
    if known:
        situation = "flat" if known.kind == "flat" else "no-such-page"
        finding = PIP_CONFIG_BROKEN.found(situation, **evidence)
        alone = option == "index-url" and known.instead
        gone = finding.mended_by(unset(config, value, python))
        yield asks(finding, config, known.instead, python) if alone else gone
    elif mirror and mirror.status == "redirect":
        wanted = value.value.replace(url, mirror.instead)
        finding = PIP_CONFIG_BROKEN.found("moved", **evidence, note=mirror.note)
        yield _with_address(finding, config, option, value, wanted, python)
    elif mirror and mirror.status != "dead" and not re.search(r"/simple/?$", urlsplit(url).path):
        wanted = value.value.replace(url, mirror.index_url)
        finding = PIP_CONFIG_BROKEN.found("not-simple", **evidence)
        yield _with_address(finding, config, option, value, wanted, python)
    elif not mirror and re.search(r"/pypi(?:/web)?/?$", urlsplit(url).path):
        wanted = value.value.replace(url, url.rstrip("/") + "/simple")
        finding = PIP_CONFIG_BROKEN.found("not-simple", **evidence).at(Severity.WARNING)
        yield _with_address(finding, config, option, value, wanted, python)


@summary
def line(config: PipConfig, effective: PipEffective | None) -> tuple[Text, Mapping[str, Scalar]] | None:
    if config.broken:
        return Text("cannot read {file}:{line}", "无法读取 {file}:{line}"), {
            "file": config.broken[0].path, "line": config.broken[0].line,
        }  # fmt: skip
    values: dict[str, Scalar] = {"version": config.pip_version or None, "more": 0}
    indexes = config.indexes()
    first = config.winner("index-url")
    if first:
        values.update(url=first.value, place=first.place, more=len(indexes) - 1)
        more = ("", "") if len(indexes) < 2 else (", {more} more", "，另有 {more} 个")
        return Text("{url} ({place})" + more[0], "{url}（{place}）" + more[1]), values
    if effective and effective.default_index:
        values["url"] = effective.default_index
        return Text("pip {version}, {url} (the default)", "pip {version}，{url}（默认）"), values
    if not config.pip_version:
        return Text("no pip in this Python", "该 Python 中没有 pip"), values
    return Text("pip {version}, the default index", "pip {version}，默认索引"), values
