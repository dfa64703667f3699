"""Reads what `env`, `printenv`, `declare -x` or `docker inspect` print: a launcher's variables, as a process saw them.

A whole environment (PATH and HOME are in it) becomes the fact that checks of a live machine judge. Of a few lines, such
as `env | grep RANK`, only contradictions within them are told: what they leave out may be set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.environment import Environment, is_secret
from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers.passage import Passage

NEEDLES = ("RANK=", "WORLD_SIZE=", "MASTER_ADDR=", "MASTER_PORT=", "CUDA_VISIBLE_DEVICES=", "SLURM_PROCID=")
MOST = 400  # lines of a dump
FEWEST = 3  # variables in a row that make one
VARIABLE = re.compile(r"(?:declare -x )?\s{0,16}\"?(?P<name>[A-Za-z_][A-Za-z0-9_]{0,80})=(?P<value>[^\n]{0,4000})")
WHOLE = ("PATH", "HOME")
PAIRS = (
    ("RANK", "WORLD_SIZE"),
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("GROUP_RANK", "GROUP_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)
ADDRESS = re.compile(r"[A-Za-z0-9_.:%\[\]-]{1,255}")


class EnvironmentDump:
    """The first dump of all texts that holds a launcher's variables."""

    def __init__(self) -> None:
        self._variables: dict[str, str] = {}
        self._place = Place()
        self._sightings: list[Sighting] = []

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(NEEDLES, 200)

    def read(self, passage: Passage) -> None:
        if self._variables or not passage.held.intersection(NEEDLES):
            return
        own = _variable(passage.line.text)
        if own is None:
            return
        found = [own]
        for lines, at in ((passage.before(MOST)[::-1], 0), (passage.after(MOST), None)):
            for line in lines:
                told = _variable(line.text)
                if told is None:
                    break
                found.insert(len(found) if at is None else at, told)
        variables = dict(found)
        if len(variables) < FEWEST:
            return
        self._variables, self._place = variables, passage.place
        self._judge(passage)

    def _judge(self, passage: Passage) -> None:
        for index, count in PAIRS:
            value, limit = self._variables.get(index, ""), self._variables.get(count, "")
            if value.isdecimal() and limit.isdecimal() and int(value) >= int(limit):
                self._tell(passage, "world-size-mismatch", what=index, value=value, other=count, limit=limit)
        address = self._variables.get("MASTER_ADDR", "")
        if address and "$" not in address and not ADDRESS.fullmatch(address):
            self._tell(passage, "master-addr-malformed", value=address)

    def _tell(self, passage: Passage, code: str, **values: str) -> None:
        seen = passage.sighting(code, "error", signature=f"{code}:environment")
        self._sightings.append(replace(seen, values=tuple(Value(name, told[:200]) for name, told in values.items())))

    def facts(self) -> Mapping[str, object]:
        if not all(name in self._variables for name in WHOLE):
            return {}
        secret = tuple(name for name in self._variables if is_secret(name))
        shown = {name: value for name, value in self._variables.items() if name not in secret}
        return {"environment": Environment(shown, secret)}

    def places(self) -> Mapping[str, Place]:
        return {"environment": self._place} if self._variables else {}

    def sightings(self) -> Sequence[Sighting]:
        return self._sightings


def _variable(text: str) -> tuple[str, str] | None:
    match = VARIABLE.match(text)
    if match is None:
        return None
    value = match["value"].strip().removesuffix(",")
    quoted = value.strip('"')
    if " " in quoted and value == quoted and match["name"] in ("MASTER_ADDR", "RANK", "CUDA_VISIBLE_DEVICES"):
        return None  # an assignment in front of a command is none of a dump
    return match["name"], quoted
