"""The readers there are. A new one is a module of this package and a line here."""

from __future__ import annotations

import importlib
from typing import Any

from envdoctor.readers.reader import FileReader, Reader

# module:class; where two tell the same field of a fact, the earlier one is believed.
READERS = (
    "signatures:Signatures",
    "collect_env:CollectEnv",
    "nvidia_smi:NvidiaSmi",
    "package_lists:PackageLists",
    "traceback:Traceback",
    "nccl_log:NcclLogReader",
    "network_listing:NetworkListingReader",
    "launch_lines:LaunchLines",
    "outer_lines:OuterLines",
    "sbatch:Sbatch",
    "elastic:Elastic",
    "ulimit:Ulimit",
    "environment_dump:EnvironmentDump",
    "surroundings:Surroundings",
)
# Asked in this order which of them a file belongs to; a file that none accepts is a log.
FILE_READERS: tuple[str, ...] = ("script:Scripts",)


def readers() -> tuple[Reader, ...]:
    """A new object of each reader."""
    return tuple(_made(name) for name in READERS)


def file_readers() -> tuple[FileReader, ...]:
    """A new object of each reader of whole files."""
    return tuple(_made(name) for name in FILE_READERS)


def _made(name: str) -> Any:
    module, _, class_name = name.partition(":")
    return getattr(importlib.import_module(f"envdoctor.readers.{module}"), class_name)()
