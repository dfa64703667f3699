"""Reports in the formats people and programs read. Each renderer reads the same `Report` and nothing else."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Protocol

from envdoctor.model import Language, Report
from envdoctor.redact import Redactor

FORMATS = ("text", "json", "github", "junit", "markdown", "nagios", "prometheus")
MODULES = {"json": "json_report"}  # those not named like their format


@dataclass(frozen=True)
class Style:
    """How a report is to look.

    Attributes:
        verbosity: -1 problems only, 0 usual, 1 with notes and skipped checks in full, 2 with times and tracebacks.
        colour: whether escape sequences may be written.
        unicode: whether the stream can show marks such as a tick.
        notes: show notes as well, whatever the verbosity.
        width: columns; 0 where the output is no terminal and lines are not to be broken.
    """

    language: Language = "en"
    verbosity: int = 0
    colour: bool = False
    unicode: bool = True
    width: int = 0
    notes: bool = False


class Renderer(Protocol):
    """A module of this package."""

    def render(self, report: Report, style: Style, redactor: Redactor) -> str:
        """The whole document, ending in a newline."""


def renderer(name: str) -> Renderer:
    """The renderer of a format; imported only when it is used."""
    found: Renderer = importlib.import_module(f"envdoctor.render.{MODULES.get(name, name)}")
    return found


def line(text: str) -> str:
    """`text` clean and on one line, for places where a second line would pass for one of ours."""
    return " ".join(clean(text).split("\n"))


def cut(text: str, width: int) -> str:
    """As much of `text` as fits into so many cells of a terminal, on one line; a Chinese character takes two."""
    import unicodedata

    left, whole = width, line(text)
    for place, character in enumerate(whole):
        left -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if left < 0:
            return whole[:place]
    return whole


def clean(text: str) -> str:
    """`text` without control characters, so that hostile input cannot steer the terminal. Newlines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in "\n\t"
        else f"\\x{ord(character):02x}"
        if ord(character) < 256
        else "\ufffd"
        for character in text
    )
