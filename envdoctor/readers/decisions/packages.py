"""Packages: what pip's refusals mean, by what it asked for and what else it said."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.host import Host
from envdoctor.facts.log import Sighting
from envdoctor.facts.python import Python
from envdoctor.knowledge import mirrors, torch_builds
from envdoctor.knowledge.versions import numbers
from envdoctor.readers.decisions import Context, value

# Every index that serves these serves them for all Pythons of their time: none at all means none for this one.
TORCH = re.compile(r"(?:torch|torchvision|torchaudio)(?![\w-])")
PAIRS = {"torchvision": "torchvision-mismatch", "torchaudio": "torchaudio-mismatch"}
EXTENSIONS = (
    "xformers",
    "flash-attn",
    "vllm",
    "torch-scatter",
    "torch-sparse",
    "mmcv",
    "apex",
    "fairscale",
    "torchtext",
)
TORCH_INDEX = re.compile(r"/whl/(?:nightly/|test/)?(?:cu\d{2,3}|cpu|rocm[\d.]+|xpu)/?$|//download\.pytorch\.org/")
LINUX_ONLY = re.compile(r"(?:triton|nvidia-(?!pyindex)[a-z0-9-]+|vllm|deepspeed-kernels|cupy-cuda\w+)(?![\w-])")
DOUBLED = re.compile(r"/(?P<name>[a-z][\w-]{2,40})/(?P=name)(?=[/>\s]|$)")
PYTHONS = tuple((3, minor) for minor in range(6, 16))
# What an index's answer means by its number; any other is a server that is not well.
ANSWERED = {"404": "pip-config-broken", "401": "pip-mirror-blocked", "403": "pip-mirror-blocked", "407": "pip-proxy"}
FILE = re.compile(r"\.(?:whl|tar\.gz|zip)(?:[#)`?]|$)")
MAKERS = re.compile(r"//(?:[\w-]+\.)*(?:pytorch\.org|nvidia\.com|github\.com|huggingface\.co|pythonhosted\.org)[:/]")
ANSWERED["429"] = "pip-mirror-blocked"
NO_CONNECTION = (
    "pip-new-connection",
    "pip-ssl",
    "pip-proxy",
    "pip-incomplete",
    "pip-wrong-version",
    "py-no-ssl",
    "pip-http",
    "pip-location",
)


def no_versions(seen: Sighting, context: Context) -> Sighting:
    """No version at all: of torch, no wheel has this Python's tag; of another package it may be the index."""
    if context.saw(*NO_CONNECTION):
        return replace(seen, kind="symptom")
    indexes = _indexes(context)
    if context.saw("machine-32"):
        return replace(seen, code="platform-unsupported")
    if TORCH.match(value(seen, "req")):
        return replace(seen, code="python-unsupported")
    if indexes and all(TORCH_INDEX.search(url) for url in indexes):
        # PyTorch's index holds torch and what it depends on, and nothing else.
        return replace(seen, code="pip-config-broken")
    if LINUX_ONLY.match(value(seen, "req")):
        return replace(seen, code="platform-unsupported", severity="warning")
    return replace(seen, severity="warning")


def versions(seen: Sighting, context: Context) -> Sighting | None:
    """pip lists what has wheels for its Python: what that list begins and ends with tells the Python, and whether it is
    the Python or the index that lacks the wanted release."""
    name, _, wanted = value(seen, "req").partition("==")
    base, _, local = wanted.partition("+")
    have = re.split(r",\s*", value(seen, "have"))
    offered = sorted({numbers(one.partition("+")[0]) for one in have if one[:1].isdigit()})
    if not base or not offered:
        return seen
    number = numbers(base)
    if not TORCH.match(name):
        return _newer(seen, context) if number > offered[-1] else seen
    if local and offered[0] <= number <= offered[-1]:
        return None  # the row of the local version tells it
    if name == "torch" and number > offered[-1] and len(offered) > 1:
        fits = [python for python in PYTHONS if _begins(python) == offered[0]]
        known = torch_builds.release(base)
        if any(TORCH_INDEX.search(url) for url in _indexes(context)) or all("+" in one for one in have):
            # Each of PyTorch's indexes holds the releases that were built for its CUDA, and no later ones.
            return replace(seen, code="pip-config-broken")
        if known and any(torch_builds.python_holds(known.python, python) for python in fits):
            return replace(seen, code="pip-index-stale", severity="warning" if not _indexes(context) else "error")
    return seen


def _newer(seen: Sighting, context: Context) -> Sighting:
    """A release after all that the index offers: pip says which ones want another Python, else the index is behind."""
    indexes = _indexes(context)
    if context.saw("pip-python-range"):
        return seen
    if indexes and all(TORCH_INDEX.search(url) for url in indexes):
        return replace(seen, code="pip-config-broken", severity="warning")
    mirrored = any(mirrors.pypi_mirror(url) is not None for url in indexes)
    return replace(seen, code="pip-index-stale" if mirrored else seen.code, severity="warning")


def _begins(python: tuple[int, int]) -> tuple[int, ...]:
    """The oldest release of torch that has wheels for a Python."""
    return next(
        (
            numbers(known.version)
            for known in reversed(torch_builds.releases())
            if torch_builds.python_holds(known.python, python)
        ),
        (),
    )


def _indexes(context: Context) -> list[str]:
    told = context.saw("pip-indexes")
    return [url.strip() for url in value(told, "indexes").split(",")] if told else []


def python_range(seen: Sighting, context: Context) -> Sighting:
    """Poetry says the same of a wheel that is missing for the platform."""
    del context
    return replace(seen, severity="warning") if "installation candidates" in seen.quote else seen


def certificate(seen: Sighting, context: Context) -> Sighting | None:
    """Behind a proxy that speaks no TLS the handshake fails as well, and says so."""
    return None if context.saw("pip-proxy") and "WRONG_VERSION_NUMBER" in seen.quote else seen


def connection(seen: Sighting, context: Context) -> Sighting | None:
    """The retries name what broke the connection: of TLS and proxies other rows tell."""
    if value(seen, "what") in ("SSLError", "ProxyError"):
        return None
    installed = [one for one in context.sightings if one.signature == "pip-installed" and one.order > seen.order]
    failed = context.saw("pip-none", "pip-versions", "pip-build-fail")
    # pip tries five times: what it then installs, it has reached.
    return replace(seen, severity="note") if installed and not failed else seen


def wheel_tag(seen: Sighting, context: Context) -> Sighting:
    """A wheel's name holds Python, platform and processor: what the text shows of them says which does not fit."""
    name = value(seen, "whl")
    host, python = context.sections.get("host"), context.sections.get("python")
    system = host.system if isinstance(host, Host) else ""
    for mark, of in (("win_", "windows"), ("macosx", "macos"), ("linux", "linux")):
        if mark in name and system and system != of:
            return seen
    needs, libc = re.search(r"manylinux_2_(\d+)_", name), glibc(context)
    if needs and libc and libc < (2, int(needs[1])):
        return replace(seen, code="glibc-too-old")
    tag = re.search(r"-cp3(\d{1,2})-", name)
    told = python.version if isinstance(python, Python) else ""
    printed = context.saw("python-version")
    told = told or (value(printed, "version") if printed else "")
    if tag and told:
        return seen if numbers(told)[:2] == (3, int(tag[1])) else replace(seen, code="python-unsupported")
    machine = context.saw("machine-arm")
    if (machine and "x86_64" in name) or context.saw("windows-prompt"):
        return seen
    return replace(seen, code="python-unsupported") if tag else seen


def glibc(context: Context) -> tuple[int, ...]:
    """The C library's release, if the text names it or a distribution that is known for it; () if not."""
    host = context.sections.get("host")
    if isinstance(host, Host) and host.glibc:
        return numbers(host.glibc)
    told = context.saw("glibc-version")
    if told is None:
        return ()
    named = next((text for name in ("glibc", "glibc2", "glibc3") if (text := value(told, name))), "")
    return numbers(named) if named else (2, 17)


def http(seen: Sighting, context: Context) -> Sighting:
    """404 is an address that is no index; 5xx is a server in trouble; the others are refusals of one that is well."""
    del context
    code = value(seen, "code") or value(seen, "code2") or value(seen, "code3")
    seen = replace(seen, code=ANSWERED.get(code, "pip-index-unreachable"))
    return seen if code == "404" or "huggingface" not in seen.quote else replace(seen, severity="warning")


def uv_fetch(seen: Sighting, context: Context) -> Sighting | None:
    """An answer, if only a refusal, shows that the index can be reached; one of 5xx that it is down all the same."""
    status = value(seen, "status")
    if status == "404" and FILE.search(seen.quote) and not MAKERS.search(seen.quote):
        # The index answers and lists a file that it does not hold: a mirror that is behind, or half copied.
        return replace(seen, code="pip-index-stale", severity="warning")
    if status:
        return replace(seen, code=ANSWERED.get(status, "pip-index-unreachable"))
    answered = any(one.signature == seen.signature and value(one, "status") for one in context.sightings)
    return None if answered else seen


def conda_http(seen: Sighting, context: Context) -> Sighting:
    """A channel's name twice at the end of its address: the mirror's value already held it."""
    del context
    if DOUBLED.search(seen.quote):
        return replace(seen, code="conda-channel-doubled")
    return replace(seen, severity="warning") if "Terms of Service" in seen.quote else seen


def unsatisfiable(seen: Sighting, context: Context) -> Sighting:
    """The solver names what stands in the way: the driver's CUDA, the C library, or the Python that is pinned."""
    del context
    said, virtual = value(seen, "said"), value(seen, "virtual") or value(seen, "virtual2")
    if "__cuda" in seen.quote + said or virtual == "__cuda":
        return seen if "__cuda==" in said or "__cuda=" in seen.quote else replace(seen, severity="warning")
    if virtual == "__glibc":
        return replace(seen, code="glibc-too-old")
    if "__glibc" in said:
        # conda names the feature in every conflict; it is at fault where the system's is the smaller one.
        have = re.search(r"__glibc==(2\.\d+)", said)
        needs = [numbers(one) for one in re.findall(r"__glibc\[version='>=(2\.\d+)", said)]
        if have and needs and numbers(have[1]) < max(needs):
            return replace(seen, code="glibc-too-old")
    if re.search(
        r"existing python installation|-> python\[|python_abi|\bpython (?:=|>|<|3)[^\n]{0,80}(?:which|but)", said
    ):
        return replace(seen, code="python-unsupported")
    return replace(seen, code="error-unrecognised", severity="note")


def conda_cpu(seen: Sighting, context: Context) -> Sighting:
    """On purpose, or not: where CUDA was asked for, or a GPU is there, it was not."""
    wanted = context.saw("conda-wants-cuda", "torch-cpu-build", "needs-gpu") is not None
    shown = "gpu" in context.sections or "driver" in context.sections
    return replace(seen, severity="error") if wanted or shown else seen


def build_failed(seen: Sighting, context: Context) -> Sighting:
    """That a build failed follows from what its output says; of a package without torch it tells nothing here."""
    del context
    package = value(seen, "pkg").lower().replace("_", "-")
    if not package or package in EXTENSIONS:
        return seen
    return replace(seen, code="error-unrecognised", severity="note")


def local_version(seen: Sighting, context: Context) -> Sighting | None:
    """A build tag that the index lacks is the fault only where pip saw other versions of the package; among builds with
    tags a release beyond the first and the last of them is missing for this Python."""
    none, other = context.saw("pip-none"), context.saw("pip-versions")
    if none is not None and none is not seen:
        return None
    if other is None or not ("+" in value(other, "have") or context.saw("pip-torch-links")):
        return seen
    offered = [numbers(one.partition("+")[0]) for one in re.split(r",\s*", value(other, "have")) if one[:1].isdigit()]
    wanted = numbers(value(other, "req").partition("==")[2].partition("+")[0])
    return seen if offered and min(offered) <= wanted <= max(offered) else None


def conflict(seen: Sighting, context: Context) -> Sighting | None:
    """pip tells after an install which requirements it has broken: of torch's companions that is what fails next; of
    packages that have nothing to do with torch it is no matter of the environment."""
    del context
    package = value(seen, "pkg").lower().replace("_", "-")
    need = re.split(r"[=<>!~]", value(seen, "need").lower().replace("_", "-"))[0]
    pair = value(seen, "pair") or next(
        (name for name in PAIRS if re.search(rf"(?<![\w-]){name}(?![\w-])", seen.quote)), ""
    )
    if not package:
        if pair:
            return replace(seen, code=PAIRS[pair], severity="error")
        return seen if "nvidia-" in seen.quote else replace(seen, code="error-unrecognised", severity="note")
    if package in PAIRS and need == "torch":
        return replace(seen, code=PAIRS[package])
    if need == "torch" and package in EXTENSIONS:
        return replace(seen, code="extension-abi-mismatch")
    return seen if need.startswith("nvidia-") else None


def no_toolkit(seen: Sighting, context: Context) -> Sighting:
    """nvcc is needed where something is compiled; that a shell does not know it is no fault of its own."""
    asked = value(seen, "shell") or "command not found" in seen.quote or "is not recognized" in seen.quote
    built = context.saw("pip-build-fail", "ninja", "gcc-new") or "No CUDA runtime" in seen.quote
    if "No CUDA runtime" in seen.quote:
        return replace(seen, severity="note")
    if asked and context.saw("toolkit-folder"):
        return replace(seen, code="cuda-not-on-path", severity="warning" if built else "note")
    return replace(seen, severity="note") if asked and not built else seen


def no_cuda_folder(seen: Sighting, context: Context) -> Sighting | None:
    """Python's own words for None + text: of nvcc where the line above asks for it."""
    return seen if context.saw("nvcc-asked") else None


def uv_tags(seen: Sighting, context: Context) -> Sighting:
    """uv says which tag has no wheel: the interpreter's, or the platform's; of Linux the number is that of glibc."""
    said = value(seen, "said") or f"{value(seen, 'on')} {value(seen, 'wheels')}"
    if (value(seen, "kind") or value(seen, "kind2")) == "platform":
        # Only the tag after "You're on" or "e.g." is the host's; wheels for other processors tell nothing of its glibc.
        host = re.search(r"(?:on Linux \(`|\(e\.g\., `|^)manylinux_2_(\d+)_(\w+)", said)
        wheels = said[host.end() :] if host else ""
        # What is kept of a quote may end within the last tag: its processor is compared as far as it goes.
        tags = re.findall(r"manylinux_2_(\d+)_(\w+)", wheels)
        needs = [int(minor) for minor, machine in tags if host and host[2].startswith(machine)]
        if host and needs and int(host[1]) < min(needs):
            return replace(seen, code="glibc-too-old")
        return replace(seen, code="platform-unsupported")
    if any(one.signature == seen.signature and value(one, "kind") == "platform" for one in context.sightings):
        # The releases that this Python has are not made for the platform: with another Python it gets old ones.
        return replace(seen, code="platform-unsupported")
    return seen
