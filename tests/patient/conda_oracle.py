"""What conda makes of its files, by conda's own YAML library and a restatement of its rules; and by conda itself.

conda is neither in Debian's archive nor on the Python index. Where ENVDOCTOR_TEST_CONDA names a Python that can import
it, `RealConda` asks it; the tests hold the restatement against it there.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

PROGRAM = r"""
import json, sys
from conda.base.context import context, reset_context
from conda.common.configuration import pretty_list
for line in sys.stdin:
    try:
        reset_context(json.loads(line))
        custom = {name: str(value.base_url) for name, value in context.custom_channels.items()}
        told = {
            "channels": list(context.channels), "alias": context._channel_alias.rstrip("/"),
            "default_channels": [channel.base_url for channel in context.default_channels],
            "custom_channels": {name: value.rstrip("/") for name, value in context._custom_channels.items()},
            "urls": custom,
        }
    except Exception as error:
        told = {"error": repr(error)}
    print(json.dumps(told), flush=True)
"""


@dataclass(frozen=True)
class Effective:
    """What is in effect: lists and maps of all files together, no defaults of conda's own."""

    channels: tuple[str, ...]
    default_channels: tuple[str, ...]
    custom_channels: Mapping[str, str]
    alias: str


def restated(files: Sequence[Path]) -> Effective:
    """The rules of conda/common/configuration.py: lists are joined, the strongest file first, maps are merged, what is
    behind #!top comes first, behind #!bottom last; after #!final nothing stronger counts."""
    top: dict[str, list[str]] = {"channels": [], "default_channels": []}
    middle: dict[str, list[str]] = {"channels": [], "default_channels": []}
    bottom: dict[str, list[str]] = {"channels": [], "default_channels": []}
    custom: dict[str, str] = {}
    alias = ""
    for path in files:
        text = path.read_bytes().decode("utf-8-sig")
        told: Any = YAML(typ="rt", pure=True).load(text) or {}
        for key in ("channels", "default_channels"):
            marked = _marked(told.get(key) or [])
            top[key] += [value for value, mark in marked if mark == "top"]
            middle[key] = [value for value, _ in marked] + middle[key]
            bottom[key] = [value for value, mark in marked if mark == "bottom"] + bottom[key]
        custom |= {str(name): str(value) for name, value in (told.get("custom_channels") or {}).items()}
        alias = str(told.get("channel_alias") or alias)
    joined = {}
    for key in top:
        # conda/common/configuration.py, SequenceLoadedParameter.merge: what stands twice counts where it is first,
        # counted from the end for what is at the bottom.
        first = list(dict.fromkeys([*top[key], *middle[key]]))
        backwards = dict.fromkeys([*reversed(bottom[key]), *reversed(first)])
        joined[key] = tuple(reversed(backwards))
    return Effective(joined["channels"], joined["default_channels"], custom, alias.rstrip("/"))


def _marked(items: Any) -> list[tuple[str, str]]:
    comments = getattr(getattr(items, "ca", None), "items", {})
    found = []
    for number, value in enumerate(items):
        token = comments.get(number, [None])[0]
        # conda takes the comment whole, lines of their own below it included.
        mark = str(token.value).strip().removeprefix("#!") if token is not None else ""
        found.append((str(value), mark))
    return found


class RealConda:
    """conda, asked again and again. `python` can import it."""

    def __init__(self, python: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CONDA")}
        self._process = subprocess.Popen(
            [python, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )

    def read(self, files: Sequence[Path]) -> dict[str, Any]:
        """What conda's context says with these files as its search path, weakest first."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([str(path) for path in files]) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)


def real_conda() -> RealConda | None:
    """conda itself where there is one."""
    python = os.environ.get("ENVDOCTOR_TEST_CONDA", "")
    return RealConda(python) if python else None
