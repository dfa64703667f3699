"""`envdoctor fix conda-mirror`: conda asks a mirror for its channels, or those who make the packages again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envdoctor import EditFile, Files, Option, Place, Plan, Remark, Said, Text, Topic, UsageError, fix, said
from envdoctor.edits.conda_switch import Recipe, on_mirror, packages_of, plain, switch
from envdoctor.edits.condarc import CondarcText
from envdoctor.edits.yaml_scalars import NotUnderstood
from envdoctor.facts.conda import CondaConfig
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.pip import host_of
from envdoctor.knowledge import conda_channels
from envdoctor.knowledge.conda_channels import CondaMirror

TOPIC = Topic("conda", 321)

# Channels that training asks for by name although no file lists them: conda install -c conda-forge, -c pytorch.
ASKED_BY_NAME = ("conda-forge", "pytorch")
# Words of `channels` that name no channel of anaconda.org.
NO_CHANNEL = ("defaults", "local", "nodefaults", "<unknown>")
LAST_ON_PYTORCH = "2.5.1"  # pytorch/pytorch#138506: the channel "pytorch" gets no newer torch
# What to know of a mirror that works, by its id in the table.
CATCHES = {
    "tuna": said(
        "TUNA took its conda mirror away for a week in August 2026 and may do so again without notice",
        "TUNA 曾于 2026 年 8 月将 conda 镜像下线一周，今后仍可能不经通知下线",
    ),
    "ustc": said(
        "USTC sends conda on to TUNA for channels it does not hold", "中科大镜像会把未收录的频道重定向到 TUNA"
    ),
}


def _mirror(options: Mapping[str, Any]) -> CondaMirror | None:
    """The mirror that was asked for; None for the official channels. Raises UsageError."""
    url, official = str(options.get("url", "")), bool(options.get("official"))
    named = [name for name in conda_channels.WITH_OPTION if options.get(name)]
    if len(named) + bool(url) + official != 1:
        known = " ".join(f"--{name}" for name in conda_channels.WITH_OPTION)
        raise UsageError(
            f"say which mirror: one of {known}, or --url URL; --official takes every mirror out again",
            f"请指定镜像：{known} 之一，或 --url URL；--official 会移除所有镜像",
        )
    if official:
        return None
    if url:
        return _of_url(url)
    return conda_channels.named(named[0])


def _of_url(url: str) -> CondaMirror:
    endpoint = url.rstrip("/")
    place = conda_channels.address(endpoint)
    if not re.fullmatch(r"https?://[!-~]+", endpoint) or not host_of(endpoint):
        raise UsageError(
            f"--url {url!r} is no address such as https://mirror.example/anaconda",
            f"--url {url!r} 不是形如 https://mirror.example/anaconda 的地址",
        )
    if place is not None:
        raise UsageError(
            f"--url takes the address above /pkgs and /cloud: {place.endpoint}",
            f"--url 应为 /pkgs 与 /cloud 的上一级地址：{place.endpoint}",
        )
    known = conda_channels.mirror_of(endpoint)
    return known if known and known.endpoint == endpoint else CondaMirror("", endpoint)


def _in_use(config: CondaConfig) -> list[str]:
    """The channels that the files name: plainly, by an address on a mirror, or in custom_channels."""
    found = [plain(channel).partition("/")[0] for channel in config.channels if "://" not in plain(channel)]
    for file in config.files:
        custom = file.setting("custom_channels")
        found += [pair.name for pair in (custom.pairs if custom else ()) if on_mirror("".join(pair.items[:1]))]
    return [name for name in dict.fromkeys(found) if name and name not in NO_CHANNEL and "\\" not in name]


def _theirs(config: CondaConfig) -> dict[str, str]:
    """Entries of custom_channels in any file that are no mirror's by their form: a company's server. They stay."""
    found = {}
    for file in config.files:
        custom = file.setting("custom_channels")
        for pair in custom.pairs if custom else ():
            value = "".join(pair.items[:1])
            if conda_channels.address(value) is None:
                found[pair.name] = value
    return found


def _uses_defaults(config: CondaConfig) -> bool:
    """conda asks for Anaconda's packages: where no channel is set, where "defaults" is, where a file says how."""
    return (
        not config.channels
        or "defaults" in map(plain, config.channels)
        or any(file.setting("default_channels") for file in config.files)
    )


def _recipe(mirror: CondaMirror | None, config: CondaConfig, host: Host | None) -> Recipe:
    """All that the mirror should hold of what is used here, before anybody asked it."""
    if mirror is None:
        return Recipe()
    windows = host is not None and host.system == "windows"
    wanted = conda_channels.DEFAULTS_WINDOWS if windows else conda_channels.DEFAULTS
    defaults = [mirror.of_packages(name) for name in wanted if name in mirror.packages and _uses_defaults(config)]
    used = _in_use(config)
    names = [*ASKED_BY_NAME, *(name for name in used if name not in (*ASKED_BY_NAME, "nvidia")), "nvidia"]
    theirs = _theirs(config)
    custom = {}
    for name in names:
        if name in theirs:
            continue
        if name in mirror.channels or (not mirror.channels and (name in used or name == "conda-forge")):
            custom[name] = mirror.cloud
        elif name == "nvidia" and mirror.channels:
            custom[name] = next(other.cloud for other in conda_channels.mirrors() if name in other.channels)
    return Recipe(tuple(defaults), custom)


def _url(name: str, cloud: str) -> str:
    return f"{cloud}/{name}"


def places(config: CondaConfig, host: Host | None, **options: Any) -> Iterable[Place]:
    """Every address that would be written: one that is gone ends every `conda install`."""
    recipe = _recipe(_mirror(options), config, host)
    for address in (*recipe.defaults, *(_url(name, cloud) for name, cloud in recipe.custom.items())):
        yield Place(address, "channel")


def _state(probe: IndexProbe | None) -> str:
    """ "alive", "gone", or "unknown" where nobody can tell."""
    if probe is None or not probe.reached or probe.status is None:
        return "unknown"
    if probe.status in (404, 410) or probe.status_platform in (404, 410):
        return "gone"
    return "alive" if probe.status < 400 and (probe.status_platform or 200) < 400 else "unknown"


def _told(url: str, probe: IndexProbe | None) -> str:
    if probe is None:
        return url
    status = f"HTTP {probe.status_platform if (probe.status or 0) < 400 else probe.status}"
    return f"{url} ({status if probe.reached else probe.outcome})"


def _tried(recipe: Recipe, asked: AskedPlaces | None, mirror: CondaMirror) -> tuple[Recipe, list[Remark]]:
    """The recipe without what is not there, and what to say about it."""
    every = [*recipe.defaults, *(_url(name, cloud) for name, cloud in recipe.custom.items())]
    probes = {url: asked.of(url) if asked else None for url in every}
    states = {url: _state(probe) for url, probe in probes.items()}
    own = [url for url in every if url.startswith(mirror.endpoint + "/")]
    if own and all(states[url] == "gone" for url in own):
        raise UsageError(
            f"{mirror.endpoint} holds none of these channels now: {_told(own[0], probes[own[0]])}; take another mirror",
            f"{mirror.endpoint} 目前没有这些频道：{_told(own[0], probes[own[0]])}；请换用其他镜像",
        )
    # What nobody asked for by name is written only where it is known to be there.
    custom = {
        name: cloud
        for name, cloud in recipe.custom.items()
        if states[_url(name, cloud)] == "alive" or (states[_url(name, cloud)] == "unknown" and _url(name, cloud) in own)
    }
    kept = Recipe(tuple(url for url in recipe.defaults if states[url] != "gone"), custom)
    remarks = []
    if gone := [_told(url, probes[url]) for url in own if states[url] == "gone"]:
        text = said(
            "left out, because one address that is gone ends every `conda install`: {gone}",
            "已略去：{gone}，因为只要有一个地址失效，所有 `conda install` 都会失败",
            gone=", ".join(gone),
        )
        remarks.append(Remark(text))
    silent = [_told(url, probes[url]) for url in own if states[url] == "unknown"]
    if silent and asked is not None:
        text = said(
            "written although no list of packages came from there just now: {silent}{more}",
            "以下地址目前无法取得软件包列表，但仍会写入：{silent}{more}",
            silent=silent[0],
            more=f" (+{len(silent) - 1})" if len(silent) > 1 else "",
        )
        remarks.append(Remark(text, "warning"))
    elif silent:
        text = said(
            "no address was asked (--offline), so none is known to answer",
            "未探测任何地址（--offline），无法确认它们可用",
        )
        remarks.append(Remark(text, "warning"))
    return kept, remarks


def _target(config: CondaConfig) -> str:
    """The user's own file: the strongest that is there, else the one `conda config` makes."""
    home = config.home
    usual = [f"{home}/{folder}{name}" for folder in (".config/conda/", ".conda/") for name in (".condarc", "condarc")]
    there = [file.path for file in config.files if file.path in usual or file.path == f"{home}/.condarc"]
    return there[-1] if there else f"{home}/.condarc"


def _holder(config: CondaConfig, key: str, target: str) -> str:
    """The file that is to hold a key: the first that is marked #!final, since nothing stronger counts."""
    finals = [file.path for file in config.files if (setting := file.setting(key)) and setting.final]
    return finals[0] if finals else target


def _edits(config: CondaConfig, recipe: Recipe, files: Files) -> tuple[list[EditFile], list[Remark]]:
    target = _target(config)
    there = [file.path for file in config.files]
    paths = [path for path in config.search if path in there or path == target]
    edits, remarks = [], []
    for number, path in enumerate(paths):
        try:
            before = files.read(path)
            text = CondarcText(before or b"")
            switch(
                text,
                recipe,
                defaults_here=path == _holder(config, "default_channels", target),
                custom_here=path == _holder(config, "custom_channels", target),
                weaker=target in paths[number + 1 :],
            )
        except (OSError, NotUnderstood) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            if path == target:
                raise UsageError(
                    f"{path} is not edited: {why}; mend it or move it away, then run this again",
                    f"未修改 {path}：{why}；请先修好或移走该文件，再重新运行",
                ) from None
            text_of = said("{path} is left as it is: {why}", "{path} 保持原样：{why}", path=path, why=str(why))
            remarks.append(Remark(text_of, "warning"))
            continue
        if before is not None or text.data():
            edits.append(EditFile(path, before, text.data()))
    return edits, remarks


def _remarks(config: CondaConfig, recipe: Recipe, mirror: CondaMirror | None, files: Files) -> Iterator[Remark]:
    """What a user should know who says yes."""
    mamba = f"{config.home}/.mambarc"
    if b"channel" in (files.read(mamba) or b""):
        yield Remark(
            said(
                "mamba reads {path} too, and what it says of channels wins there",
                "mamba 还会读取 {path}，其中的频道设置优先",
                path=mamba,
            ),
            "warning",
        )
    if recipe.defaults:
        yield Remark(
            said(
                "a mirror of `defaults` does not change its licence: Anaconda's terms of service ask larger "
                "organisations to pay for these packages wherever they come from; conda-forge is free of that",
                "镜像 `defaults` 并不改变其许可：无论从哪里下载，Anaconda 的服务条款都要求较大的机构为这些软件包付费；"
                "conda-forge 没有这一限制",
            )
        )
    elif mirror is not None and _uses_defaults(config):
        yield Remark(
            said(
                "{endpoint} holds no `defaults`: those packages still come from Anaconda",
                "{endpoint} 没有 `defaults`：这些软件包仍从 Anaconda 官方下载",
                endpoint=mirror.endpoint,
            ),
            "warning",
        )
    if mirror is not None and mirror.id in CATCHES:
        yield Remark(CATCHES[mirror.id])
    if "pytorch" in _in_use(config):
        yield Remark(
            said(
                "the channel `pytorch` ended with torch {last}: newer ones come from conda-forge or pip",
                "`pytorch` 频道止于 torch {last}：更新的版本请用 conda-forge 或 pip",
                last=LAST_ON_PYTORCH,
            )
        )
    for name, value in _theirs(config).items():
        yield Remark(
            said("{name} stays at {url}", "{name} 仍指向 {url}", name=name, url=value),
        )
    for file in config.files:
        for key in ("allowlist_channels", "custom_multichannels"):
            setting = file.setting(key)
            if mirror and setting and (key == "allowlist_channels" or "defaults" in [p.name for p in setting.pairs]):
                yield Remark(
                    said(
                        "{key} at {file}:{line} decides over this: look at it where conda refuses the mirror",
                        "{file}:{line} 的 {key} 优先于此设置：若 conda 拒绝该镜像，请检查它",
                        key=key, file=file.path, line=setting.line,
                    ),
                    "warning",
                )  # fmt: skip
    if mirror is not None:
        yield Remark(
            said(
                "conda keeps lists of packages it has fetched before; `conda clean -i` drops them",
                "conda 会保留以前下载的软件包列表；`conda clean -i` 可清除",
            )
        )


def _written(recipe: Recipe) -> str:
    return " ".join(f"{name}={cloud}" for name, cloud in sorted(recipe.custom.items()))


def takes_effect(plan: Plan, config: CondaConfig | None) -> Iterable[Said]:
    """The addresses conda works out from all its files and the environment against those that were to be written."""
    if config is None:
        return
    wanted = str(plan.wants["default_channels"]).split()
    others = [url for url in config.default_channels if url not in wanted and packages_of(url)]
    lacking = [url for url in wanted if url not in config.default_channels]
    for url in [*lacking, *others]:
        en = "default_channels lack {url}{by}" if url in lacking else "default_channels also hold {url}{by}"
        zh = "default_channels 中没有 {url}{by}" if url in lacking else "default_channels 中还有 {url}{by}"
        yield said(en, zh, url=url, by=_by(config, "default_channels", "CONDA_DEFAULT_CHANNELS", url))
    custom = dict(entry.split("=", 1) for entry in str(plan.wants["custom_channels"]).split())
    found = {pair.name: "".join(pair.items[:1]) for pair in config.custom_channels}
    for name in dict.fromkeys([*custom, *(name for name, value in found.items() if on_mirror(value))]):
        if found.get(name, "") != custom.get(name, ""):
            yield said(
                "{name} is asked of {found}{by}",
                "{name} 仍指向 {found}{by}",
                name=name, found=found.get(name) or "anaconda.org",
                by=_by(config, "custom_channels", "CONDA_CUSTOM_CHANNELS", name),
            )  # fmt: skip
    if on_mirror(config.channel_alias):
        yield said(
            "channel_alias sends every other channel to {url}{by}",
            "channel_alias 会把其他所有频道指向 {url}{by}",
            url=config.channel_alias, by=_by(config, "channel_alias", "CONDA_CHANNEL_ALIAS", config.channel_alias),
        )  # fmt: skip


def _by(config: CondaConfig, key: str, variable: str, about: str) -> str:
    """Who says so: a variable with its way out, or a file and line."""
    if any(pair.name == variable for pair in config.variables):
        return f" ({variable}; unset {variable})"
    for file in reversed(config.files):
        setting = file.setting(key)
        if setting and about in (*setting.items, *(pair.name for pair in setting.pairs)):
            line = next((pair.line for pair in setting.pairs if pair.name == about), setting.line)
            return f" ({file.path}:{line})"
    return ""


@fix(
    "conda-mirror",
    Text("conda asks a mirror for its channels", "让 conda 使用镜像站的频道"),
    mends=("conda-channel-unreachable", "conda-channel-doubled"),
    asks=places,
    verify=takes_effect,
    options={
        "tuna": Option(Text("Tsinghua University", "清华大学 TUNA")),
        "ustc": Option(Text("USTC: community channels only", "中国科学技术大学：仅社区频道")),
        "bfsu": Option(Text("Beijing Foreign Studies University", "北京外国语大学")),
        "sjtug": Option(Text("Shanghai Jiao Tong University", "上海交通大学")),
        "nju": Option(Text("Nanjing University", "南京大学")),
        "zju": Option(Text("Zhejiang University", "浙江大学")),
        "pku": Option(Text("Peking University", "北京大学")),
        "url": Option(
            Text("another mirror, its address above /pkgs and /cloud", "其他镜像：/pkgs 与 /cloud 的上一级地址"),
            metavar="URL",
        ),
        "official": Option(Text("take every mirror out again", "去掉所有镜像设置，恢复官方源")),
    },
)  # fmt: skip
def conda_mirror(
    config: CondaConfig, host: Host | None, files: Files, asked: AskedPlaces | None, *, tuna: bool = False,
    ustc: bool = False, bfsu: bool = False, sjtug: bool = False, nju: bool = False, zju: bool = False,
    pku: bool = False, url: str = "", official: bool = False,
) -> Plan:  # fmt: skip
    named = {"tuna": tuna, "ustc": ustc, "bfsu": bfsu, "sjtug": sjtug, "nju": nju, "zju": zju, "pku": pku}
    mirror = _mirror({**named, "url": url, "official": official})
    recipe = _recipe(mirror, config, host)
    remarks: list[Remark] = []
    if mirror is not None:
        recipe, remarks = _tried(recipe, asked, mirror)
    edits, odd = _edits(config, recipe, files)
    changes = any(edit.changes for edit in edits)
    title = said(
        "conda asks {endpoint} for its channels",
        "让 conda 从 {endpoint} 获取软件包",
        endpoint=mirror.endpoint,
    ) if mirror else said(
        "conda asks the official hosts for its channels",
        "让 conda 从官方源获取软件包",
    )  # fmt: skip
    return Plan(
        title=title,
        edits=tuple(edits),
        remarks=(*remarks, *odd, *(_remarks(config, recipe, mirror, files) if changes else ())),
        wants={"default_channels": " ".join(recipe.defaults), "custom_channels": _written(recipe)},
    )
