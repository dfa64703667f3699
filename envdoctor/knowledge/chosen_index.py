"""The package index that the options of `envdoctor fix pip-mirror` name, and the options that name an index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from envdoctor.errors import UsageError
from envdoctor.facts.mirror_speeds import MirrorSpeeds
from envdoctor.facts.pip import PipConfig, host_of
from envdoctor.facts.pip_rules import put
from envdoctor.knowledge import mirrors
from envdoctor.model import Finding, Text

NAMES = {
    "tuna": Text("the TUNA mirror", "清华大学 TUNA 镜像"),
    "ustc": Text("the USTC mirror", "中国科学技术大学镜像"),
    "aliyun": Text("the Alibaba Cloud mirror", "阿里云镜像"),
    "tencent": Text("the Tencent Cloud mirror", "腾讯云镜像"),
    "huawei": Text("the Huawei Cloud mirror", "华为云镜像"),
    "bfsu": Text("the BFSU mirror", "北京外国语大学镜像"),
    "sjtug": Text("the SJTUG mirror", "上海交通大学 SJTUG 镜像"),
    "nju": Text("the NJU mirror", "南京大学镜像"),
}
OFFICIAL = Text("the official index", "官方索引")


@dataclass(frozen=True)
class Chosen:
    """The index that is wanted: its address, its name, and the mirror of the table it is."""

    url: str
    name: Text
    mirror: mirrors.PypiMirror | None = None
    official: bool = False

    @property
    def host(self) -> str:
        return host_of(self.url)

    def is_at(self, url: str) -> bool:
        return url.rstrip("/") == self.url.rstrip("/")


def chosen(default: str, speeds: MirrorSpeeds | None, options: Mapping[str, Any]) -> Chosen:
    """The index the options name.

    Args:
        default: the official index, which the target's pip alone knows; empty where it did not answer.
        speeds: what --fastest goes by.

    Raises:
        UsageError: they name none, several, or one that cannot be an index.
    """
    given = [name for name in (*mirrors.WITH_OPTION, "official", "url", "fastest") if options.get(name)]
    if len(given) != 1:
        wanted = " ".join(f"--{name}" for name in mirrors.WITH_OPTION)
        told = f"{' and '.join(f'--{name}' for name in given)} exclude each other; " if given else ""
        told_zh = f"{' 与 '.join(f'--{name}' for name in given)} 不能同时使用；" if given else ""
        raise UsageError(
            f"{told}say which index: one of {wanted} --official --url URL --fastest",
            f"{told_zh}请指定索引：{wanted} --official --url URL --fastest 之一",
        )
    if given == ["official"]:
        return Chosen(default, OFFICIAL, official=True)
    if given == ["url"]:
        return _at(str(options["url"]).strip())
    if given == ["fastest"]:
        best = speeds.best if speeds else None
        if best is None:
            raise UsageError(
                "no mirror could be measured, so none is the fastest; `envdoctor bench mirrors` says why each failed, "
                "and --tuna or another by name writes it all the same",
                "没有一个镜像能够测得速度，因此选不出最快的；各自失败的原因见 `envdoctor bench mirrors`，"
                "仍可用 --tuna 等选项按名称写入",
            )
        if default and best.url.rstrip("/") == default.rstrip("/"):
            return Chosen(default, OFFICIAL, official=True)
        return _named(best.name) or _at(best.url)
    found = _named(given[0])
    assert found is not None
    return found


def _named(name: str) -> Chosen | None:
    mirror = mirrors.named(name)
    return Chosen(mirror.index_url, NAMES.get(name) or _plainly(mirror.index_url), mirror) if mirror else None


def _plainly(url: str) -> Text:
    host = (urlsplit(url).hostname or url).replace("{", "{{").replace("}", "}}")
    return Text(host, host)


def _at(url: str) -> Chosen:
    try:
        parts = urlsplit(url)
        wrong = parts.scheme.lower() not in ("http", "https", "file") or (parts.scheme != "file" and not parts.hostname)
        port = parts.port  # raises for one that is no number
    except ValueError:
        wrong, port = True, None
    shown = re.sub(r"//[^/?#]*@", "//", url)  # without credentials
    if wrong or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(
            f"--url {shown!r} is no address of an index; it looks like https://HOST/simple",
            f"--url {shown!r} 不是索引的地址；应形如 https://HOST/simple",
        )
    wheels, mirror = mirrors.wheels(url), mirrors.pypi_mirror(url) if port is None else None
    if wheels:
        better = f"; its index is {wheels.instead}" if wheels.instead else ""
        better_zh = f"；其索引是 {wheels.instead}" if wheels.instead else ""
        raise UsageError(
            f"--url {shown} is a list of files or refuses pip, and no index{better}",
            f"--url {shown} 是文件列表或拒绝 pip 访问，不是索引{better_zh}",
        )
    if mirror and mirror.status == "dead":
        raise UsageError(
            f"--url {shown} is of a mirror that is gone; --aliyun is one that works",
            f"--url {shown} 属于已停止服务的镜像；可改用 --aliyun",
        )
    if mirror and not re.search(r"/simple/?$", parts.path):
        raise UsageError(
            f"--url {shown} lacks the path of an index; that mirror's is {mirror.index_url}",
            f"--url {shown} 缺少索引的路径；该镜像的索引是 {mirror.index_url}",
        )
    return Chosen(url, _plainly(url), mirror)


def fix_of(url: str) -> tuple[str, ...]:
    """Name and arguments of the fix that makes pip ask this index."""
    mirror = mirrors.pypi_mirror(url)
    if mirror and mirror.index_url.rstrip("/") == url.rstrip("/"):
        words = (word for word in (mirror.id, *mirror.words) if word in mirrors.WITH_OPTION)
        for word in words:
            return ("pip-mirror", f"--{word}")
    return ("pip-mirror", "--url", url)


def asks(finding: Finding, config: PipConfig, url: str, python: str) -> Finding:
    """The finding, mended by what makes pip ask this index: the fix, or a command against a variable of the shell.

    Args:
        python: what a shell calls the Python whose pip it is.
    """
    value = config.winner("index-url")
    if (value and value.variable) or not config.pip_version or "@" in urlsplit(url).netloc:
        return finding.mended_by(put(config, value, "index-url", url, python))
    return finding.fixed_by(*fix_of(url))
