"""Whether the GPUs are somebody else's at the moment: a benchmark would disturb that work, and measure it."""

from __future__ import annotations

from envdoctor import decode
from envdoctor.errors import UsageError
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.transport import local
from envdoctor.transport.target import Target

BUSY = 2 << 30  # bytes of others on a GPU; the same limit as gpu-busy, after Primus' preflight
LOOK_S = 5.0


def refuse(target: Target) -> None:
    """Refuse to measure on GPUs that others use.

    Raises:
        UsageError: such a GPU is there; it says whose, and that --force measures all the same.
    """
    answer, _ = local.examine_target(target, local.Request(limit_s=LOOK_S, only=("gpu",)))
    found = decode.fact("gpu", answer.values["gpu"]) if "gpu" in answer.values else None
    busy = in_use(found) if isinstance(found, Gpus) else ()
    if busy:
        raise UsageError(
            f"{'; '.join(busy)}: measuring would disturb it and be slow; --force measures all the same",
            f"{'；'.join(busy)}：测量会干扰它且结果偏慢；--force 可强制测量",
        )


def in_use(gpus: Gpus) -> tuple[str, ...]:
    """The GPUs on which others hold much memory, and who they are."""
    return tuple(_told(gpu) for gpu in gpus.gpus if _held_by_others(gpu) >= BUSY)


def _held_by_others(gpu: Gpu) -> int:
    known = [process for process in gpu.processes if not process.own and process.memory_bytes is not None]
    own = sum(process.memory_bytes or 0 for process in gpu.processes if process.own)
    # Inside a container the processes of others are not listed, but their memory counts.
    return max(sum(process.memory_bytes or 0 for process in known), (gpu.memory_used_bytes or 0) - own)


def _told(gpu: Gpu) -> str:
    others = [process for process in gpu.processes if not process.own]
    who = f" (pid {others[0].pid}{f' of {others[0].user}' if others[0].user else ''})" if others else ""
    return f"GPU {gpu.index} is in use, {_held_by_others(gpu) / 1e9:.1f} GB{who}"
