"""torch.cuda, as far as training asks it about devices. The warning is that of torch/cuda/__init__.py."""

import warnings

from . import _core

MAJOR, MINOR = 75, 76
NOT_COMPATIBLE = """
{name} with CUDA capability sm_{capability} is not compatible with the current PyTorch installation.
The current PyTorch install supports CUDA capabilities {architectures}.
If you want to use the {name} GPU with PyTorch, please check the instructions at https://pytorch.org/get-started/locally/
"""


def device_count() -> int:
    return _core._cuda_getDeviceCount()


def is_available() -> bool:
    return device_count() > 0


def get_arch_list() -> list[str]:
    return _core._cuda_getArchFlags().split()


def get_device_name(device: int) -> str:
    return _core.name(device)


def get_device_capability(device: int) -> tuple[int, int]:
    return _core.attribute(MAJOR, device), _core.attribute(MINOR, device)


def init() -> None:
    _core._cuda_init()
    majors = {int(name[3:].rstrip("af")) // 10 for name in get_arch_list() if name.startswith("sm_")}
    for device in range(device_count()):
        major, minor = get_device_capability(device)
        if major not in majors:
            words = {"name": get_device_name(device), "capability": f"{major}{minor}"}
            warnings.warn(NOT_COMPATIBLE.format(architectures=" ".join(get_arch_list()), **words), stacklevel=2)
