"""Which index a file of uv's names, and text edits of that: uv.toml, or the [tool.uv] of a pyproject.toml."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from envdoctor.edits import toml
from envdoctor.edits.toml import Document
from envdoctor.edits.toml_scan import Pair, Path
from envdoctor.facts.uv import UvIndex


@dataclass(frozen=True)
class Setting:
    """An index named by a file. `number` is its place among the [[index]] of the file, -1 for an `index-url`."""

    index: UvIndex
    path: Path
    number: int = -1


def table_of(path: str) -> Path:
    """The table in which a file has its settings of uv."""
    return ("tool", "uv") if posixpath.basename(path.replace("\\", "/")) == "pyproject.toml" else ()


def settings(document: Document, path: str, level: str) -> tuple[Setting, ...]:
    """What a file says of the default index, in its order: every [[index]], then `index-url`, then that of [pip]."""
    top = table_of(path)
    found: list[Setting] = []
    for number, item in enumerate(document.items((*top, "index"))):
        told = {name: _value(document, item.pair(name)) for name in ("url", "name", "default", "explicit")}
        url = item.pair("url")
        if url is None or not isinstance(told["url"], str):
            continue
        index = UvIndex(
            key="index", url=told["url"], name=str(told["name"] or ""), path=path, level=level,
            line=document.line_of(url.start), default=told["default"] is True, explicit=told["explicit"] is True,
        )  # fmt: skip
        found.append(Setting(index, (*top, "index"), number))
    for table in (top, (*top, "pip")):
        pair = document.pair((*table, "index-url"))
        url_there = _value(document, pair)
        if pair is not None and isinstance(url_there, str):
            index = UvIndex(
                key="index-url", url=url_there, path=path, level=level, line=document.line_of(pair.start),
                default=True, pip_only=table != top,
            )  # fmt: skip
            found.append(Setting(index, (*table, "index-url")))
    return tuple(found)


def _value(document: Document, pair: Pair | None) -> Any:
    return None if pair is None else document.value_of(pair)


def changed(document: Document, setting: Setting, url: str) -> Document:
    """The document with another URL in a setting. Raises toml.CannotEdit."""
    if setting.number < 0:
        return toml.set_value(document, setting.path, url)
    return toml.set_in_item(document, setting.path, setting.number, "url", url)


def removed(document: Document, setting: Setting) -> Document:
    """The document without a setting. Raises toml.CannotEdit."""
    if setting.number < 0:
        return toml.remove_value(document, setting.path)
    return toml.remove_item(document, setting.path, setting.number)


def added(document: Document, path: str, url: str, old: bool = False) -> Document:
    """The document with a default index, as a uv before 0.4.23 takes it if `old`. Raises toml.CannotEdit."""
    top = table_of(path)
    if old and not top:
        return toml.add_root_value(document, "index-url", url)
    return toml.add_item(document, (*top, "index"), {"url": url, "default": True})


def named_by_sources(document: Document) -> frozenset[str]:
    """Names of indexes that [tool.uv.sources] takes packages from."""
    told = document.value.get("tool", {})
    sources = told.get("uv", {}).get("sources", {}) if isinstance(told, dict) else {}
    found: set[str] = set()
    for source in sources.values() if isinstance(sources, dict) else ():
        for one in source if isinstance(source, list) else [source]:
            if isinstance(one, dict) and isinstance(one.get("index"), str):
                found.add(one["index"])
    return frozenset(found)
