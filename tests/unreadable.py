"""Files that this user may not read."""

from __future__ import annotations

import errno
from collections.abc import Container, Mapping

from envdoctor import Files


class Unreadable(Files):
    """Files of which some cannot be read; without `paths`, none can."""

    def __init__(self, paths: Container[str] | None = None, content: Mapping[str, bytes] | None = None) -> None:
        super().__init__(content)
        self._paths = paths

    def read(self, path: str) -> bytes | None:
        if self._paths is None or path in self._paths:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return super().read(path)
