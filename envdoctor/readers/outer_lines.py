"""Reads the lines that start launchers: srun, mpirun and docker run, and the directives of a batch file.

Told is only an option that is near to one that exists: what a site's plugins add is not known.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.knowledge import launch_options
from envdoctor.readers.launch_parse import PUNCTUATION, goes_before, words
from envdoctor.readers.passage import Passage

MOST = 200  # lines of each kind that are looked at
MOST_KEPT = 16
MOST_CONTINUED = 40
PROGRAMS = {"srun": "srun", "mpirun": "mpirun", "mpiexec": "mpirun", "docker": "docker run"}
DIRECTIVE = re.compile(r"\s{0,8}#SBATCH\s{1,8}--([A-Za-z][\w-]{2,40})")
NAME = re.compile(r"-{1,2}([A-Za-z][\w-]{1,40})(=.*)?", re.DOTALL)
NEAR = 0.8  # of difflib's ratio: one or two letters of a word


class OuterLines:
    """Misspelt options of the programs that start launchers."""

    def __init__(self) -> None:
        self._sightings: dict[tuple[str, str], Sighting] = {}

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(("srun ", "mpirun ", "mpiexec ", "docker run ", "#SBATCH --"), MOST)

    def read(self, passage: Passage) -> None:
        if directive := DIRECTIVE.match(passage.line.raw):
            self._judge(passage, "srun", directive[1])
            return
        for name, options in _commands(_joined(passage)):
            for written in _unknown(launch_options.launcher(name), options):
                self._judge(passage, name, written)

    def _judge(self, passage: Passage, name: str, written: str) -> None:
        row = launch_options.launcher(name)
        if launch_options.known(row, written) or len(self._sightings) >= MOST_KEPT:
            return
        near = difflib.get_close_matches(written.replace("_", "-"), row.flags + row.values, n=1, cutoff=NEAR)
        if not near:
            return
        values = (("option", f"--{written}"), ("launcher", row.title), ("meant", launch_options.spelt(row, near[0])))
        seen = passage.sighting("launch-command-malformed", "warning", signature="launch-command-malformed:misspelt")
        told = replace(seen, values=tuple(Value(key, value) for key, value in values))
        self._sightings.setdefault((name, written), told)

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return list(self._sightings.values())


def _joined(passage: Passage) -> str:
    """The command with its continuation lines."""
    text = passage.line.text
    for line in passage.after(MOST_CONTINUED):
        if not text.rstrip().endswith("\\"):
            break
        text = text.rstrip()[:-1] + " " + line.text
    return text


def _commands(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Each of the programs in a command line, and the words behind it."""
    told = words(text)
    for at, word in enumerate(told):
        name = PROGRAMS.get(word.rpartition("/")[2], "")
        if not name or not all(goes_before(one) for one in told[:at]):
            continue
        rest = told[at + 1 :]
        if name != "docker run":
            yield name, rest
        elif rest[:1] == ["run"]:
            yield name, rest[1:]


def _unknown(row: launch_options.Launcher, options: Sequence[str]) -> Iterator[str]:
    """Long options that the program does not know, up to the program or image that it starts."""
    at = 0
    while at < len(options):
        word = options[at]
        at += 1
        if not word.startswith("-") or set(word) <= PUNCTUATION:
            return
        match = NAME.fullmatch(word)
        if match is None:
            # One letter: `-N 2`, `-it`, `-x NAME`. A value follows where none is attached and no option does.
            at += len(word) == 2 and at < len(options) and not options[at].startswith("-") and word not in ("-l", "-t")
            continue
        option = launch_options.known(row, match[1])
        if not option and word.startswith("--"):
            yield match[1]
        if match[2] is None and option not in row.flags and (option or word.startswith("--")):
            at += 2 if option.endswith("mca") else 1
