"""Devices: whether a mask, a link or a service is wrong, by the GPUs that the text shows."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context, value

UNSEEN = ("no-gpus-available", "cuda-100", "needs-gpu", "torch-no-driver", "asked-available", "says-unavailable")
# Slurm's options for GPUs.
ASKS = re.compile(r"(?:^|\s)(?:--gres|--gpus|--tres-per|-G\b)")
# GPUs that only NVSwitches join: H100, H200, B200 and A100 as SXM boards, in eights.
SWITCHED = 8


def mask(seen: Sighting, context: Context) -> Sighting | None:
    """A mask hides GPUs on purpose more often than not: it is a fault where it names one that is not there, or where
    something then misses a GPU."""
    told = value(seen, "mask").strip("'\" ")
    if told == "None":
        return None
    missed = context.saw(*UNSEEN) is not None
    if told in ("", "NoDevFiles") and slurm(context) and missed and not _given(context):
        # Slurm's gres/gpu plugin empties the mask of a job that was given no GPU.
        return replace(seen, code="gpu-not-allocated", severity="error")
    if not told:
        known = isinstance(context.sections.get("gpu"), Gpus)
        severity = "error" if missed and known else "warning" if missed else ""
        return replace(seen, code="cuda-visible-devices-empty", severity=severity) if severity else None
    if not re.fullmatch(r"-?\d{1,3}(?:\s?,\s?-?\d{1,3})*,?", told):
        return None
    numbers = [int(number) for number in re.findall(r"-?\d+", told)]
    found = context.sections.get("gpu")
    if numbers[0] < 0:
        return replace(seen, severity="warning") if missed else None
    if not isinstance(found, Gpus) or not found.gpus or max(numbers) < len(found.gpus):
        return None
    return replace(seen, severity="error") if missed else None


def order(seen: Sighting, context: Context) -> Sighting | None:
    """The same GPUs in another order than nvidia-smi lists them."""
    found = context.sections.get("gpu")
    names = [name.strip(" '\"") for name in value(seen, "names").split(",")]
    listed = [gpu.name for gpu in found.gpus] if isinstance(found, Gpus) else []
    return seen if names != listed and sorted(names) == sorted(listed) else None


def none_found(seen: Sighting, context: Context) -> Sighting:
    """nvidia-smi says so on a GPU node of Slurm to a job that has asked for none: the cgroup hides them."""
    if slurm(context) and not _given(context):
        return replace(seen, code="gpu-not-allocated", severity="warning")
    return seen


def ordinal(seen: Sighting, context: Context) -> Sighting | None:
    """Of several processes one has no GPU; a single one that names a device itself has a mask that hides it."""
    if context.saw("nccl-peer-hidden"):
        return None  # the number is the neighbour's, whom NCCL asks for; this rank has its GPU
    if seen.place.rank is not None or context.saw("launched") or "num_gpus=" in seen.quote:
        return seen
    if context.saw("cuda-mask", "mask-echoed") is not None:
        return replace(seen, code="cuda-visible-devices-invalid")
    return seen


def slurm(context: Context) -> bool:
    """Whether the text is of a job of Slurm."""
    host = context.sections.get("host")
    named = isinstance(host, Host) and host.scheduler.kind == "slurm"
    return named or context.saw("batch-directive", "slurm-cpu-gpus") is not None


def _given(context: Context) -> bool:
    """Whether the text shows that the job was given GPUs."""
    return any(
        (one.signature == "slurm-cpu-gpus" and value(one, "gpus") not in ("", "0"))
        or (one.signature == "batch-directive" and ASKS.search(value(one, "option") or value(one, "line")))
        for one in context.sightings
    )


def link_width(seen: Sighting, context: Context) -> Sighting | None:
    """lspci prints every device: of one that is no GPU the width tells nothing of ours."""
    del context
    return seen if int(value(seen, "width") or 0) else None


def smi_width(seen: Sighting, context: Context) -> Sighting | None:
    """Boards for workstations give the second slot eight lanes: only fewer are a fault by themselves."""
    del context
    now, most = int(value(seen, "now")), int(value(seen, "max"))
    if now >= most:
        return None
    return seen if now < most // 2 else replace(seen, severity="note")


def fabric_manager(seen: Sighting, context: Context) -> Sighting | None:
    """It need not run where no NVSwitch is; a service that failed was started for some."""
    if (
        value(seen, "state") == "failed"
        or "Failed with result" in seen.quote
        or context.saw("cuda-802", "fabric-state")
    ):
        return seen
    found = context.sections.get("gpu")
    switched = isinstance(found, Gpus) and len(found.gpus) >= SWITCHED and "SXM" in found.gpus[0].name
    return replace(seen, severity="warning" if switched else "note")
