"""Stands for torch in the lab: the real builds are gigabytes, and here only their words about CUDA count.

The lab copies this folder into an environment as `torch`, beside the version.py of a build.
"""

from . import _core as _C
from . import cuda, version

__version__ = version.__version__
__all__ = ["_C", "__version__", "cuda", "version"]
