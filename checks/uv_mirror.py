"""`envdoctor fix uv-mirror`: uv takes its packages from a mirror, wherever its settings come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envdoctor import (
    ByHand,
    EditFile,
    Files,
    Missing,
    Option,
    Place,
    Plan,
    Remark,
    Said,
    Text,
    Topic,
    UsageError,
    fix,
    said,
)
from envdoctor.edits import index_words, toml, uv_default
from envdoctor.edits.toml import Document
from envdoctor.edits.uv import Setting, named_by_sources
from envdoctor.facts.index import AskedPlaces
from envdoctor.facts.mirror_speeds import MirrorSpeeds
from envdoctor.facts.pip import PipEffective, host_of
from envdoctor.facts.pip_rules import is_plain
from envdoctor.facts.uv import COMMANDS, UvConfig, UvEffective, UvIndex, default_index
from envdoctor.knowledge import mirrors
from envdoctor.knowledge.chosen_index import NAMES, chosen
from envdoctor.knowledge.versions import numbers

TOPIC = Topic("uv", 330, Text("uv's index and lock file", "uv 的索引与锁文件"))

FIRST_WITH_INDEX = (0, 4, 23)  # [[index]] came with it, and older uv refuses a file that has one
EXPLICIT = "explicit"
FOREIGN = "foreign"
SOURCES = "sources"
STAYS: Mapping[str, Text] = {
    EXPLICIT: Text(
        "the default index {url} ({place}) is `explicit` and stays as it is",
        "默认索引 {url}（{place}）带有 `explicit`，保持不变",
    ),
    FOREIGN: Text(
        "the default index {url} ({place}) is no known mirror of the official index and may have packages of its own: "
        "it stays as it is, and wins there; `--replace` replaces it",
        "默认索引 {url}（{place}）不是已知的官方索引镜像，可能有自己的软件包：保持不变，并在该处优先；"
        "如需替换请加 `--replace`",
    ),
    SOURCES: Text(
        "packages of [tool.uv.sources] name the default index {url} ({place}): it stays as it is, and wins there",
        "[tool.uv.sources] 中有软件包按名称引用默认索引 {url}（{place}）：保持不变，并在该处优先",
    ),
}


def places(pip: PipEffective | None, **options: Any) -> Iterable[Place]:
    """The index is asked before it is written; what --fastest measures needs no second question."""
    if not options.get("fastest"):
        wanted = chosen(pip.default_index if pip else "", None, options)
        if wanted.url and not wanted.official:
            yield Place(wanted.url)


def takes_effect(plan: Plan, uv: UvConfig | Missing, effective: UvEffective | None) -> Iterable[Said]:
    """What uv itself would use, or what its files say where it cannot be asked."""
    if effective is not None and effective.error:
        yield said("uv refuses its configuration: {error}", "uv 拒绝读取其配置：{error}", error=effective.error)
        return
    wanted, official = str(plan.wants.get("url", "")), str(plan.wants.get("official", ""))
    indexes = uv.indexes if isinstance(uv, UvConfig) else ()
    reasons: dict[tuple[str, str], list[str]] = {}
    for command in COMMANDS:
        found = default_index(indexes, command)
        own = effective.default(command) if effective else None
        url = own if own is not None else found.url if found else ""
        if uv_default.same(url, wanted) or (not wanted and official and uv_default.same(url, official)):
            continue
        place = found.place if found and uv_default.same(found.url, url) else ""
        reasons.setdefault((url, place), []).append(command)
    for (url, place), commands in reasons.items():
        who = "uv" if len(commands) > 1 else "`uv pip`" if commands == ["pip"] else "`uv lock`"
        if url:
            yield said(
                "{who} takes {url} ({place})", "{who} 使用 {url}（{place}）", who=who, url=url, place=place or "uv"
            )
        else:
            yield said("{who} takes its own default index", "{who} 使用其自带的默认索引", who=who)


@fix(
    "uv-mirror",
    Text("uv takes packages from a mirror, or from the official index again", "让 uv 使用镜像站，或恢复使用官方索引"),
    mends=("uv-ignores-pip-config",),
    watches=("uv-config-refused",),
    asks=places,
    verify=takes_effect,
    options={
        **{name: Option(text) for name, text in NAMES.items()},
        "official": Option(Text("the official index: takes the setting away", "官方索引：删除该设置")),
        "url": Option(Text("an index of your own", "自己的索引"), metavar="URL"),
        "fastest": Option(
            Text("the fastest of them from here, measured now", "当场测速并选用最快的镜像"), measures="mirror-speeds"
        ),
        "replace": Option(
            Text("also replace a default index that is no known mirror", "同时替换并非已知镜像的默认索引")
        ),
    },
)
def uv_mirror(
    uv: UvConfig, effective: UvEffective | None, pip: PipEffective | None, files: Files, asked: AskedPlaces | None,
    speeds: MirrorSpeeds | None, *, tuna: bool = False, ustc: bool = False, aliyun: bool = False,
    tencent: bool = False, huawei: bool = False, bfsu: bool = False, sjtug: bool = False, nju: bool = False,
    official: bool = False, url: str = "", fastest: bool = False, replace: bool = False,
) -> Plan:  # fmt: skip
    """Write the user's own uv.toml, and whatever else of the user's wins over it here."""
    options = {
        "tuna": tuna, "ustc": ustc, "aliyun": aliyun, "tencent": tencent, "huawei": huawei, "bfsu": bfsu,
        "sjtug": sjtug, "nju": nju, "official": official, "url": url, "fastest": fastest,
    }  # fmt: skip
    own = pip.default_index if pip else ""
    target = chosen(own, speeds, options)
    old = bool(effective and effective.version) and numbers(effective.version if effective else "") < FIRST_WITH_INDEX
    wanted = uv_default.Wanted("" if target.official else target.url, own, uv.user_file, old)
    before = _documents(uv, files)

    def kept(setting: Setting, document: Document) -> str:
        index = setting.index
        if index.explicit:
            return EXPLICIT
        if not wanted.url and index.name and index.name in named_by_sources(document):
            return SOURCES
        public = mirrors.pypi_mirror(index.url) is not None or (own and uv_default.same(index.url, own))
        return "" if replace or public or (index.level != "project" and not index.name) else FOREIGN

    try:
        change = uv_default.make(wanted, uv.files, before, kept, uv.indexes)
    except toml.CannotEdit as error:
        raise UsageError(
            f"{uv.user_file} or another file of uv's cannot be edited: {error}",
            f"无法修改 {uv.user_file} 或 uv 的其他配置文件：{error}",
        ) from error
    edits = tuple(
        EditFile(path, files.read(path), change.documents[path].content(), mode=0o600 if "@" in wanted.url else 0o644)
        for path, document in before.items()
        if change.documents[path].text != document.text
    )
    probe = asked.of(target.url) if asked else None
    reached, values = index_words.reached(probe)
    title = Text(f"Use {target.name.en} for uv{reached.en}", f"让 uv 使用{target.name.zh}{reached.zh}")
    remarks = [*index_words.catches(probe), *_remarks(uv, wanted, change, own), *_about_the_lock(uv, wanted)]
    return Plan(
        Said(title, values),
        edits=edits,
        by_hand=tuple(_against(uv, wanted)),
        remarks=tuple(remarks),
        wants={"url": wanted.url, "official": own},
    )


def _documents(uv: UvConfig, files: Files) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for path in dict.fromkeys((uv.user_file, *(file.path for file in uv.files))):
        try:
            found[path] = Document(files.read(path) or b"")
        except toml.NotToml as error:
            raise UsageError(
                f"{path} is not valid TOML, so uv refuses it as well; mend it first: {error}",
                f"{path} 不是合法的 TOML，uv 同样会拒绝它；请先修好：{error}",
            ) from error
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}",
                f"无法读取 {path}：{error.strerror}",
            ) from error
    return found


def _against(uv: UvConfig, wanted: uv_default.Wanted) -> Iterable[ByHand]:
    """Variables of this shell, which no file changes."""
    unset = "$env:{}=''" if "\\" in uv.user_file else "unset {}"
    if uv.no_config:
        why = said("UV_NO_CONFIG keeps uv from reading any file", "UV_NO_CONFIG 使 uv 不读取任何文件")
        yield ByHand(unset.format("UV_NO_CONFIG"), why)
    for name in dict.fromkeys(
        found.variable
        for command in COMMANDS
        if (found := default_index(uv.indexes, command)) and found.variable and not wanted.met_by(found)
    ):
        why = said(
            "{name} is set in this shell and wins over every file; it may be set again by a start-up file",
            "当前 shell 设置了 {name}，优先于所有文件；启动文件可能会再次设置它",
            name=name,
        )
        yield ByHand(unset.format(name), why)


def _remarks(uv: UvConfig, wanted: uv_default.Wanted, change: uv_default.Change, own: str) -> Iterable[Remark]:
    if wanted.url and is_plain(wanted.url):
        yield Remark(said("packages come over plain HTTP: anyone on the path can replace one",
                          "软件包经由明文 HTTP 下载：途中任何人都可以替换"), "warning")  # fmt: skip
    for setting, why in change.kept.items():
        values = {"url": setting.index.url, "place": setting.index.place}
        yield Remark(Said(STAYS[why], values), "warning")
    for setting in change.replaced:
        if mirrors.pypi_mirror(setting.index.url) is None and not (own and uv_default.same(setting.index.url, own)):
            yield Remark(said("{url} ({place}) is no known mirror: packages that only it has are no longer found",
                              "{url}（{place}）不是已知镜像：只有它提供的软件包将无法找到",
                              url=setting.index.url, place=setting.index.place), "warning")  # fmt: skip
    if chosen := next((file for file in uv.files if file.level == "chosen"), None):
        yield Remark(said("UV_CONFIG_FILE names {path}: in this shell uv reads no other file",
                          "UV_CONFIG_FILE 指定了 {path}：在当前 shell 中 uv 不读取其他文件",
                          path=chosen.path))  # fmt: skip
    if any(setting.index.level == "project" for setting in change.replaced):
        yield Remark(said("the project's file is changed for everyone who uses the project",
                          "项目文件的修改会影响所有使用该项目的人"))  # fmt: skip
    if others := [index for index in uv.indexes if _stays(index)]:
        names = ", ".join(dict.fromkeys(index.name or index.url for index in others))
        yield Remark(
            said("other index settings stay as they are: {names}", "其他索引设置保持不变：{names}", names=names)
        )


def _stays(index: UvIndex) -> bool:
    return not index.default and index.key in (
        "index",
        "extra-index-url",
        "find-links",
        "UV_INDEX",
        "UV_EXTRA_INDEX_URL",
    )


def _about_the_lock(uv: UvConfig, wanted: uv_default.Wanted) -> Iterable[Remark]:
    if not uv.lock.path:
        return
    if wanted.url:
        text = said(
            "the next `uv lock` or `uv add` writes {host} into {lock}, and everyone who syncs the project downloads "
            "from there; `uv sync --frozen` keeps to the addresses that are in it now",
            "之后的 `uv lock` 或 `uv add` 会把 {host} 写入 {lock}，所有同步该项目的人都会从那里下载；"
            "`uv sync --frozen` 仍使用其中现有的地址",
            host=host_of(wanted.url), lock=uv.lock.path,
        )  # fmt: skip
        yield Remark(text, "warning")
    elif any(host == host_of(mirror.index_url) for host in uv.lock.hosts for mirror in mirrors.pypi()):
        yield Remark(said("{lock} keeps naming {host} until `uv lock` is run again",
                          "在重新执行 `uv lock` 之前，{lock} 仍会指向 {host}",
                          lock=uv.lock.path, host=uv.lock.hosts[0]))  # fmt: skip
