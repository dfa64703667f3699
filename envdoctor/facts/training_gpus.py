"""The GPUs that a training run started here would see."""

from __future__ import annotations

from dataclasses import dataclass

from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.visible_devices import select


@dataclass(frozen=True)
class TrainingGpus:
    """GPUs left by CUDA_VISIBLE_DEVICES.

    Attributes:
        gpus: in NVML's order.
        certain: whether it is known that it is these. CUDA numbers GPUs of different models by speed, unless
            CUDA_DEVICE_ORDER is PCI_BUS_ID: which ones an index means is then not known here, and `gpus` are all.
    """

    gpus: tuple[Gpu, ...] = ()
    certain: bool = True


def training_gpus(gpus: Gpus, environment: Environment | None) -> TrainingGpus:
    """Which GPUs a training run sees. Those that do not answer are left out."""
    able = tuple(gpu for gpu in gpus.gpus if not gpu.error)
    value = environment.get("CUDA_VISIBLE_DEVICES") if environment else None
    if value is None:
        return TrainingGpus(able)
    chosen = select(value, len(able), tuple(gpu.uuid for gpu in able))
    if chosen.hides_all:
        return TrainingGpus()
    if chosen.devices is None:
        return TrainingGpus(able, certain=False)
    by_uuid = value.startswith(("GPU-", "MIG-"))
    by_bus = environment is not None and environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    alike = len({gpu.name for gpu in able}) <= 1
    if by_uuid or by_bus or alike or len(chosen.devices) == len(able):
        return TrainingGpus(tuple(able[place] for place in sorted(chosen.devices)))
    return TrainingGpus(able, certain=False)
