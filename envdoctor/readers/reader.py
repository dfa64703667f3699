"""What a reader is: something that looks at the lines with its literals and ends with facts and sightings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from envdoctor.facts.log import Place, Sighting
from envdoctor.readers.passage import Passage


class Reader(Protocol):
    """Reads one kind of text out of a stream. One object per run; it sees the files in the order given.

    What it keeps must be bounded: a log may have ten gigabytes and a thousand ranks.
    """

    def needles(self) -> Mapping[str, int]:
        """Literals -> on how many lines at most it wants to see each. A line without any is never shown to it."""

    def read(self, passage: Passage) -> None:
        """Look at a line that holds one of the literals (`passage.held` may hold others' as well)."""

    def facts(self) -> Mapping[str, object]:
        """Section name (of `envdoctor.facts.KINDS`) -> fact. Only what the text settles; unknown fields keep their
        default, a section of which nothing is known is left out."""

    def places(self) -> Mapping[str, Place]:
        """Section name -> where in the text its fact begins."""

    def sightings(self) -> Sequence[Sighting]:
        """The lines that tell of a bad state, if it knows any that are no matter of the signature catalogue."""


class FileReader(Protocol):
    """Reads files that are no output but something people wrote: a script, a batch file, a configuration."""

    def accepts(self, name: str, head: str) -> bool:
        """Whether the file is one of its kind, by name and first 4096 characters; it is then read by it alone."""

    def read(self, name: str, text: str) -> tuple[Mapping[str, object], Iterable[Sighting]] | None:
        """Facts and sightings of the whole file (at most `scan.LARGEST_FILE` bytes); None where it turns out to be none
        of its kind, such as a script with a log below it: it is then read as a log."""
