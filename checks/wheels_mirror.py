"""`envdoctor fix pytorch-wheels-mirror`: PyTorch's own wheels from a mirror, where the default wheel is no good."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from envdoctor import ByHand, Files, Missing, Option, Place, Plan, Remark, Said, Text, Topic, UsageError, fix, said
from envdoctor.edits import index_words, ini
from envdoctor.edits.pip_levels import COMMANDS, Levels, Written
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces
from envdoctor.facts.pip import PipConfig, PipEffective, host_of
from envdoctor.facts.pip_rules import is_plain
from envdoctor.facts.python import Python
from envdoctor.knowledge import mirrors, wheel_mirrors
from envdoctor.knowledge.installing import BUILD_TAG
from envdoctor.knowledge.prescription import prescribe
from envdoctor.knowledge.wheel_mirrors import OFFICIAL, WheelMirror

TOPIC = Topic("pip", 315, Text("PyTorch's wheels from a mirror", "从镜像下载 PyTorch 的 wheel"))

LISTS = ("extra-index-url", "find-links")
NAMES = {
    "nju": Text("the NJU mirror, an index", "南京大学镜像，为软件包索引"),
    "sjtug": Text("the SJTUG mirror, a page of links", "上海交通大学 SJTUG 镜像，为链接页面"),
    "aliyun": Text("the Alibaba Cloud mirror, a page of links", "阿里云镜像，为链接页面"),
}


def _chosen(options: dict[str, Any]) -> WheelMirror | None:
    """The mirror that is asked for, None for none any more. Raises UsageError."""
    given = [name for name in (*NAMES, "official", "url") if options.get(name)]
    if len(given) != 1:
        told = f"{' and '.join(f'--{name}' for name in given)} exclude each other; " if given else ""
        told_zh = f"{' 与 '.join(f'--{name}' for name in given)} 不能同时使用；" if given else ""
        known = " ".join(f"--{name}" for name in NAMES)
        raise UsageError(
            f"{told}say which mirror: one of {known} --official --url URL (TUNA and BFSU mirror no wheels of PyTorch)",
            f"{told_zh}请指定镜像：{known} --official --url URL 之一（TUNA 与 BFSU 不镜像 PyTorch 的 wheel）",
        )
    if given == ["official"]:
        return None
    return _at(str(options["url"]).strip()) if given == ["url"] else wheel_mirrors.named(given[0])


def _at(url: str) -> WheelMirror:
    shown = re.sub(r"//[^/?#]*@", "//", url)  # without credentials
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or not url.isascii() or not url.isprintable() or any(sign in url for sign in " {}"):
        raise UsageError(
            f"--url {shown!r} is no address of wheels; it looks like https://HOST/whl or https://HOST/whl/cu126",
            f"--url {shown!r} 不是 wheel 的地址；应形如 https://HOST/whl 或 https://HOST/whl/cu126",
        )
    known = mirrors.wheels(url)
    if known and known.kind != "flat":
        raise UsageError(
            f"--url {shown} serves no wheels of PyTorch's; --nju, --sjtug and --aliyun do",
            f"--url {shown} 不提供 PyTorch 的 wheel；可用 --nju、--sjtug 或 --aliyun",
        )
    bare = re.sub(r"/(?:cpu|cu\d+)/?$", "", url).rstrip("/")
    return WheelMirror("url", bare + "/{tag}" + ("/" if known else ""), "find-links" if known else "extra-index-url")


@dataclass(frozen=True)
class Need:
    """The build this machine needs from PyTorch's own wheels.

    Attributes:
        tag, release: of the newest build that fits; "" where none is needed, or none is known.
        default: the torch that the default index gives, "2.14.0+cu130".
        why: "default-fits", "no-gpu" or "nothing-fits" where `tag` is "".
    """

    tag: str = ""
    release: str = ""
    default: str = ""
    why: str = ""


def _need(
    host: Host | None, python: Python | None, driver: Driver | None, gpus: Gpus | None, environment: Environment | None
) -> Need:
    found = prescribe(host, python, driver, gpus, environment)
    default = wheel_mirrors.default_torch(found.machine)
    told = f"{default.version}+{default.tag or 'cpu'}" if default else ""
    best = found.verdict.best
    if not found.seen.gpus:
        return Need(default=told, why="no-gpu")
    if default and default.fits:
        return Need(default=told, why="default-fits")
    return Need(best.tag, best.version, told) if best else Need(default=told, why="nothing-fits")


def places(
    host: Host | None, python: Python | None, driver: Driver | None, gpus: Gpus | None,
    environment: Environment | None, **options: Any,
) -> Iterable[Place]:  # fmt: skip
    """A mirror that is an index is asked before it is written; a page of links has no page for torch alone."""
    mirror = _chosen(options)
    tag = options.get("build") or _need(host, python, driver, gpus, environment).tag
    if mirror and tag and mirror.option == "extra-index-url":
        yield Place(mirror.of(tag))


def takes_effect(plan: Plan, config: PipConfig, effective: PipEffective | Missing) -> Iterator[Said]:
    """Whether the target's own pip looks where it should, and in no other mirror of the wheels."""
    option, url = str(plan.wants.get("option", "")), str(plan.wants.get("url", ""))
    if not option:
        return
    if isinstance(effective, Missing) or effective.error:
        why = (effective.detail or effective.reason) if isinstance(effective, Missing) else effective.error
        yield said("this Python's pip did not answer: {why}", "该 Python 的 pip 没有应答：{why}", why=why)
        return
    told = set()
    for command in effective.commands:
        taken = {"extra-index-url": command.extra_index_urls, "find-links": command.find_links}
        others = [one for name in LISTS for one in taken[name] if wheel_mirrors.owner(one) not in ("", OFFICIAL)]
        if url and url.rstrip("/") in [one.rstrip("/") for one in taken[option]]:
            continue
        won = config.winner(option, command.command)
        place = won.place if won else ""
        if url and place not in told:
            told.add(place)
            yield said("{place} wins: `pip {command}` does not look at {url}",
                       "以 {place} 为准：`pip {command}` 不会访问 {url}",
                       place=place or "pip", command=command.command, url=url)  # fmt: skip
        elif not url and others and others[0] not in told:
            told.add(others[0])
            yield said("`pip {command}` still looks at {url}", "`pip {command}` 仍会访问 {url}",
                       command=command.command, url=others[0])  # fmt: skip


@fix(
    "pytorch-wheels-mirror",
    Text(
        "PyTorch's own wheels from a mirror, where the default wheel does not fit this machine",
        "默认 wheel 不适合本机时，从镜像下载 PyTorch 官方 wheel",
    ),
    watches=("pip-cpu-index", "pip-config-broken"),
    asks=places,
    verify=takes_effect,
    options={
        **{name: Option(text) for name, text in NAMES.items()},
        "official": Option(Text("no mirror of the wheels: takes the setting away", "不用 wheel 镜像：删除该设置")),
        "url": Option(Text("an index of your own with the builds below it", "自己的索引，其下为各构建"), metavar="URL"),
        "build": Option(Text("this build, whatever fits: cu126, cpu", "指定构建，例如 cu126、cpu"), metavar="TAG"),
    },
)
def pytorch_wheels_mirror(
    config: PipConfig, effective: PipEffective | Missing, host: Host | None, python: Python | None,
    driver: Driver | None, gpus: Gpus | None, environment: Environment | None, files: Files, asked: AskedPlaces | None,
    *, nju: bool = False, sjtug: bool = False, aliyun: bool = False, official: bool = False, url: str = "",
    build: str = "",
) -> Plan:  # fmt: skip
    """An extra index or a find-links page for the one build that fits, beside whatever index pip has."""
    mirror = _chosen({"nju": nju, "sjtug": sjtug, "aliyun": aliyun, "official": official, "url": url})
    if build and not BUILD_TAG.fullmatch(build):
        raise UsageError(
            f"--build {build!r} is no build of PyTorch's; it looks like cu126 or cpu",
            f"--build {build!r} 不是 PyTorch 的构建；应形如 cu126 或 cpu",
        )
    need = _need(host, python, driver, gpus, environment)
    tag = build or need.tag
    release = need.release if tag == need.tag else wheel_mirrors.newest_with(tag)
    if mirror is not None and not tag:
        return _not_needed(need)
    if mirror is not None and not config.pip_version:
        return _by_uv(mirror.of(tag), tag, release, python)
    levels = Levels(config, files)
    if broken := next((sheet for sheet in levels.sheets if sheet.hopeless or sheet.faults), None):
        raise UsageError(
            f"pip cannot read {broken.path}; mend it first: `envdoctor fix pip-config-broken`",
            f"pip 无法读取 {broken.path}；请先修复：`envdoctor fix pip-config-broken`",
        )
    wanted = mirror.of(tag) if mirror else ""
    try:
        _write(levels, mirror.option if mirror else "", wanted)
    except ini.Unfit as error:
        raise UsageError(
            f"pip's configuration is such that no safe edit is known ({error}); write it by hand",
            f"无法安全地修改现有的 pip 配置（{error}）；请手工修改",
        ) from error
    edits = levels.edits(0o600 if "@" in urlsplit(wanted).netloc else 0o644)
    if mirror is None:
        title = said("No mirror of PyTorch's wheels for pip", "pip 不再使用 PyTorch wheel 镜像")
        return Plan(title, edits, wants={"option": LISTS[0], "url": ""})
    title = said("Take PyTorch's {tag} wheels from {host}", "从 {host} 下载 PyTorch 的 {tag} wheel",
                 tag=tag, host=host_of(wanted))  # fmt: skip
    probe = asked.of(wanted) if asked else None
    remarks = (*index_words.catches(probe), *_consequences(mirror, wanted, tag, release, need.default))
    return Plan(title, edits, remarks=remarks, wants={"option": mirror.option, "url": wanted})


def _write(levels: Levels, option: str, url: str) -> None:
    """One address of PyTorch's wheels in pip's lists, and no other; none for option ""."""
    for name in LISTS:
        # Without a mirror, PyTorch's own index stays: the user named it.
        gone = {OFFICIAL, ""} if not option else {""}
        for command in COMMANDS:
            stale = [word for word in _words(levels.winner(name, command)) if _is_stale(word, url, gone)]
            won = levels.winner(name, command)
            if won is not None and won.own and stale:
                levels.remove(won, stale)
        if name != option:
            continue
        for command in COMMANDS:
            won = levels.winner(name, command)
            if won is not None and won.own and url not in _words(won):
                levels.extend(won, url)
        levels.make(name, lambda won: " ".join([*_words(won), url]), lambda won: url in _words(won))


def _words(won: Written | None) -> list[str]:
    return won.value.split() if won else []


def _is_stale(word: str, url: str, kept: set[str]) -> bool:
    return word != url and wheel_mirrors.owner(word) not in kept


def _not_needed(need: Need) -> Plan:
    if need.why == "nothing-fits":
        raise UsageError(
            "no build of PyTorch's fits this machine, from wherever; `envdoctor check torch` says why",
            "没有适合本机的 PyTorch 构建，换任何来源都一样；原因见 `envdoctor check torch`",
        )
    why = (
        said("the default index has the right wheel for this machine, torch {default}: pip-mirror is enough",
             "默认索引中的 wheel（torch {default}）正适合本机：使用 pip-mirror 即可", default=need.default)
        if need.why == "default-fits"
        else said("no NVIDIA GPU is seen here, so any wheel will do: pip-mirror is enough; `--build cpu` asks for the "
                  "smaller ones",
                  "这里看不到 NVIDIA GPU，任何 wheel 都可用：使用 pip-mirror 即可；`--build cpu` 可选用更小的 wheel")
    )  # fmt: skip
    return Plan(said("No mirror of PyTorch's wheels is needed", "不需要 PyTorch wheel 镜像"), remarks=(Remark(why),))


def _by_uv(url: str, tag: str, release: str, python: Python | None) -> Plan:
    """uv reads nothing of pip's; in a project it keeps the index and what it is for by itself."""
    wanted = f"torch=={release}+{tag}" if release else "torch"
    target = f" --python {shlex.quote(python.executable)}" if python and python.executable else ""
    steps = (
        ByHand(f"uv add --index pytorch-{tag}={shlex.quote(url)} {wanted}",
               said("in a project: writes the index and [tool.uv.sources] for torch into pyproject.toml, and its "
                    "address into uv.lock; add `explicit = true` to the index, so that nothing else comes from there",
                    "在项目中：把该索引和 torch 的 [tool.uv.sources] 写入 pyproject.toml，并把地址写入 uv.lock；"
                    "请给该索引加上 `explicit = true`，使其他软件包不会来自该处")),
        ByHand(f"uv pip install{target} --index {shlex.quote(url)} {wanted}",
               said("outside of a project", "不在项目中时")),
    )  # fmt: skip
    title = said("This Python has no pip: torch comes by uv, which takes the mirror as an option",
                 "该 Python 没有 pip：由 uv 安装 torch，通过选项指定镜像")  # fmt: skip
    return Plan(title, by_hand=steps)


def _consequences(mirror: WheelMirror, url: str, tag: str, release: str, default: str) -> Iterator[Remark]:
    pin = f"torch=={release}+{tag}" if release else f"torch==VERSION+{tag}"
    yield Remark(said(
        "pip takes the highest version of all places: a +{tag} wheel before the same version of the index, but a newer "
        "version of the index before both; `pip install {pin}` settles it",
        "pip 在所有来源中取最高版本：同一版本时 +{tag} 的 wheel 优先，但索引中有更新版本时会选更新的；"
        "使用 `pip install {pin}` 可确定结果",
        tag=tag, pin=pin,
    ), "note" if release and default.startswith(f"{release}+") else "warning")  # fmt: skip
    if mirror.option == "extra-index-url":
        yield Remark(said(
            "an extra index has no lower rank: pip may take any package from {host} that it lists in a higher version, "
            "one of your own company's name too",
            "额外索引并不低一等：只要 {host} 列出的版本更高，pip 就可能从那里下载任何软件包，"
            "包括与公司内部同名的软件包",
            host=host_of(url),
        ), "warning")  # fmt: skip
    else:
        yield Remark(said(
            "find-links adds the files of that page only; all else comes from the index",
            "find-links 只增加该页面上的文件；其余仍来自索引",
        ))  # fmt: skip
    if is_plain(url):
        yield Remark(said(
            "plain HTTP: anyone on the path can replace a package, and pip refuses it without trusted-host",
            "明文 HTTP：链路上的任何人都可以替换软件包；没有 trusted-host 时 pip 会拒绝",
        ), "warning")  # fmt: skip
    if mirror.note:
        yield Remark(Said(mirror.note))
