"""Which package indexes a run of `bench mirrors` asks, for whom, and what would be fetched from them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from envdoctor.errors import UsageError
from envdoctor.facts.host import Host
from envdoctor.facts.pip import PipConfig, PipEffective, host_of
from envdoctor.facts.python import Python
from envdoctor.knowledge import mirrors, torch_builds

# The sections of the patient that this needs, see `envdoctor.transport.local.Request.only`.
SECTIONS = ("python", "host", "pip-config", "pip-effective")
ASKED = ("ok", "caution", "unverified")  # statuses of `mirrors.PypiMirror`; the others serve nobody
# What `pip install torch` fetches, bytes, where the sites do not say. The torch wheels are those of 2.15.0 for Linux
# x86_64, rounded; what NVIDIA's wheels and triton add beside a CUDA build is an estimate, the same for every site.
CUDA_WHEEL, CPU_WHEEL, CUDA_LIBRARIES = 540_000_000, 200_000_000, 2_500_000_000
# One page, one METADATA and one wheel for each distribution: torch and some ten in pure Python, and beside a CUDA build
# some fifteen of NVIDIA's and triton. pip asks for one after the other.
CUDA_REQUESTS, CPU_REQUESTS = 81, 33


@dataclass(frozen=True)
class Site:
    """An index to ask.

    Attributes:
        name: what a command line calls it: "tuna", "official"; for any other its host.
        url: the index URL, credentials included.
        in_effect: the target's pip asks it now.
        known: it is a mirror of the table, whose files are to lie on its own hosts.
        status: of the table, "dead" for example; empty for others.
        intranet: the cloud inside which alone it exists.
    """

    name: str
    url: str
    in_effect: bool = False
    known: bool = False
    status: str = ""
    intranet: str = ""

    @property
    def host(self) -> str:
        return host_of(self.url)

    @property
    def fix(self) -> str:
        """The command that makes it the index of pip."""
        if self.name in (*mirrors.WITH_OPTION, mirrors.OFFICIAL):
            return f"envdoctor fix pip-mirror --{self.name}"
        return f"envdoctor fix pip-mirror --url {self.url}"


@dataclass(frozen=True)
class Patient:
    """What is known of the target, None for what is not.

    Attributes:
        effective: None without pip.
    """

    effective: PipEffective | None = None
    config: PipConfig | None = None
    python: Python | None = None
    host: Host | None = None

    @property
    def official(self) -> str:
        """The official index, which pip alone knows; empty without pip."""
        return self.effective.default_index if self.effective else ""

    @property
    def in_effect(self) -> str:
        """The index pip asks now; empty where there is none over http, or it is not known."""
        indexes = self.effective.indexes() if self.effective else ()
        return next((url for url in indexes[:1] if _is_index(url)), "")

    @property
    def platform(self) -> tuple[str, str, str]:
        """Wheel tag of the interpreter, system and machine; what most have where it is not known."""
        system = self.host.system if self.host and self.host.system else "linux"
        machine = (self.python and self.python.machine) or (self.host and self.host.machine) or "x86_64"
        tag = self.python.tag if self.python and self.python.tag else "cp312"
        return tag, system, torch_builds.machine_name(machine)


def patient(sections: Mapping[str, object]) -> Patient:
    """The patient of a snapshot's sections: name -> fact or Missing."""
    effective, config = sections.get("pip-effective"), sections.get("pip-config")
    python, host = sections.get("python"), sections.get("host")
    return Patient(
        effective if isinstance(effective, PipEffective) else None,
        config if isinstance(config, PipConfig) else None,
        python if isinstance(python, Python) else None,
        host if isinstance(host, Host) else None,
    )


@dataclass(frozen=True)
class Need:
    """What is to be fetched: `wheel_bytes` of torch, `other_bytes` of what it requires, in so many requests.

    Attributes:
        cuda: it is a CUDA build.
        measured: the size of the wheel is the sites' own word.
    """

    wheel_bytes: int
    other_bytes: int
    requests: int
    cuda: bool
    measured: bool = False

    @property
    def total_bytes(self) -> int:
        return self.wheel_bytes + self.other_bytes

    def seconds(self, latency_s: float, bytes_per_s: float) -> float:
        """How long all of it takes from an index: requests one after the other, bytes at that rate."""
        return self.requests * latency_s + self.total_bytes / max(bytes_per_s, 1.0)


def need(of: Patient, wheel_bytes: int | None = None) -> Need:
    """What a plain `pip install torch` fetches for the patient; mirrors carry the official index's builds."""
    _, system, machine = of.platform
    newest = mirrors.expected_release()
    if newest.default_on(system, machine):
        return Need(wheel_bytes or CUDA_WHEEL, CUDA_LIBRARIES, CUDA_REQUESTS, True, wheel_bytes is not None)
    return Need(wheel_bytes or CPU_WHEEL, 0, CPU_REQUESTS, False, wheel_bytes is not None)


def _name_of(mirror: mirrors.PypiMirror) -> str:
    return next((word for word in (mirror.id, *mirror.words) if word in mirrors.WITH_OPTION), mirror.id)


def _known(mirror: mirrors.PypiMirror, in_effect: str) -> Site:
    same = _place(mirror.index_url) == _place(in_effect)
    url = in_effect if same else mirror.index_url
    return Site(_name_of(mirror), url, same, True, mirror.status, mirror.intranet)


def _is_index(url: str) -> bool:
    """Whether a URL can be asked over http at all."""
    scheme, host, _, _ = _place(url)
    return scheme in ("http", "https") and bool(host)


def _place(url: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path: what makes two URLs one index."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port, parts.path.rstrip("/")
    except ValueError:
        return "", url, None, ""


def _elsewhere(url: str, in_effect: bool) -> Site:
    """The site of a URL that stands in no row as it is; it may be a mirror's other address."""
    row = mirrors.pypi_mirror(url)
    host = _place(url)[1]
    port = _place(url)[2]
    name = f"{host}:{port}" if port else host
    return Site(name, url, in_effect, row is not None, row.status if row else "", row.intranet if row else "")


def sites(of: Patient, names: Sequence[str] = (), urls: Sequence[str] = ()) -> tuple[Site, ...]:
    """The sites to ask.

    Args:
        names: words for mirrors, "official", or index URLs; without any, all that may serve, and the index in effect.
        urls: further index URLs.

    Raises:
        UsageError: a name that means no mirror, a URL that is none, or nothing is left to ask.
    """
    refuse(names)
    found = [_named(name, of) for name in names]
    if not names:
        found = [_known(mirror, of.in_effect) for mirror in mirrors.pypi() if mirror.status in ASKED]
        if of.official:
            found.append(_official(of))
    found += [_given(url, of) for url in urls]
    if of.in_effect and not names and not any(site.in_effect for site in found):
        found.append(_elsewhere(of.in_effect, True))
    by_place = {_place(site.url): site for site in reversed(found)}
    return tuple(sorted(by_place.values(), key=lambda site: found.index(site)))


def refuse(names: Sequence[str]) -> None:
    """Refuse a name that means no mirror before anything is examined.

    Raises:
        UsageError: there is one; it names the nearest that does.
    """
    for name in names:
        if "://" not in name and name.strip().lower() != mirrors.OFFICIAL and mirrors.named(name) is None:
            words = [mirrors.OFFICIAL, *(word for row in mirrors.pypi() for word in (*row.words, row.id))]
            near = difflib.get_close_matches(name.strip().lower(), words, 1)
            known = ", ".join((*mirrors.WITH_OPTION, mirrors.OFFICIAL))
            meant = f"did you mean {near[0]}?" if near else f"there are {known} and more, and any index by its URL"
            meant_zh = f"是否指 {near[0]}？" if near else f"可用 {known} 等，也可直接给出任意索引的 URL"
            called = name if name.strip() else repr(name)
            raise UsageError(f"no mirror is called {called}; {meant}", f"没有名为 {called} 的镜像；{meant_zh}")


def _official(of: Patient) -> Site:
    same = _place(of.official) == _place(of.in_effect)
    return Site(mirrors.OFFICIAL, of.in_effect if same else of.official, same)


def _given(url: str, of: Patient) -> Site:
    if not _is_index(url):
        raise UsageError(
            f"{url} is no package index; give one such as https://mirrors.aliyun.com/pypi/simple",
            f"{url} 不是软件包索引；请给出形如 https://mirrors.aliyun.com/pypi/simple 的地址",
        )
    return _elsewhere(url, _place(url) == _place(of.in_effect))


def _named(name: str, of: Patient) -> Site:
    if "://" in name:
        return _given(name, of)
    if name.strip().lower() == mirrors.OFFICIAL:
        if not of.official:
            raise UsageError(
                "the address of the official index is known from the target's pip alone, and that has none",
                "官方索引的地址只能从目标环境的 pip 得知，而它没有给出",
            )
        return _official(of)
    mirror = mirrors.named(name)
    assert mirror is not None
    return _known(mirror, of.in_effect)
