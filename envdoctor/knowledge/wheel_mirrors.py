"""Where PyTorch's own wheels are mirrored, and whether this machine needs other ones than the default index has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from envdoctor.knowledge import mirrors, rows, table, torch_builds
from envdoctor.knowledge.verdict import Machine, Refusal, judge
from envdoctor.model import Text

Option = Literal["extra-index-url", "find-links"]
OFFICIAL = "pytorch"


@dataclass(frozen=True)
class WheelMirror:
    """A mirror of PyTorch's wheels.

    Attributes:
        url: with a {tag} for the build.
        option: of pip's that takes it: an index, or a page of links.
        note: what to know of it.
    """

    id: str
    url: str
    option: Option
    note: Text | None = None

    def of(self, tag: str) -> str:
        """Its address for a build, "cu126"."""
        return self.url.format(tag=tag)


@dataclass(frozen=True)
class Page:
    """A row of the table."""

    id: str
    url: str
    note_en: str = ""
    note_zh: str = ""


def wheel_mirrors() -> tuple[WheelMirror, ...]:
    """The mirrors, those that are an index first."""
    found = [
        WheelMirror(row.id, f"{row.url.rstrip('/')}/{{tag}}", "extra-index-url") for row in mirrors.torch_indexes()
    ]
    for page in rows("wheel_mirrors", "page", Page):
        note = Text(page.note_en, page.note_zh) if page.note_en else None
        found.append(WheelMirror(page.id, page.url, "find-links", note))
    return tuple(found)


def named(name: str) -> WheelMirror | None:
    return next((mirror for mirror in wheel_mirrors() if mirror.id == name), None)


def owner(url: str) -> str:
    """Whose wheels of PyTorch's an address lists: the id of a mirror, OFFICIAL, or "" for none of them."""
    address: str = table("torch_builds")["meta"]["index"]
    for name, template in ((OFFICIAL, address), *((mirror.id, mirror.url) for mirror in wheel_mirrors())):
        if _shape(template).fullmatch(_place(url)):
            return name
    return ""


def _place(url: str) -> str:
    parts = urlsplit(url.strip())
    return f"{parts.hostname or ''}{parts.path.rstrip('/')}"


def _shape(template: str) -> re.Pattern[str]:
    before, _, after = template.partition("{tag}")
    place = _place(before + "tag" + after)
    return re.compile(re.escape(place.removesuffix("tag").rstrip("/")) + r"(?:/[^/]*)?")


@dataclass(frozen=True)
class Default:
    """The torch that a plain `pip install torch` takes from the default index. `tag` is "" for a CPU build."""

    version: str
    tag: str
    fits: bool


def default_torch(machine: Machine) -> Default | None:
    """What pip takes for this Python and platform, and whether it runs on these GPUs; None if nothing is installable.

    pip passes over releases without a wheel for the Python, platform and glibc; of GPU and driver it knows nothing.
    """
    for release in torch_builds.releases():
        if not release.default:
            continue
        tag = release.default_on(machine.system, machine.machine)
        build = release.build(tag)
        if build is None:
            return Default(release.version, "", fits=False)
        found = judge(release, build, machine)
        if not isinstance(found, Refusal):
            return Default(release.version, tag, fits=True)
        if not {reason.axis for reason in found.reasons} & {"platform", "glibc", "python"}:
            return Default(release.version, tag, fits=False)
    return None


def newest_with(tag: str) -> str:
    """The newest release that PyTorch built for a tag, "2.14.0"; "" for a tag of no release."""
    found = (known.version for known in torch_builds.releases() if tag == "cpu" or known.build(tag))
    return next(found, "")
