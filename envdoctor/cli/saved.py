"""Snapshots that were saved, as a verb is given them: files, and folders of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.snapshot import Snapshot


def read(sources: Sequence[Path]) -> list[Snapshot]:
    """The snapshots of all files; of a folder, those of its *.json.

    Raises:
        UsageError: a file cannot be read or holds no fact, a folder holds no snapshot.
    """
    import gc

    from envdoctor.errors import UsageError
    from envdoctor.model import Missing
    from envdoctor.snapshots import read_files

    files: list[Path] = []
    for source in sources:
        inside = sorted(source.glob("*.json")) if os.path.isdir(source) else [source]
        if not inside:
            raise UsageError(
                f"the folder {source} holds no snapshot (*.json); "
                f"write one: `envdoctor snapshot -o {source}/NAME.json`",
                f"目录 {source} 中没有快照（*.json）；可用 `envdoctor snapshot -o {source}/NAME.json` 写一个",
            )
        files += inside
    snapshots = list(read_files(files))
    gc.freeze()  # they stay until the end: no collection needs to look through them again
    for file, snapshot in snapshots:
        if all(isinstance(fact, Missing) for name, fact in snapshot.sections.items() if name != "asked"):
            # Nothing could be wrong in it: it must not read as fine.
            raise UsageError(
                f"{file} holds no fact that can be read; write one with `envdoctor snapshot -o FILE`",
                f"{file} 中没有可读的信息；可用 `envdoctor snapshot -o FILE` 写一个快照",
            )
    return [snapshot for _, snapshot in snapshots]
