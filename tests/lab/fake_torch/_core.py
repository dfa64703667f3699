"""The compiled part: talks to libcuda, and says what c10/cuda/CUDAFunctions.cpp says when that fails."""

import ctypes
import warnings

from . import version

NO_DEVICE, UNKNOWN = 100, 999
TEXTS = {
    3: "initialization error",
    100: "no CUDA-capable device is detected",
    101: "invalid device ordinal",
    802: "system not yet initialized",
    803: "system has unsupported display driver / cuda driver combination",
    804: "forward compatibility was attempted on non supported HW",
    999: "unknown error",
}
NO_DRIVER = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from "
    "http://www.nvidia.com/Download/index.aspx"
)
TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version {}). Please update your GPU driver by downloading and "
    "installing a new version from the URL: http://www.nvidia.com/Download/index.aspx Alternatively, go to: "
    "https://pytorch.org to install a PyTorch version that has been compiled with your version of the CUDA driver."
)
UNKNOWN_ERROR = (
    "CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable "
    "CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero."
)
UNEXPECTED = (
    "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that "
    "might have already set an error? Error {}: {}"
)


def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise RuntimeError(NO_DRIVER) from None


def _count() -> int:
    """The number of devices. Raises RuntimeError with torch's words."""
    library, number = _library(), ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(number))
    # The runtime of a newer major version refuses the driver before it is started.
    if number.value // 1000 < int(version.cuda.partition(".")[0]):
        raise RuntimeError(TOO_OLD.format(number.value))
    code = library.cuInit(0)
    if code == NO_DEVICE:
        return 0
    if code == UNKNOWN:
        raise RuntimeError(UNKNOWN_ERROR)
    if code:
        raise RuntimeError(UNEXPECTED.format(code, TEXTS.get(code, "unrecognized error code")))
    library.cuDeviceGetCount(ctypes.byref(number))
    return number.value


def _cuda_getDeviceCount() -> int:
    try:
        return _count()
    except RuntimeError as error:
        warnings.warn("CUDA initialization: " + str(error), stacklevel=2)
        return 0


def _cuda_init() -> None:
    if not _count():
        raise RuntimeError("No CUDA GPUs are available")


def _cuda_getArchFlags() -> str:
    return version.ARCHITECTURES


def attribute(number: int, device: int) -> int:
    told = ctypes.c_int()
    if _library().cuDeviceGetAttribute(ctypes.byref(told), number, device):
        raise RuntimeError("CUDA error: invalid device ordinal")
    return told.value


def name(device: int) -> str:
    told = ctypes.create_string_buffer(256)
    if _library().cuDeviceGetName(told, 256, device):
        raise RuntimeError("CUDA error: invalid device ordinal")
    return told.value.decode()
