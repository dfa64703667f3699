"""Mirrors of the Python package index, of conda channels and of PyTorch's wheels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from envdoctor.knowledge import rows


@dataclass(frozen=True)
class PypiMirror:
    """A mirror of the Python package index.

    Attributes:
        index_url: what belongs into `index-url`.
        words: what else it is called on a command line, see `named`.
        aliases: further hosts, or hosts with the beginning of a path, that are this mirror.
        status: "ok", "caution", "redirect", "dead" or "unverified".
        instead: what to use in its place.
        since: when it ended, if that is known.
        intranet: the cloud inside which alone it resolves.
    """

    id: str
    index_url: str
    aliases: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    status: str = "ok"
    instead: str = ""
    since: str = ""
    intranet: str = ""
    note: str = ""


@dataclass(frozen=True)
class Wheels:
    """An address of PyTorch's wheels that is no index: `kind` is "flat", "refused" or "invented"."""

    id: str
    matches: str
    kind: str
    instead: str = ""


@dataclass(frozen=True)
class CondaMirror:
    id: str
    endpoint: str
    status: str = "ok"
    note: str = ""


def pypi() -> tuple[PypiMirror, ...]:
    return rows("mirrors", "pypi", PypiMirror)


def conda() -> tuple[CondaMirror, ...]:
    return rows("mirrors", "conda", CondaMirror)


def _place(url: str) -> str:
    """ "host/path" of a URL, without scheme, credentials and port."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        return (parts.hostname or "") + parts.path.rstrip("/")
    except ValueError:
        return ""


def _within(place: str, beginning: str) -> bool:
    return place == beginning or place.startswith(beginning.rstrip("/") + "/")


def pypi_mirror(url: str) -> PypiMirror | None:
    """The mirror an index URL belongs to, None for one that is not in the table.

    A host is one mirror; where several share it, as a big site's paths do, the path decides.
    """
    place = _place(url)
    host = place.partition("/")[0]
    for mirror in pypi():
        own = _place(mirror.index_url)
        beginnings = (own.partition("/")[0] if own.startswith("pypi.") else own, *mirror.aliases)
        if any(_within(place, beginning) for beginning in beginnings):
            return mirror
    # A wrong path on a host that serves nothing but the index is still that mirror.
    return next((m for m in pypi() if _place(m.index_url).partition("/")[0] == host and "/pypi" in place), None)


def named(name: str) -> PypiMirror | None:
    """The mirror that a command line calls `name`: its id or another word for it, in any case; None for no mirror.

    OFFICIAL is none of them: the address of the official index is known from the target's own pip alone.
    """
    wanted = name.strip().lower()
    return next((mirror for mirror in pypi() if wanted in (mirror.id, *mirror.words)), None)


def wheels(url: str) -> Wheels | None:
    """What is known of an address of PyTorch's wheels that is used as an index."""
    place = _place(url)
    return next((row for row in rows("mirrors", "wheels", Wheels) if re.search(row.matches, place)), None)


# Recommended in this order where a dead or broken mirror is to be replaced and the row names no other.
FIRST_CHOICE = "https://mirrors.aliyun.com/pypi/simple"
SECOND_CHOICE = "https://mirrors.huaweicloud.com/repository/pypi/simple"
# What a command line calls the official index, and the mirrors that `envdoctor fix pip-mirror` has an option for.
OFFICIAL = "official"
WITH_OPTION = ("tuna", "ustc", "aliyun", "tencent", "huawei", "bfsu", "sjtug", "nju")
