"""GPU architectures: which compiled code runs on which GPU, and what a GPU needs of driver and NCCL."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from envdoctor.knowledge import rows
from envdoctor.knowledge.versions import at_least, minor

# native: compiled for it. jit: the driver translates PTX, see cuda_driver.reach. no: "no kernel image is available".
Runs = Literal["native", "jit", "no"]

# Compiled code runs on devices of the same major version with an equal or higher minor. Chips of Jetson and of the
# cards beside them share a major number and not their code. As DEVICE_REQUIREMENT in torch/cuda/__init__.py.
_NOT_ON = {50: {53}, 52: {53}, 60: {62}, 61: {62}, 70: {72}, 80: {87}, 86: {87}, 100: {101}}
_ONLY_ON = {53: {53}, 62: {62}, 72: {72}, 87: {87}, 101: {101, 110}}
_CODE = re.compile(r"(sm|compute)_(\d+)([af]?)$")


@dataclass(frozen=True)
class Architecture:
    """A GPU generation. `since` is its lowest compute capability; the branches are driver branches."""

    name: str
    since: str
    first_branch: int | None = None
    last_branch: int | None = None


@dataclass(frozen=True)
class NcclSupport:
    """NCCL for GPUs from capability `since` on: the first release with code for them, the first that is sound."""

    since: str
    first: str
    sound: str


@dataclass(frozen=True)
class Product:
    """GPUs by name. `data_centre` ones may use a forward-compatible libcuda; `jetson` ones take NVIDIA's own wheels."""

    pattern: str
    capability: str
    data_centre: bool = False
    jetson: bool = False


def whole(capability: str) -> int:
    """90 of "9.0", 121 of "12.1": how code names a capability. 0 if unknown."""
    major, low = minor(capability)
    return 10 * major + low


def product(name: str) -> Product | None:
    """What is known of a GPU by its product name, "NVIDIA H100 80GB HBM3"."""
    return next((row for row in rows("gpus", "gpu", Product) if re.search(row.pattern, name, re.IGNORECASE)), None)


def capability_of(name: str) -> str:
    """Compute capability of a GPU by its product name; "" if it is not known."""
    known = product(name)
    return known.capability if known else ""


def architecture(capability: str) -> Architecture | None:
    """The generation of a compute capability; None for one older than Kepler or newer than the table."""
    known = rows("gpus", "architecture", Architecture)
    older = [row for row in known if minor(row.since) <= minor(capability)]
    # Blackwell has 10.x to 12.x; what comes after it is not known.
    return older[-1] if older and minor(capability)[0] <= 12 else None


@functools.cache
def code_runs(code: str, capability: str) -> Runs:
    """Whether code such as "sm_90", "sm_90a" or "compute_120" runs on a GPU of this capability."""
    named = _CODE.match(code)
    if not named:
        return "no"
    kind, number, special = named.group(1), int(named.group(2)), named.group(3)
    device = whole(capability)
    if kind == "compute":
        # PTX for an architecture's special features ("a", "f") is not portable.
        return "jit" if not special and device >= number else "no"
    if special == "a":
        return "native" if device == number else "no"
    if number in _ONLY_ON:
        return "native" if device in _ONLY_ON[number] else "no"
    same = device // 10 == number // 10 and device >= number
    return "native" if same and device not in _NOT_ON.get(number, set()) else "no"


def runs(codes: Iterable[str], capability: str) -> Runs:
    """The best that a list of code does on a GPU of this capability."""
    told = {code_runs(code, capability) for code in codes}
    return "native" if "native" in told else "jit" if "jit" in told else "no"


def older_than_all(codes: Iterable[str], capability: str) -> bool:
    """Whether the GPU is of an earlier generation than everything in the list, which then has dropped it."""
    known = [int(named.group(2)) for named in map(_CODE.match, codes) if named]
    return bool(known) and whole(capability) < min(known)


def nccl_support(capability: str) -> NcclSupport | None:
    """What a GPU needs of NCCL; None where every NCCL that torch ever carried will do."""
    asked = [row for row in rows("gpus", "nccl", NcclSupport) if at_least(capability, row.since)]
    return asked[-1] if asked else None
