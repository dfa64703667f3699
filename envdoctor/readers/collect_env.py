"""Reads the reports that torch, vLLM, mmengine, detectron2, accelerate, transformers and DeepSpeed make of a machine.

All descend from torch/utils/collect_env.py or tell the same things under other names. "None", "No CUDA" and "Could not
collect" are answers of their own there: of the CUDA that torch was built with they all say that there is none (the
first where the machine has no CUDA either, `pretty_str` of collect_env.py), of nvcc or a driver only that nothing was
found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.log import Place, Sighting
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge import gpus
from envdoctor.knowledge.cuda_driver import cuda_of, reach
from envdoctor.knowledge.versions import at_least
from envdoctor.readers.passage import Passage

LONGEST = 500  # lines of a report; the CPU flags, the topology and the environment are its longest parts
MOST = 4  # reports in a text that are read: the same machine before and after, or the next one

# What a report calls what we ask for, as the beginning of a line; `of` in KEYS is our word for it.
KEYS = tuple(
    (word, re.compile(rf"\s{{0,12}}(?:[-*] )?`?(?:{names})`?\s{{0,40}}(?::|\.{{3,}}|\s{{3,}})\s{{0,40}}(?P<value>.*)"))
    for word, names in (
        ("torch", r"PyTorch version|PyTorch|torch version"),
        ("torch-gpu", r"PyTorch version \((?:GPU|accelerator)\?\)"),
        ("cuda", r"CUDA used to build PyTorch|torch cuda version"),
        ("hip", r"ROCM used to build PyTorch|torch hip version"),
        ("available", r"Is CUDA available|CUDA available|GPU available"),
        ("gpus", r"GPU models and configuration|GPU type"),
        ("driver", r"Nvidia driver version|Driver version"),
        ("libc", r"Libc version"),
        ("os", r"OS"),
        ("python", r"Python version|Python"),
        ("platform", r"Python platform|Platform|sys\.platform"),
        ("debug", r"Is debug build"),
    )
)
GPU = re.compile(
    r"\s{0,12}GPU (?P<numbers>\d{1,3}(?:,\d{1,3}){0,31}):?\s{1,40}(?P<name>[A-Za-z][^\n(]{2,80}?)"
    r"(?: \(UUID[^\n]*| \(arch=(?P<arch>[\d.]+)\)|\s*)$"
)
LISTED = re.compile(
    r"\s{0,12}\[(?P<source>pip\d?|conda)\]\s+(?P<name>[A-Za-z0-9._-]{1,80})(?:==|\s+)(?P<version>[0-9]\S{0,60})\s*(?P<build>\S*)"
)
BLIND = "Is CUDA available: False; no GPU and no driver are named"
NOTHING = ("none", "n/a", "could not collect", "no cuda", "not installed", "")
VERSION = re.compile(r"\d+(?:\.\w+)+(?:\+[\w.]+)?")
CONDA_CUDA = re.compile(r"cuda(\d+\.\d+)")
DISTRIBUTION_NAMES = {"pytorch": "torch"}


class CollectEnv:
    """The first report of a text that tells of a torch, a driver or a GPU."""

    def __init__(self) -> None:
        self._reports: list[tuple[Sighting, Report]] = []
        self._until = ("", 0)

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(
            ("PyTorch version", "torch version .", "PyTorch:", "PyTorch   ", "CUDA used to build PyTorch"), 64
        )

    def read(self, passage: Passage) -> None:
        file, line = self._until
        here = passage.line
        if (here.file == file and here.number <= line) or len(self._reports) >= MOST:
            return
        if not any(word in ("torch", "torch-gpu", "cuda") for word, _ in told([here.text])):
            return
        # Some tell of the machine first: mmengine and detectron2 begin with sys.platform, Python and the GPUs.
        before = [one.text for one in passage.before(40)]
        start = next(
            (n for n in range(len(before) - 1, -1, -1) if before[n].lstrip().startswith("sys.platform")), len(before)
        )
        after = passage.after(LONGEST)
        end = next((n for n, one in enumerate(after) if begins(one.text)), len(after))
        self._until = (here.file, after[end - 1].number if end else here.number)
        self._reports.append(
            (
                passage.sighting("driver-missing", "note", BLIND),
                Report([*before[start:], here.text, *(one.text for one in after[:end])]),
            )
        )

    def _best(self) -> tuple[Sighting, Report] | None:
        return next(((seen, report) for seen, report in self._reports if report.facts()), None)

    def facts(self) -> Mapping[str, object]:
        best = self._best()
        return best[1].facts() if best else {}

    def places(self) -> Mapping[str, Place]:
        best = self._best()
        return dict.fromkeys(best[1].facts(), best[0].place) if best else {}

    def sightings(self) -> Sequence[Sighting]:
        """torch with CUDA finds none, and nvidia-smi named no GPU: a machine without one, or without a driver.

        Of further reports, whose facts are not judged, that their torch cannot reach their GPU.
        """
        best = self._best()
        if best is None:
            return ()
        told = [one for report in self._reports if report is not best and (one := _further(*report)) is not None]
        seen, report = best
        if report.blind:
            host = report.facts().get("host")
            told.insert(0, replace(seen, code="wsl-driver") if isinstance(host, Host) and host.wsl else seen)
        return told


def _further(seen: Sighting, report: Report) -> Sighting | None:
    """What keeps the torch of another report from its GPU, by what that report alone says."""
    facts = report.facts()
    torch, cuda, found, driver = (facts.get(name) for name in ("torch-install", "torch-cuda", "gpu", "driver"))
    if not isinstance(torch, TorchInstall) or torch.hip:
        return None
    if not torch.cuda:
        quote = f"torch {torch.version}, built without CUDA, beside a GPU"
        return replace(seen, code="torch-cpu-build", severity="error", quote=quote) if found or driver else None
    unreached = isinstance(cuda, TorchCuda) and not cuda.available
    if unreached and isinstance(driver, Driver) and reach(torch.cuda, driver.release) == "no":
        quote = f"torch {torch.version} for CUDA {torch.cuda}, driver {driver.release}"
        return replace(seen, code="driver-too-old", severity="error", quote=quote)
    return None


def begins(text: str) -> bool:
    """Whether another report begins with this line."""
    return text.strip() == "Collecting environment information..." or any(word == "torch" for word, _ in told([text]))


def told(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Our word and the value of each line that tells something."""
    for text in lines:
        for word, key in KEYS:
            if match := key.match(text[:400]):
                yield word, match["value"].strip()
                break


class Report:
    """The lines of one report."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._told: dict[str, str] = {}
        for word, value in told(lines):
            self._told.setdefault(word, value)

    def _value(self, word: str) -> str:
        """What the report says; "" where it says that there is nothing, or nothing."""
        value = self._told.get(word, "")
        return "" if value.lower() in NOTHING else value

    def _version(self, word: str) -> str:
        found = VERSION.search(self._value(word))
        return found.group() if found else ""

    def facts(self) -> dict[str, object]:
        """Section name -> fact, as far as the report settles it."""
        found: dict[str, object] = {}
        listed = self._distributions()
        torch = self._torch(listed)
        if torch is not None:
            found["torch-install"] = torch
        cards = self._gpus()
        # As on a live machine: what CUDA does in a torch without it is no question.
        available = self._value("available").lower()
        if available and torch is not None and torch.cuda:
            found["torch-cuda"] = TorchCuda(
                available in ("true", "yes"), len(cards) if available in ("true", "yes") else 0
            )
        if cards:
            found["gpu"] = Gpus("nvidia-smi", "", len(cards), cards)
        if driver := self._driver():
            found["driver"] = driver
        if version := self._python():
            found["python"] = Python(version=version, tag="cp{}{}".format(*version.split(".")[:2]))
        if host := self._host():
            found["host"] = host
        if listed:
            found["packages"] = Packages(len(listed), listed)
        return found

    @property
    def blind(self) -> bool:
        """torch was built for NVIDIA's CUDA, finds none, and the report names neither a GPU nor a driver."""
        facts = self.facts()
        torch, cuda, host = facts.get("torch-install"), facts.get("torch-cuda"), facts.get("host")
        return (
            isinstance(torch, TorchInstall)
            and bool(torch.cuda)
            and isinstance(cuda, TorchCuda)
            and not cuda.available
            and not {"gpu", "driver"} & set(facts)
            and not (isinstance(host, Host) and host.system == "macos")
        )

    def _driver(self) -> Driver | None:
        release = re.fullmatch(r"\d{3}\.\d{1,3}(?:\.\d{1,3})?", self._value("driver"))
        return Driver(release=release.group(), release_source="the report") if release else None

    def _python(self) -> str:
        found = re.match(r"(\d\.\d{1,2})(\.\d{1,2})?", self._value("python"))
        return found.group() if found else ""

    def _torch(self, listed: Sequence[Distribution]) -> TorchInstall | None:
        """torch, if the report settles for which CUDA it was built."""
        version = self._version("torch") or self._version("torch-gpu")
        if not version:
            return None
        # Up to 1.7 `torch.version.debug` said True of every build.
        debug = self._value("debug").lower() in ("true", "yes") and at_least(version, "1.8")
        if self._value("hip"):
            return TorchInstall(version=version, hip=self._version("hip"), debug=debug)
        if "cuda" in self._told:
            return TorchInstall(version=version, cuda=self._version("cuda"), debug=debug)
        tag = version.partition("+")[2]
        if tag == "cpu" or re.fullmatch(r"cu\d{2,3}", tag):
            return TorchInstall(version=version, cuda="" if tag == "cpu" else cuda_of(tag), debug=debug)
        own = next((one for one in listed if one.name == "torch" and CONDA_CUDA.search(one.wheel)), None)
        if own is not None:
            found = CONDA_CUDA.search(own.wheel)
            assert found is not None
            return TorchInstall(version=version, cuda=found.group(1), debug=debug)
        return None

    def _gpus(self) -> tuple[Gpu, ...]:
        named: dict[int, tuple[str, str]] = {}
        for text in (*self._lines, self._value("gpus")):
            if "GPU " in text and (match := GPU.match(text[:300])):
                for number in match["numbers"].split(","):
                    named.setdefault(int(number), (match["name"].strip(), match["arch"] or ""))
        if not named and (alone := self._value("gpus")) and "GPU" not in alone[:4]:
            named = {0: (alone.partition(" (UUID")[0], "")}
        # Laptops have their other GPU in the list as well, and MIG instances stand below the GPU they belong to.
        return tuple(
            Gpu(index=number, name=name, compute_capability=arch or gpus.capability_of(name))
            for number, (name, arch) in sorted(named.items())
            if number < 64
        )

    def _host(self) -> Host | None:
        platform, system = self._value("platform"), self._value("os")
        kind = next(
            (
                word
                for word, marks in (
                    ("macos", ("darwin", "macos", "mac osx")),
                    ("windows", ("windows", "win32")),
                    ("linux", ("linux",)),
                )
                if any(mark in f"{platform} {system}".lower() for mark in marks)
            ),
            "linux" if "glibc" in self._value("libc") else "",
        )
        if not kind:
            return None
        machine = re.search(r"\b(x86_64|aarch64|arm64|ppc64le|AMD64)\b", f"{platform} {system}")
        glibc = re.search(r"glibc-?(\d+\.\d+)", self._value("libc"))
        kernel = re.match(r"Linux-(\S+?)-(?:x86_64|aarch64|ppc64le)", platform)
        return Host(
            system=kind,
            kernel=kernel.group(1) if kernel else "",
            machine=machine.group(1) if machine else "",
            distribution=system.split("(")[0].strip(),
            glibc=glibc.group(1) if glibc else "",
            wsl=2 if kernel and "microsoft" in kernel.group(1).lower() else 0,
        )

    def _distributions(self) -> tuple[Distribution, ...]:
        """What pip and conda list, pip's word first; `wheel` holds the build string of conda."""
        found: dict[str, Distribution] = {}
        for text in self._lines:
            if "]" not in text or (match := LISTED.match(text[:300])) is None:
                continue
            name = re.sub(r"[-_.]+", "-", match["name"]).lower()
            name = DISTRIBUTION_NAMES.get(name, name) if match["source"] == "conda" else name
            build = match["build"] if match["source"] == "conda" else ""
            if name not in found:
                found[name] = Distribution(name=name, version=match["version"], wheel=build)
        return tuple(found.values())
