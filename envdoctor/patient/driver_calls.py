"""Calls into the driver that may hang or crash: each runs in a child of its own and sends what it learns as it goes."""

import os

from . import driver_libraries, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    Send = Callable[[Dict[str, Any]], None]

# Results of cuInit that mean something here (cuda.h); others are named by their number.
CUDA_ERRORS = {
    0: "CUDA_SUCCESS",
    1: "CUDA_ERROR_INVALID_VALUE",
    2: "CUDA_ERROR_OUT_OF_MEMORY",
    3: "CUDA_ERROR_NOT_INITIALIZED",
    34: "CUDA_ERROR_STUB_LIBRARY",
    46: "CUDA_ERROR_DEVICE_UNAVAILABLE",
    100: "CUDA_ERROR_NO_DEVICE",
    101: "CUDA_ERROR_INVALID_DEVICE",
    201: "CUDA_ERROR_INVALID_CONTEXT",
    214: "CUDA_ERROR_ECC_UNCORRECTABLE",
    304: "CUDA_ERROR_OPERATING_SYSTEM",
    802: "CUDA_ERROR_SYSTEM_NOT_READY",
    803: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    804: "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    999: "CUDA_ERROR_UNKNOWN",
}


def level(number: int) -> str:
    """CUDA's version number in words: 13000 is 13.0, 12040 is 12.4."""
    return "%d.%d" % (number // 1000, number % 1000 // 10) if number > 0 else ""


def cuda(send: "Send", name: str) -> None:
    """The CUDA level of the driver, what cuInit returns, and the devices in CUDA's order."""
    import ctypes

    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        send({"fact": "end", "value": {"libcuda_error": str(error)}})
        return
    place = driver_libraries.mapped(name)
    if place:
        send({"fact": "libcuda", "value": {"libcuda": place}})
    number = ctypes.c_int()
    if not hasattr(library, "cuInit"):
        send({"fact": "end", "value": {"libcuda_error": (place or name) + ": it has no cuInit"}})
        return
    # It answers before and without cuInit.
    if library.cuDriverGetVersion(ctypes.byref(number)) == 0:
        found = {"cuda_level": level(number.value), "cuda_level_source": "cuDriverGetVersion"}
        send({"fact": "level", "value": found})
    code = int(library.cuInit(0))
    facts: "Dict[str, Any]" = {"cuda_init": code, "cuda_init_name": cuda_name(library, code)}
    if code == 0:
        count = ctypes.c_int()
        if library.cuDeviceGetCount(ctypes.byref(count)) == 0:
            facts["cuda_devices"] = count.value
            facts["cuda_order"] = [address(library, ordinal) for ordinal in range(min(count.value, 64))]
    elif code == 100:
        facts["cuda_devices"] = 0
    send({"fact": "end", "value": facts})


def cuda_name(library: "Any", code: int) -> str:
    """The name of a CUDA error, the driver's own where our table lacks it."""
    import ctypes

    if code in CUDA_ERRORS:
        return CUDA_ERRORS[code]
    told = ctypes.c_char_p()
    try:
        if library.cuGetErrorName(code, ctypes.byref(told)) == 0 and told.value:
            return told.value.decode("ascii", "replace")
    except AttributeError:
        pass
    return "CUDA error %d" % code


def address(library: "Any", ordinal: int) -> str:
    """The PCI address of a CUDA device, "" where it does not tell."""
    import ctypes

    device, told = ctypes.c_int(), ctypes.create_string_buffer(32)
    if library.cuDeviceGet(ctypes.byref(device), ordinal) != 0:
        return ""
    if library.cuDeviceGetPCIBusId(told, 32, device) != 0:
        return ""
    return told.value.decode("ascii", "replace").lower()


def nvml(send: "Send", name: str) -> None:
    """What nvmlInit returns, and the driver's release and CUDA level as NVML knows them."""
    import ctypes

    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        send({"fact": "end", "value": {"nvml_error": 12, "nvml_error_text": str(error)}})
        return
    place = driver_libraries.mapped(name)
    if place:
        send({"fact": "libnvml", "value": {"libnvml": place}})
    if not hasattr(library, "nvmlInit_v2"):
        send(
            {"fact": "end", "value": {"nvml_error": 13, "nvml_error_text": (place or name) + ": it has no nvmlInit_v2"}}
        )
        return
    code = int(library.nvmlInit_v2())
    if code:
        library.nvmlErrorString.restype = ctypes.c_char_p
        told = library.nvmlErrorString(code) or b""
        found = {"nvml_error": code, "nvml_error_text": told.decode("utf-8", "replace")}
        send({"fact": "end", "value": found})
        return
    facts: "Dict[str, Any]" = {}
    release, number = ctypes.create_string_buffer(81), ctypes.c_int()
    if library.nvmlSystemGetDriverVersion(release, 80) == 0:
        facts["nvml_driver"] = release.value.decode("ascii", "replace")
    if library.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(number)) == 0:
        facts["nvml_cuda_level"] = level(number.value)
    send({"fact": "end", "value": facts})


def open_nodes(send: "Send", names: "List[str]") -> None:
    """Which device nodes this user may not open. Only opening tells of a control group that forbids a device."""
    for name in names:
        if name.startswith("nvidia-nvswitch"):
            continue  # the fabric manager's alone
        send({"begin": "open /dev/" + name})
        denied = denied_node("/dev/" + name)
        if denied:
            send({"fact": name, "value": {"denied_nodes": [name]}})
    send({"fact": "end", "value": {}})


def denied_node(path: str) -> bool:
    try:
        os.close(os.open(reading.rooted(path), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError:
        return True
    except OSError:
        # Without its driver a node gives ENXIO or ENODEV: then nothing is said of permission.
        return False
    return False
