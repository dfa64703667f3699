"""Reads many snapshots: what several of them say in the same words becomes one object, kept once and judged once."""

from __future__ import annotations

import hashlib
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from envdoctor import decode, facts, snapshot
from envdoctor.errors import UsageError
from envdoctor.model import Missing
from envdoctor.snapshot import Snapshot

# An integer that `snapshot.parse` would refuse; digits of other things are read the slow way and come out the same.
LONG = re.compile(rb"[0-9]{21}")


def read_files(files: Iterable[Path]) -> Iterator[tuple[Path, Snapshot]]:
    """The snapshots of files, in order; a file that holds a benchmark holds several.

    Raises:
        UsageError: as `snapshot.read`.
    """
    seen = _Seen()
    for file in files:
        data = snapshot.data_of(file)
        quick = seen.read(data, str(file))
        for each in (quick,) if quick is not None else snapshot.parse_all(data, str(file)):
            yield file, each


def _key(raw: bytes) -> bytes:
    return raw if len(raw) < 32 else hashlib.blake2b(raw, digest_size=31).digest()


class _Seen:
    """The facts and fields read so far, by their names and their JSON, of which a digest is kept where it is long."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, bytes], object] = {}
        self._fields: dict[tuple[str, str, bytes], object] = {}
        self._types: dict[str, dict[str, Any]] = {}
        self._missing: dict[Missing, Missing] = {}

    def read(self, data: bytes, name: str) -> Snapshot | None:
        """The snapshot in `data`; None for whatever is not plainly one, which `snapshot.parse_all` then judges."""
        import msgspec

        try:
            whole = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            held = msgspec.json.decode(whole.pop("facts"), type=dict[str, msgspec.Raw])
            rest = msgspec.json.encode(whole)
            if LONG.search(rest):
                return None
            read = snapshot.of_document({**msgspec.json.decode(rest), "facts": {}}, name)
            found = {kind: self._fact(kind, bytes(raw)) for kind, raw in held.items() if kind in facts.KINDS}
        except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, LookupError, TypeError, UsageError):
            return None
        sections = {
            kind: self._missing.setdefault(fact, fact) if isinstance(fact, Missing) else fact
            for kind, fact in {**read.sections, **found}.items()
        }
        return Snapshot(read.node, read.taken_at, read.made_by, sections, read.redacted_under)

    def _fact(self, kind: str, raw: bytes) -> object:
        fact = self._facts.get((kind, key := _key(raw)))
        if fact is None:
            fact = self._facts[kind, key] = self._new(kind, raw)
        return fact

    def _new(self, kind: str, raw: bytes) -> object:
        """The fact, made of the fields that another node's may share with it."""
        import msgspec

        if LONG.search(raw):
            raise ValueError("an integer that may be too long")
        if kind not in self._types:
            own = facts.kind(kind)
            hints = typing.get_type_hints(own)
            self._types[kind] = {field.name: hints[field.name] for field in fields(own)}
        values: dict[str, object] = {}
        for name, told in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
            if name in self._types[kind]:
                key = kind, name, _key(bytes(told))
                if key not in self._fields:
                    self._fields[key] = decode.field(self._types[kind][name], bytes(told))
                values[name] = self._fields[key]
        return facts.kind(kind)(**values)
