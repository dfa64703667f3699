"""A node's facts as a file: what `snapshot -o` writes and `check --from` reads."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import select
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envdoctor import decode, facts
from envdoctor.errors import UsageError
from envdoctor.model import Missing, Node

if TYPE_CHECKING:
    from envdoctor.redact import Redactor

SCHEMA = "envdoctor/snapshot/1"
BENCH = "envdoctor/bench/1"  # the document of a benchmark holds the snapshots that its findings were judged on
MOST_NODES = 4096  # snapshots in one document
SILENT_S = 90.0  # seconds; `--from <(ssh node envdoctor snapshot)` says nothing while the node is examined
LARGEST = 64 * 1024 * 1024  # bytes; a full snapshot of a big machine is below one megabyte


@dataclass(frozen=True)
class Snapshot:
    """All facts of one node at one time.

    Attributes:
        taken_at: UTC, ISO 8601.
        sections: section name -> its fact or Missing.
        redacted_under: mark of the key under which it was redacted; empty where it was not, or does not tell.
    """

    node: Node
    taken_at: str
    made_by: str
    sections: Mapping[str, object] = field(default_factory=dict)
    redacted_under: str = ""

    @property
    def facts(self) -> dict[type, object]:
        return decode.by_type(self.sections)


def told_by(snapshots: Iterable[Snapshot]) -> Iterator[Any]:
    """All that these hold as plain values: a fact once where several nodes share it."""
    told: dict[int, object] = {}  # kept, so that no other comes to have the same id
    for snapshot in snapshots:
        yield [snapshot.node.name, snapshot.node.address, snapshot.node.python]
        for fact in snapshot.sections.values():
            if id(fact) not in told:
                told[id(fact)] = fact
                yield fact.detail if isinstance(fact, Missing) else decode.encode(fact)


def to_json(snapshot: Snapshot) -> dict[str, Any]:
    """The document of a snapshot, schema `envdoctor/snapshot/1`, not redacted."""
    held = {name: decode.encode(fact) for name, fact in snapshot.sections.items() if not isinstance(fact, Missing)}
    missing = {
        name: {"reason": fact.reason, "detail": fact.detail}
        for name, fact in snapshot.sections.items()
        if isinstance(fact, Missing)
    }
    node = snapshot.node
    return {
        "schema": SCHEMA,
        "made_by": snapshot.made_by,
        "taken_at": snapshot.taken_at,
        "node": {
            "name": node.name,
            "address": node.address,
            "python": node.python,
            "python_version": node.python_version,
            "python_why": node.python_why,
        },
        "facts": held,
        "missing": missing,
    }


def redacted(document: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The document as it may leave the machine, with the mark of the key that its hashes were made under."""
    hidden: dict[str, Any] = redactor.value(document)
    return {**hidden, "redacted_under": redactor.mark}


def read(path: Path) -> Snapshot:
    """Read a snapshot from a file that may come from anywhere.

    Raises:
        UsageError: the file cannot be read, is too large, is no snapshot, or is of a newer schema.
    """
    return parse(data_of(path), str(path))


def data_of(path: Path) -> bytes:
    """The bytes of a file, or of a pipe. Raises UsageError where it cannot be read or is too large."""
    try:
        data = _bytes_of(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the snapshot {path}: {error.strerror}; write one with `envdoctor snapshot -o FILE`",
            f"无法读取快照 {path}：{error.strerror}；可用 `envdoctor snapshot -o FILE` 写一个",
        ) from error
    if len(data) > LARGEST:
        raise UsageError(
            f"{path} is too large; no snapshot is larger than {LARGEST / 1e6:.0f} MB",
            f"{path} 过大；快照不会超过 {LARGEST / 1e6:.0f} MB",
        )
    return data


def read_all(path: Path) -> list[Snapshot]:
    """The snapshots of a file: one, or those that the document of a benchmark holds.

    Raises:
        UsageError: as `read`.
    """
    return parse_all(data_of(path), str(path))


def parse_all(data: bytes, name: str) -> list[Snapshot]:
    """The snapshots in bytes; `name` is used in errors.

    Raises:
        UsageError: as `read`.
    """
    document = _document(data, name)
    if isinstance(document, dict) and document.get("schema") == BENCH:
        held = document.get("snapshots")
        if not isinstance(held, list) or not held or not all(isinstance(one, dict) for one in held):
            raise UsageError(
                f"{name} holds no facts to judge; write one with `envdoctor bench allreduce -o FILE`",
                f"{name} 中没有可判断的信息；可用 `envdoctor bench allreduce -o FILE` 写一个",
            )
        return [_checked(one, name) for one in held[:MOST_NODES]]
    return [of_document(document, name)]


def _bytes_of(path: Path) -> bytes:
    """At most LARGEST bytes of a file or a pipe, and one more; a pipe that stays silent is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb", buffering=0) as file:
        data = bytearray()
        while len(data) <= LARGEST:
            try:
                piece = file.read(1 << 20)
            except BlockingIOError:
                piece = None
            if piece == b"":
                break
            if piece:
                data += piece
            elif not select.select([file], [], [], SILENT_S)[0]:
                raise OSError(errno.ETIMEDOUT, f"nothing comes out of this pipe in {SILENT_S:.0f} s")
        return bytes(data)


def _integer(digits: str) -> int:
    """An integer of a snapshot. Raises ValueError for one that no machine counts to: arithmetic would fail on it."""
    if len(digits) > 20:
        raise ValueError("an integer of more than 20 digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that no float holds, or NaN, which is no JSON")
    return number


def parse(data: bytes, name: str) -> Snapshot:
    """Read a snapshot from bytes; `name` is used in errors.

    Raises:
        UsageError: as `read`.
    """
    return of_document(_document(data, name), name)


def _document(data: bytes, name: str) -> Any:
    try:
        return json.loads(data, parse_int=_integer, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValueError) and re.match(rb"\s*[\[A-Za-z0-9=#*-]", data):
            raise UsageError(
                f"{name} is no snapshot but another text; `envdoctor explain {shlex.quote(name)}` reads logs "
                "and pasted reports, and `envdoctor snapshot -o FILE` writes a snapshot",
                f"{name} 不是快照而是其他文本；`envdoctor explain {shlex.quote(name)}` 可读日志与报告，"
                "`envdoctor snapshot -o FILE` 写快照",
            ) from error
        deep = isinstance(error, RecursionError)
        what, zh = ("nested too deeply", "嵌套过深") if deep else ("truncated or no JSON", "内容被截断或不是 JSON")
        raise UsageError(
            f"{name} is no snapshot: {what}; write one with `envdoctor snapshot -o FILE`",
            f"{name} 不是快照：{zh}；可用 `envdoctor snapshot -o FILE` 写一个",
        ) from error


def of_document(document: Any, name: str) -> Snapshot:
    """The snapshot in a JSON value; `name` is used in errors.

    Raises:
        UsageError: it is none, or of a newer schema.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("envdoctor/snapshot/"):
        raise UsageError(
            f"{name} is no snapshot (its schema is not {SCHEMA}); write one with `envdoctor snapshot -o FILE`",
            f"{name} 不是快照（schema 不是 {SCHEMA}）；可用 `envdoctor snapshot -o FILE` 写一个",
        )
    if schema != SCHEMA:
        made_by = str(document.get("made_by", "another version"))[:80]
        raise UsageError(
            f"{name} was written by {made_by} in the schema {schema[:60]}; upgrade envdoctor, this one reads {SCHEMA}",
            f"{name} 由 {made_by} 以 {schema[:60]} 格式写成；请升级 envdoctor，当前版本只读 {SCHEMA}",
        )
    return _checked(document, name)


def _checked(document: dict[str, Any], name: str) -> Snapshot:
    node, held, missing = (document.get(key) or {} for key in ("node", "facts", "missing"))
    if not all(isinstance(part, dict) for part in (node, held, missing)):
        raise UsageError(
            f"{name} is no snapshot: node, facts and missing must be objects",
            f"{name} 不是快照：node、facts、missing 须为对象",
        )
    sections: dict[str, object] = {}
    for kind in facts.KINDS:
        told = missing.get(kind)
        if kind in held:
            sections[kind] = decode.fact(kind, held[kind])
        elif isinstance(told, dict):
            sections[kind] = Missing(kind, str(told.get("reason", "")), str(told.get("detail", "")))
        else:
            sections[kind] = Missing(kind, "not-asked", f"{Path(name).name} does not hold it")
    words = {
        key: str(node.get(key, ""))[:4096] for key in ("name", "address", "python", "python_version", "python_why")
    }
    taken_at, made_by, mark = (str(document.get(key, ""))[:80] for key in ("taken_at", "made_by", "redacted_under"))
    return Snapshot(Node(**words), taken_at[:64], made_by, sections, mark)
