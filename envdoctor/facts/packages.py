"""The distributions around torch, and which of NVIDIA's libraries lie on disk as their owners left them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envdoctor.facts.torch import Pin, TorchInstall

# How wheels write what they were built for: +cu126, +cu12torch2.6cxx11abiFALSE, +pt25cu124, +torch250cu124, +cpu.
CUDA_TAG = re.compile(r"cu(\d{2,3})(?![\d.])")
TORCH_TAG = re.compile(r"(torch|pt)(\d+\.\d+|\d{2,4})")
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?$")


@dataclass(frozen=True)
class Distribution:
    """An installed distribution.

    Attributes:
        name: normalised, "nvidia-nccl-cu12".
        version: of its metadata.
        folder: the folder on sys.path it lies in; info is the name of its metadata folder there.
        requires: its requirements on torch, numpy, triton and NVIDIA's distributions, as METADATA has them.
        module_version: `__version__` of the module where it tells more than the metadata ("0.28.0+cu130").
        built_torch, built_cuda: the torch and CUDA it says it was compiled for; empty if it does not say.
        wheel: file name of the wheel it was installed from by URL, else empty.
    """

    name: str = ""
    version: str = ""
    folder: str = ""
    info: str = ""
    requires: tuple[str, ...] = ()
    module_version: str = ""
    built_torch: str = ""
    built_cuda: str = ""
    wheel: str = ""

    @property
    def release(self) -> str:
        """ "0.28.0" of "0.28.0+cu130"."""
        return self.version.partition("+")[0]

    @property
    def local(self) -> str:
        """The local version, "cu12torch2.6cxx11abiFALSE", wherever it is written; empty without one."""
        of_wheel = self.wheel.split("-")[1] if self.wheel.count("-") >= 4 else ""
        for version in (self.version, self.module_version, of_wheel):
            if "+" in version:
                return version.partition("+")[2]
        return ""

    @property
    def cuda(self) -> str:
        """The CUDA it was compiled for, "12.6" or just "12"; "cpu" for a CPU build, empty if it does not say."""
        if self.built_cuda:
            return self.built_cuda
        tag = CUDA_TAG.search(self.local)
        if tag:
            digits = tag.group(1)
            return digits[:-1] + "." + digits[-1] if len(digits) == 3 else _old_cuda(digits)
        return "cpu" if self.local == "cpu" else ""

    @property
    def torch(self) -> str:
        """The torch it was compiled for, "2.6" or "2.5.1"; empty if it does not say."""
        if self.built_torch:
            return self.built_torch.partition("+")[0]
        tag = TORCH_TAG.search(self.local)
        if tag is None:
            return ""
        word, digits = tag.groups()
        if "." in digits:
            return digits
        # "pt" writes major and minor (pt25, pt210), "torch" the patch as well (torch250, torch2100).
        patch = word == "torch" and len(digits) > 2
        return f"{digits[0]}.{digits[1:-1]}.{digits[-1]}" if patch else f"{digits[0]}.{digits[1:]}"

    def requirement(self, name: str) -> str:
        """The version specifier it sets on `name`, "==2.7.1"; empty if it sets none, or under a condition only."""
        for told in self.requires:
            match = REQUIREMENT.match(told)
            if match and _normal(match.group(1)) == name and "extra" not in (match.group(3) or ""):
                return match.group(2).replace(" ", "")
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _old_cuda(digits: str) -> str:
    """ "12" of cu12, "9.2" of cu92, the last two-digit tag with a minor version."""
    return digits[0] + "." + digits[1] if digits[0] in "789" else digits


@dataclass(frozen=True)
class DamagedFile:
    """A shared library in NVIDIA's wheels that is not there, or not (only) its owner's.

    Attributes:
        owners: distributions whose RECORD claims the path.
        present: the file exists.
        belongs_to: the owner whose RECORD describes the file that lies there; empty if not settled.
        altered: it is none of the owners' files.
    """

    path: str = ""
    owners: tuple[str, ...] = ()
    present: bool = True
    belongs_to: str = ""
    altered: bool = False


@dataclass(frozen=True)
class Packages:
    """What is installed beside torch.

    Attributes:
        count: of all distributions on the path of a training run.
        distributions: those that load, pin or are built for torch or CUDA, in the order of sys.path.
        damaged: libraries of NVIDIA's wheels that are absent, altered or claimed twice with different contents.
    """

    count: int = 0
    distributions: tuple[Distribution, ...] = ()
    damaged: tuple[DamagedFile, ...] = ()

    def get(self, name: str) -> Distribution | None:
        """The distribution that an import would use: the first on the path."""
        return next((found for found in self.distributions if found.name == name), None)

    def pins(self, torch: TorchInstall) -> tuple[Pin, ...]:
        """What torch requires of NVIDIA's distributions and triton, exactly; a version may end in ".*".

        Since 2.11 torch names most of them as extras of `cuda-toolkit`, which in turn pins them.
        """
        found = [pin for pin in torch.pins if pin.version]
        toolkit, own = self.get("cuda-toolkit"), self.get("torch")
        asked = next((told for told in (own.requires if own else ()) if told.startswith("cuda-toolkit")), "")
        extras = set(re.findall(r"[\w-]+", asked.partition("[")[2].partition("]")[0]))
        for told in toolkit.requires if toolkit else ():
            match = REQUIREMENT.match(told)
            extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", told)
            if match and extra and extra.group(1) in extras and match.group(2).startswith("=="):
                found.append(Pin(_normal(match.group(1)), match.group(2)[2:].strip()))
        return tuple(found)


def fits(version: str, pin: str) -> bool:
    """Whether a version satisfies an exact requirement, "2.27.5" or "13.1.0.*"; local versions do not count."""
    plain = version.partition("+")[0]
    return (plain + ".").startswith(pin[:-1]) if pin.endswith(".*") else plain == pin.partition("+")[0]
