"""Being another user for a while, and folders that such a user can reach."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def acting_as(user: int, group: int | None = None, groups: tuple[int, ...] = ()) -> Iterator[None]:
    """Have the rights of this user; needs root."""
    before = os.getgroups(), os.getegid()
    os.setgroups(list(groups))
    os.setegid(user if group is None else group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[1])
        os.setgroups(before[0])


@contextlib.contextmanager
def home_of(user: int) -> Iterator[Path]:
    """An empty home folder of a user; pytest's own folders are for the user that runs it."""
    folder = Path(tempfile.mkdtemp(prefix="envdoctor-home-"))
    try:
        folder.chmod(0o755)
        os.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder)
