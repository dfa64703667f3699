"""Mirrors of the Python package index and of PyTorch's wheels; those of conda are in `conda_channels`."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from envdoctor.knowledge import rows, torch_builds

# A mirror that lacks a release this many days old is behind, not merely between two synchronisations.
BEHIND_DAYS = 30


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
class TorchIndex:
    """A mirror of PyTorch's index of wheels; every build has a folder below `url`, as on PyTorch's own."""

    id: str
    url: str


def pypi() -> tuple[PypiMirror, ...]:
    return rows("mirrors", "pypi", PypiMirror)


def torch_indexes() -> tuple[TorchIndex, ...]:
    """Mirrors of PyTorch's wheels that pip takes as an index."""
    return rows("mirrors", "torch_index", TorchIndex)


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


def expected_release() -> torch_builds.Release:
    """The newest release of torch on the official index that every mirror should have by now, by our table's date."""
    newest_first = torch_builds.releases()
    latest = datetime.date.fromisoformat(max(release.date for release in newest_first))
    settled = (latest - datetime.timedelta(days=BEHIND_DAYS)).isoformat()
    return next(release for release in newest_first if release.default and release.date <= settled)


def owner(host: str) -> str:
    """The part of a host name that its owner registered: two labels, three under such as edu.cn; addresses whole."""
    labels = host.lower().split(".")
    if labels[-1].isdigit() or ":" in host:
        return host.lower()
    second_level = (
        len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in ("edu", "com", "org", "net", "ac", "gov", "co")
    )
    return ".".join(labels[-3 if second_level else -2 :])


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
