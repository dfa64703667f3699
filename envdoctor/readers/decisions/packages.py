"""Packages: what pip's refusals mean, by what it asked for and what else it said."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.log import Sighting
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
NO_CONNECTION = (
    "pip-new-connection",
    "pip-ssl",
    "pip-proxy",
    "pip-incomplete",
    "pip-wrong-version",
    "py-no-ssl",
    "pip-http",
)


def no_versions(seen: Sighting, context: Context) -> Sighting:
    """No version at all: of torch, no wheel has this Python's tag; of another package it may be the index."""
    if context.saw(*NO_CONNECTION):
        return replace(seen, kind="symptom")
    if TORCH.match(value(seen, "req")):
        return replace(seen, code="python-unsupported")
    return replace(seen, severity="warning")


def local_version(seen: Sighting, context: Context) -> Sighting | None:
    """A build tag that the index lacks is the fault only where pip saw other versions of the package."""
    none = context.saw("pip-none")
    return None if none is not None and none is not seen else seen


def conflict(seen: Sighting, context: Context) -> Sighting | None:
    """pip tells after an install which requirements it has broken: of torch's companions that is what fails next; of
    packages that have nothing to do with torch it is no matter of the environment."""
    del context
    package = value(seen, "pkg").lower().replace("_", "-")
    need = re.split(r"[=<>!~]", value(seen, "need").lower().replace("_", "-"))[0]
    pair = next((name for name in PAIRS if re.search(rf"(?<![\w-]){name}(?![\w-])", seen.quote)), "")
    if not package:
        if "ResolutionImpossible" in seen.quote or "currently take into account" in seen.quote:
            return None
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
    return replace(seen, severity="note") if asked and not built else seen


def uv_tags(seen: Sighting, context: Context) -> Sighting:
    """uv says which tag has no wheel: the interpreter's, or the platform's; of Linux the number is that of glibc."""
    del context
    said = value(seen, "said")
    if (value(seen, "kind") or value(seen, "kind2")) == "platform":
        needs = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)", said)]
        if len(needs) > 1 and needs[0] < min(needs[1:]):
            return replace(seen, code="glibc-too-old")
        return replace(seen, code="platform-unsupported")
    return seen
