"""What torch/version.py says, and the architectures compiled in. The lab writes those of a build over it."""

__version__ = "2.13.0+cu130"
debug = False
cuda: str = "13.0"
git_version = "0000000000000000000000000000000000000000"
hip = None
ARCHITECTURES = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"
