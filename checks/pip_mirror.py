"""`envdoctor fix pip-mirror`: another package index for pip, written where this Python's pip takes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from envdoctor import (
    ByHand,
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
from envdoctor.edits import index_words, ini, pip_remarks, pip_trust
from envdoctor.edits.pip_levels import COMMANDS, Levels, Sheet, Written
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.mirror_speeds import MirrorSpeeds
from envdoctor.facts.pip import PipConfig, PipEffective, host_of
from envdoctor.facts.pip_rules import is_plain, trusts
from envdoctor.knowledge.chosen_index import NAMES, Chosen, chosen

TOPIC = Topic("pip", 314, Text("another package index for pip", "为 pip 更换软件包索引"))
# What to know of a mirror that works, by its id in the table.
CATCHES = {
    "ustc": said(
        "USTC sends pip on to TUNA for files it does not hold yet", "中科大镜像会把尚未缓存的文件重定向到 TUNA"
    ),
    "sjtu": said(
        "SJTUG keeps about the ten newest files of a project: an old pinned version can be missing",
        "上海交大镜像只保留每个项目最新的十来个文件：固定的旧版本可能缺失",
    ),
    "netease": said("this mirror synchronises once a day", "该镜像每天只同步一次"),
}


def _default(effective: PipEffective | Missing) -> str:
    return effective.default_index if isinstance(effective, PipEffective) else ""


def places(effective: PipEffective | Missing, **options: Any) -> Iterable[Place]:
    """The index is asked before it is written; what --fastest measures needs no second question."""
    if not options.get("fastest"):
        wanted = chosen(_default(effective), None, options)
        if wanted.url.lower().startswith("http"):
            yield Place(wanted.url)


def takes_effect(plan: Plan, config: PipConfig, effective: PipEffective | Missing) -> Iterator[Said]:
    """Whether the target's own pip takes what was written, for every command."""
    if isinstance(effective, Missing):
        why = effective.detail or effective.reason
        yield said("this Python's pip did not answer: {why}", "该 Python 的 pip 没有应答：{why}", why=why)
        return
    if effective.error:
        yield said("pip cannot use its configuration: {error}", "pip 无法使用其配置：{error}", error=effective.error)
        return
    url, told = str(plan.wants.get("url", "")), set()
    for command in effective.commands:
        options = [] if command.index_url.rstrip("/") == url.rstrip("/") else ["index-url"]
        options += ["no-index"] if command.no_index else []
        options += ["trusted-host"] if is_plain(url) and not trusts(url, command.trusted_hosts) else []
        for option in options:
            won = config.winner(option, command.command)
            if (option, won) not in told:
                told.add((option, won))
                taken = {"index-url": command.index_url, "no-index": "no-index"}.get(option, "trusted-host")
                yield _against(won.place if won else "", bool(won and won.variable), command.command, taken, config)


def _against(place: str, variable: bool, command: str, taken: str, config: PipConfig) -> Said:
    if variable:
        return said(
            "{place} is set in this environment and wins over every file: `pip {command}` takes {taken} from it; "
            "`unset {place}` ends that",
            "当前环境设置了 {place}，优先于所有文件：`pip {command}` 从中取得 {taken}；执行 `unset {place}` 即可取消",
            place=place, command=command, taken=taken,
        )  # fmt: skip
    if config.config_file_variable is not None:
        return said(
            "PIP_CONFIG_FILE={file} decides which files pip reads: `pip {command}` takes {taken}; "
            "`unset PIP_CONFIG_FILE` ends that",
            "PIP_CONFIG_FILE={file} 决定 pip 读取哪些文件：`pip {command}` 使用 {taken}；"
            "执行 `unset PIP_CONFIG_FILE` 即可取消",
            file=config.config_file_variable, command=command, taken=taken,
        )  # fmt: skip
    return said(
        "{place} wins: `pip {command}` takes {taken}", "以 {place} 为准：`pip {command}` 使用 {taken}",
        place=place or "pip", command=command, taken=taken,
    )  # fmt: skip


@fix(
    "pip-mirror",
    Text(
        "another package index for pip, written where this Python's pip takes it from",
        "为 pip 更换软件包索引，写入该 Python 的 pip 实际生效之处",
    ),
    mends=(
        "pip-mirror-dead", "pip-index-plain-http", "pip-untrusted-host", "pip-insecure-trusted-host",
        "pip-config-broken", "pip-config-shadowed",
    ),
    asks=places,
    verify=takes_effect,
    options={
        **{name: Option(text) for name, text in NAMES.items()},
        "official": Option(Text("the official index: takes the setting away", "官方索引：删除该设置")),
        "url": Option(Text("an index of your own", "自己的索引"), metavar="URL"),
        "fastest": Option(
            Text("the fastest of them from here, measured now", "当场测速并选用最快的镜像"), measures="mirror-speeds"
        ),
    },
)  # fmt: skip
def pip_mirror(
    config: PipConfig, effective: PipEffective | Missing, files: Files, asked: AskedPlaces | None,
    speeds: MirrorSpeeds | None, *, tuna: bool = False, ustc: bool = False, aliyun: bool = False,
    tencent: bool = False, huawei: bool = False, bfsu: bool = False, sjtug: bool = False, nju: bool = False,
    official: bool = False, url: str = "", fastest: bool = False,
) -> Plan:  # fmt: skip
    """The edits after which every command of the target's pip asks the index that is wanted."""
    options = {
        "tuna": tuna, "ustc": ustc, "aliyun": aliyun, "tencent": tencent, "huawei": huawei, "bfsu": bfsu,
        "sjtug": sjtug, "nju": nju, "official": official, "url": url, "fastest": fastest,
    }  # fmt: skip
    wanted = chosen(_default(effective), speeds, options)
    if not config.pip_version:
        return _without_pip(next(name for name, given in options.items() if given), url)
    if fastest and speeds and speeds.keep and speeds.in_effect:
        return _as_fast(speeds.in_effect.url, speeds)
    levels = Levels(config, files)
    if hopeless := [sheet for sheet in levels.sheets if sheet.hopeless]:
        return _unreadable(hopeless, wanted)
    probe = asked.of(wanted.url) if asked else None
    before = _indexes(levels)
    remarks = list(pip_remarks.unreadable(levels))
    try:
        remarks += _refused(levels)
        _set_index(levels, wanted)
        remarks += _no_index(levels)
        remarks += _trust(levels, wanted, before, probe)
        remarks += _refused(levels)  # what was hidden so far
    except ini.Unfit as error:
        raise UsageError(
            f"pip's configuration is such that no safe edit is known ({error}); write it by hand",
            f"无法安全地修改现有的 pip 配置（{error}）；请手工修改",
        ) from error
    remarks += [
        *_of_the_index(wanted, probe),
        *pip_remarks.replaced(levels, wanted, before),
        *pip_remarks.against(levels, wanted),
    ]
    reached, values = index_words.reached(probe)
    if fastest and speeds and speeds.best:
        reached = Text(" (the fastest of {asked})", "（所测 {asked} 个中最快）")
        values = {"asked": speeds.asked}
    title = Text(f"Use {wanted.name.en} for pip{reached.en}", f"让 pip 使用{wanted.name.zh}{reached.zh}")
    secret = "@" in urlsplit(wanted.url).netloc
    return Plan(
        Said(title, values),
        edits=levels.edits(0o600 if secret else 0o644),
        remarks=tuple(remarks),
        wants={"url": wanted.url},
    )


def _without_pip(option: str, url: str) -> Plan:
    given = f"--url {shlex.quote(url)}" if option == "url" else f"--{option}"
    why = said(
        "this Python has no pip, and uv never reads pip's configuration; `python -m ensurepip` brings pip",
        "该 Python 没有 pip，而 uv 从不读取 pip 的配置；需要 pip 时可执行 `python -m ensurepip`",
    )
    title = said("no pip in this Python: nothing to write for it", "该 Python 中没有 pip：无需为其写入配置")
    return Plan(title, by_hand=(ByHand(f"envdoctor fix uv-mirror {given}", why),))


def _as_fast(url: str, speeds: MirrorSpeeds) -> Plan:
    if speeds.best and speeds.best.url == url:
        words = (
            "{host} stays: none of {asked} {asked:index|indexes} is faster",
            "保留 {host}：所测 {asked} 个索引中没有更快的",
        )
    else:
        words = (
            "{host} stays: the fastest of {asked} {asked:index|indexes} is hardly faster",
            "保留 {host}：所测 {asked} 个索引中最快的也快不了多少",
        )
    return Plan(said(*words, host=host_of(url), asked=speeds.asked), wants={"url": url})


def _unreadable(sheets: list[Sheet], wanted: Chosen) -> Plan:
    steps = []
    for sheet in sheets:
        line = sheet.hopeless.line if sheet.hopeless else 1
        why = said(
            "pip cannot read {path} from line {line} on, and what is meant there is not sure",
            "pip 从第 {line} 行起无法读取 {path}，且无法确定其原意", path=sheet.path, line=line,
        )  # fmt: skip
        editor = "${EDITOR:-vi}" if sheet.own else "sudo vi"
        steps.append(ByHand(f"{editor} +{line} {shlex.quote(sheet.path)}", why))
    title = Text(f"Use {wanted.name.en} for pip, once pip can read its configuration",
                 f"待 pip 能读取其配置后，再让 pip 使用{wanted.name.zh}")  # fmt: skip
    return Plan(Said(title), by_hand=tuple(steps))


def _indexes(levels: Levels) -> dict[str, Written]:
    """What the commands take for an index before anything is changed, by where it stands."""
    return {won.place: won for command in COMMANDS if (won := levels.winner("index-url", command))}


def _refused(levels: Levels) -> Iterator[Remark]:
    """Values at which pip ends become comments."""
    while won := levels.refused():
        levels.comment(won)
        yield Remark(said(
            "every pip command fails because of `{key} = {value}` at {place}; it becomes a comment",
            "{place} 处的 `{key} = {value}` 导致 pip 命令失败；将改为注释",
            key=won.key, value=won.value, place=won.place,
        ), "warning")  # fmt: skip


def _set_index(levels: Levels, wanted: Chosen) -> None:
    def right(won: Written | None) -> bool:
        return wanted.is_at(won.value) if won is not None else wanted.official

    if all(right(levels.winner("index-url", command)) for command in COMMANDS):
        return
    if wanted.official and levels.drop("index-url", lambda won: won is None):
        return
    if not wanted.url:
        raise UsageError(
            "the address of the official index is known from pip alone, and this Python's did not answer",
            "官方索引的地址只能从 pip 得知，而此 Python 的 pip 没有应答",
        )
    levels.make("index-url", lambda _: wanted.url, lambda won: won is not None and right(won))


def _no_index(levels: Levels) -> Iterator[Remark]:
    """pip must be allowed to ask an index at all."""

    def right(won: Written | None) -> bool:
        return won is None or won.value.lower() not in pip_remarks.TRUE

    for command in COMMANDS:
        won = levels.winner("no-index", command)
        if won is not None and not right(won):
            yield Remark(said(
                "no-index at {place} kept pip from asking any index; it is taken out of the way",
                "{place} 处的 no-index 使 pip 不访问任何索引；将一并取消", place=won.place,
            ), "warning")  # fmt: skip
            if not levels.drop("no-index", right):
                levels.make("no-index", lambda _: "no", right)
            return


def _trust(levels: Levels, wanted: Chosen, before: dict[str, Written], probe: IndexProbe | None) -> Iterator[Remark]:
    """trusted-host: needed for plain http alone, and in the way of a certificate otherwise."""
    if is_plain(wanted.url):
        pip_trust.trust(levels, wanted.url)
        yield Remark(said(
            "plain HTTP: anyone on the path can replace a package; pip asks {host} only because trusted-host names it",
            "明文 HTTP：链路上的任何人都可以替换软件包；trusted-host 列出 {host} 后 pip 才会访问它", host=wanted.host,
        ), "warning")  # fmt: skip
    # An authority of one's own may be the reason for a trusted host: it goes where the certificate is known to verify.
    verified = wanted.official or wanted.mirror is not None or index_words.verified(probe)
    https = wanted.url.lower().startswith("https:")
    old = [won.value for won in before.values() if not wanted.is_at(won.value)]
    gone = pip_trust.distrust(levels, wanted.url if https and verified else "", old)
    if gone:
        yield Remark(said(
            "trusted-host no longer names {hosts}: certificates are checked",
            "trusted-host 不再包含 {hosts}：将校验证书", hosts=" ".join(gone),
        ))  # fmt: skip
    for variables in (False, True):
        won = levels.winner("trusted-host", variables=variables)
        if won and https and trusts(wanted.url, tuple(won.value.split())) and (won.variable or not verified):
            yield Remark(said(
                "trusted-host at {place} turns off certificate checks for {host}",
                "{place} 处的 trusted-host 关闭了对 {host} 的证书校验", place=won.place, host=wanted.host,
            ), "warning")  # fmt: skip
            return


def _of_the_index(wanted: Chosen, probe: IndexProbe | None) -> Iterator[Remark]:
    yield from index_words.catches(probe)
    if wanted.mirror and wanted.mirror.id in CATCHES:
        yield Remark(CATCHES[wanted.mirror.id])
