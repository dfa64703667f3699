"""Mirrors of conda channels, and what an address says of the mirror it belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from envdoctor.facts.pip import host_of
from envdoctor.knowledge import rows

# Where Anaconda's packages and the channels of anaconda.org are served by those who made them.
OFFICIAL_HOSTS = ("repo.anaconda.com", "repo.continuum.io", "conda.anaconda.org", "conda.binstar.org")
# The part of an address behind its endpoint: /pkgs/main, /cloud, /cloud/conda-forge. All mirrors in the table and
# most others follow TUNA's layout.
LAYOUT = re.compile(
    r"(?P<endpoint>.*?)/(?:pkgs/(?P<packages>[\w.-]+)|cloud(?:/(?P<channel>[\w.-]+))?)(?:/(?P<more>.+))?$"
)
# What the channel "defaults" stands for (conda/base/constants.py, DEFAULT_CHANNELS).
DEFAULTS = ("main", "r")
DEFAULTS_WINDOWS = ("main", "r", "msys2")
# What `envdoctor fix conda-mirror` has an option for.
WITH_OPTION = ("tuna", "ustc", "bfsu", "sjtug", "nju", "zju", "pku")


@dataclass(frozen=True)
class CondaMirror:
    """A mirror of conda channels.

    Attributes:
        endpoint: its address; packages lie in /pkgs/NAME below it, channels in /cloud/NAME.
        words: what else it is called on a command line.
        aliases: former or further endpoints.
        status: "ok", "caution" or "unverified".
        packages: Anaconda's own package sets it holds.
        channels: those of anaconda.org it holds, as far as they are known.
    """

    id: str
    endpoint: str
    words: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    status: str = "ok"
    packages: tuple[str, ...] = DEFAULTS_WINDOWS
    channels: tuple[str, ...] = ()
    note: str = ""

    @property
    def cloud(self) -> str:
        """What belongs into custom_channels: the address without the channel's name, which conda appends."""
        return f"{self.endpoint}/cloud"

    def of_packages(self, name: str) -> str:
        """What belongs into default_channels."""
        return f"{self.endpoint}/pkgs/{name}"


@dataclass(frozen=True)
class Address:
    """A channel's address that follows the layout of a mirror: endpoint, and a package set or a channel."""

    endpoint: str
    packages: str = ""
    channel: str = ""

    @property
    def official(self) -> bool:
        """Whether those who made the packages serve them there."""
        return host_of(self.endpoint) in OFFICIAL_HOSTS


def mirrors() -> tuple[CondaMirror, ...]:
    """All mirrors known."""
    return rows("mirrors", "conda", CondaMirror)


def named(name: str) -> CondaMirror | None:
    """The mirror that a command line calls so; None for no mirror."""
    wanted = name.strip().lower()
    return next((mirror for mirror in mirrors() if wanted in (mirror.id, *mirror.words)), None)


def address(url: str) -> Address | None:
    """An address taken apart; None for a plain name and for what does not follow the layout."""
    if not re.match(r"https?://", url, re.I):
        return None
    if host_of(url) == "conda.anaconda.org":
        channel = urlsplit(url).path.strip("/").partition("/")[0]
        return Address("https://conda.anaconda.org", channel=channel)
    found = LAYOUT.fullmatch(url.rstrip("/"))
    return Address(found["endpoint"], found["packages"] or "", found["channel"] or "") if found else None


def mirror_of(url: str) -> CondaMirror | None:
    """The known mirror an address belongs to."""
    place = host_of(url) + urlsplit(url).path.rstrip("/") + "/" if host_of(url) else ""
    for mirror in mirrors():
        for endpoint in (mirror.endpoint, *mirror.aliases):
            if place.startswith(host_of(endpoint) + urlsplit(endpoint).path.rstrip("/") + "/"):
                return mirror
    return None
