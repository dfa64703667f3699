"""GPU, driver and CUDA: which of several causes an error line has, by what else the text tells."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.host import Host
from envdoctor.facts.log import Sighting
from envdoctor.knowledge import gpus
from envdoctor.readers.decisions import Context, value

CODE = re.compile(r"(?:sm|compute)_(\d+)")
# From Blackwell on new majors overlap with old ones in the lists of builds: what is missing there is new.
BLACKWELL = 100


def architecture(seen: Sighting, context: Context) -> Sighting:
    """torch names the GPU's capability and those it was built for: newer than all of them, or dropped."""
    del context
    device = int(value(seen, "cc").replace(".", "") or 0)
    built = [int(code) for code in CODE.findall(value(seen, "built"))]
    if not device or not built:
        return seen
    new = device > max(built) or (
        device >= BLACKWELL and gpus.runs([f"sm_{code}" for code in built], _dotted(device)) == "no"
    )
    return replace(seen, code="gpu-arch-unsupported-new" if new else "gpu-arch-unsupported-old")


def _dotted(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"


def no_driver(seen: Sighting, context: Context) -> Sighting:
    """torch with CUDA on a machine without a GPU warns when it is asked whether there is one: that is no fault."""
    asked_only = "Warning" in seen.quote and "torch-install" in context.sections
    found_something = "gpu" in context.sections or "driver" in context.sections
    return replace(seen, severity="note") if asked_only and not found_something else seen


def error_803(seen: Sighting, context: Context) -> Sighting:
    """On bare metal the driver was upgraded under a running system; in a container its libcuda is not the host's, most
    often one of a cuda-compat package, as nvidia-smi works there (CUDA Compatibility guide, forward compatibility)."""
    host = context.sections.get("host")
    container = isinstance(host, Host) and host.container
    return replace(seen, code="cuda-compat-mismatch") if container else seen
