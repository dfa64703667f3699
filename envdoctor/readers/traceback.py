"""Reads which package's import a loader's refusal ended: the frames above the line name it.

The line itself names a library that many packages want ("libcudart.so.11.0: cannot open shared object file"); what to
reinstall is the package that asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers.passage import Passage

NEAR = 24
MOST = 64
FRAME = re.compile(
    r"\s{0,12}File \"[^\"\n]{0,300}?(?:site-packages|dist-packages)[/\\](?P<path>[\w.]{1,80}[^\"\n]{0,200})\""
)
# torch loads others' libraries by these files; a failure below them is that of the package which called.
LOADERS = ("_ops.py", "_classes.py", "ops.py", "library.py", "cpp_extension.py", "_import_utils.py")


class Traceback:
    """The package of each refusal that stands below frames."""

    def __init__(self) -> None:
        self._frames: list[Sighting] = []

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(
            (
                ": cannot open shared object file",
                "[WinError 1",
                "DLL load failed",
                "undefined symbol",
                "no kernel image is available",
            ),
            MOST,
        )

    def read(self, passage: Passage) -> None:
        if len(self._frames) >= MOST:
            return
        package = asking([line.text for line in passage.before(NEAR)])
        if package:
            seen = passage.sighting("", "note", signature="frame")
            self._frames.append(replace(seen, kind="noise", values=(Value("package", package),)))

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return self._frames


def asking(lines: Sequence[str]) -> str:
    """The package of the last frame that is not torch's loader; "" without frames in installed packages."""
    for text in reversed(lines):
        match = FRAME.match(text[:500])
        if match is None:
            continue
        name, _, rest = match["path"].replace("\\", "/").partition("/")
        if name == "torch" and rest in LOADERS:
            continue
        return name.removesuffix(".py")
    return ""
