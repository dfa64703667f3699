"""What a package index lists of torch. The page comes from anywhere: it costs bounded time and memory, and no error."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote, urljoin

import msgspec

from envdoctor.facts.pip import host_of

# PEP 427, with a version of digits alone: previews are left out, as pip leaves them out. All counts are bounded.
WHEEL = re.compile(
    r"torch-(?P<version>\d{1,9}(?:\.\d{1,9}){0,5})(?:\+[A-Za-z0-9.]{1,40})?(?:-\d[A-Za-z0-9_]{0,40})?"
    r"-(?P<python>[A-Za-z0-9_.]{1,80})-(?P<abi>[A-Za-z0-9_.]{1,80})-(?P<platform>[A-Za-z0-9_.]{1,200})\.whl"
)
HREF = re.compile(r"href\s{0,8}=\s{0,8}[\"']([^\"'<>]{1,2000})", re.I)
BASE = re.compile(r"<base\s[^<>]{0,200}?href\s{0,8}=\s{0,8}[\"']([^\"'<>]{1,2000})", re.I)
HEAD = 4096  # characters at the beginning of a page in which its kind and its base are looked for
MOST_FILES = 50_000  # torch has about a thousand
# What the platform tags of a wheel begin with, and how their processor is called, by system and processor.
PLATFORMS = {
    ("linux", "x86_64"): (("manylinux", "linux"), ("x86_64",)),
    ("linux", "aarch64"): (("manylinux", "linux"), ("aarch64",)),
    ("macos", "x86_64"): (("macosx",), ("x86_64", "universal2")),
    ("macos", "aarch64"): (("macosx",), ("arm64", "universal2")),
    ("windows", "x86_64"): (("win",), ("amd64",)),
    ("windows", "aarch64"): (("win",), ("arm64",)),
}


@dataclass(frozen=True)
class Wheel:
    """A wheel of torch that a page lists.

    Attributes:
        url: absolute, without fragment.
        size: in bytes where the page says so.
        version: "2.13.0", without a local part.
    """

    name: str
    url: str
    version: str
    size: int | None = None

    @property
    def host(self) -> str:
        return host_of(self.url)

    def fits(self, python_tag: str, system: str, machine: str) -> bool:
        """Whether an interpreter takes it: tag "cp313t", system and machine as in `torch_builds.Release.pythons`."""
        parts = WHEEL.fullmatch(self.name)
        begins, processors = PLATFORMS.get((system, machine), ((), ()))
        if parts is None:
            return False
        abis = {python_tag, "none"} if not python_tag.endswith("t") else {python_tag}
        of_python = python_tag.rstrip("t") in parts["python"].split(".") and abis & set(parts["abi"].split("."))
        return bool(of_python) and any(
            tag.startswith(begins) and tag.endswith(processors) for tag in parts["platform"].split(".")
        )


@dataclass(frozen=True)
class Listing:
    """What was read of a page.

    Attributes:
        kind: "index" (PEP 503 or 691), or "other" (a login, a portal, an error page).
        whole: the end of the page was seen, so that what is not listed is not there.
    """

    kind: str = "other"
    wheels: tuple[Wheel, ...] = ()
    whole: bool = False

    @property
    def newest(self) -> str:
        """The newest release that has a wheel; empty if none is listed."""
        return max((wheel.version for wheel in self.wheels), key=ordered, default="")

    def wheel(self, python_tag: str, system: str, machine: str) -> Wheel | None:
        """The wheel that pip would take for an interpreter, None if there is none."""
        fitting = [wheel for wheel in self.wheels if wheel.fits(python_tag, system, machine)]
        return max(fitting, key=lambda wheel: ordered(wheel.version), default=None)


@dataclass(frozen=True)
class _File:
    filename: str
    url: str
    size: int | None = None
    yanked: bool | str = False


@dataclass(frozen=True)
class _Page:
    files: list[_File]


# Made here, before threads read pages: what msgspec finds out about a class, it may find out in one thread only.
_PAGES = msgspec.json.Decoder(_Page)


def ordered(version: str) -> tuple[int, ...]:
    """What releases are ordered by; trailing zeros do not count (PEP 440)."""
    parts = [int(part) for part in version.split(".") if part]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def read(body: bytes, content_type: str, url: str, whole: bool = True) -> Listing:
    """Read the page of torch.

    Args:
        body: as it came, decompressed.
        url: where it came from in the end; links are relative to it.
        whole: that is all of it.
    """
    if "json" in content_type.lower():
        try:
            page = _PAGES.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Cut short, or not what it says: nothing of it can be relied on.
            return Listing(whole=False)
        links = [(file.filename, file.url, file.size) for file in page.files[:MOST_FILES] if not file.yanked]
        return Listing("index", _wheels(links, url), whole)
    text = body.decode("utf-8", "replace")
    base = BASE.search(text[:HEAD])
    told = [html.unescape(found[1]) for found in islice(HREF.finditer(text), MOST_FILES)]
    found = _wheels(
        [(unquote(link.partition("#")[0].rpartition("/")[2]), link, None) for link in told],
        _joined(url, html.unescape(base[1])) if base else url,
    )
    is_index = bool(found) or "pypi:repository-version" in text[:HEAD] or "Links for" in text[:HEAD]
    return Listing("index" if is_index else "other", found, whole)


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link)
    except ValueError:
        return ""


def _wheels(links: list[tuple[str, str, int | None]], base: str) -> tuple[Wheel, ...]:
    found = []
    for name, link, size in links:
        parts = WHEEL.fullmatch(name)
        if parts is None:
            continue
        url = _joined(base, link.partition("#")[0])
        if url.startswith(("http://", "https://")):
            found.append(Wheel(name, url, parts["version"], size if size is not None and size > 0 else None))
    return tuple(found)
