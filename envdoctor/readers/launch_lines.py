"""Reads launch lines out of any text: torchrun, torch.distributed.launch, accelerate, deepspeed, as pasted or traced.

The lines of several nodes are compared with each other, and with how the script next to them asks for its rank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers import launch_rules
from envdoctor.readers.launch_parse import LaunchLine, parse
from envdoctor.readers.launch_rules import Judged
from envdoctor.readers.passage import Passage

NEEDLES = (
    "torchrun",
    "torch.distributed.launch",
    "torch.distributed.run",
    "accelerate launch",
    "accelerate-launch",
    "deepspeed ",
)
MOST = 200  # lines of each kind that are looked at
MOST_KEPT = 64
MOST_CONTINUED = 80
BLANK_AFTER = re.compile(r"\\[ \t]+\r?$")
OPTION = re.compile(r"\s{0,40}--?[A-Za-z][\w-]{1,60}(?:[= ]\S{0,200})?\s{0,4}\\?\s{0,4}$")
# "gpu-01$ torchrun", "root@gpu-01:~# torchrun"; "# on node 2:", "节点1".
PROMPT = re.compile(r"\s{0,8}([\w.@:~/-]{1,100}[$#>])\s")
NAMES_NODE = re.compile(
    r"(?i)\b(?:nodes?|machine|server|host|worker|master|slave|first|second|gpu)\b|节点|机器|主机|服务器"
)
# A rank that counts within the node, given where the one within the job belongs.
LOCAL_AS_GLOBAL = re.compile(
    r"\brank\s{0,3}=\s{0,3}(?:int\(\s{0,2})?(?:args\.|opt\.|self\.|cfg\.)?(?:local_rank|os\.environ\[['\"]LOCAL_RANK['\"]\])"
)


@dataclass(frozen=True)
class Found:
    """A launch line and where it stands, as a sighting without a code."""

    line: LaunchLine
    seen: Sighting
    heading: str = ""


class LaunchLines:
    """The distinct launch lines of all texts, at most 64."""

    def __init__(self) -> None:
        self._found: list[Found] = []
        self._sightings: list[Sighting] = []
        self._rank: Sighting | None = None
        self._continued: tuple[str, int] = ("", 0)

    def needles(self) -> Mapping[str, int]:
        return {**dict.fromkeys(NEEDLES, MOST), "init_process_group(": MOST}

    def read(self, passage: Passage) -> None:
        if "init_process_group(" in passage.held:
            self._read_code(passage)
        line = passage.line
        if not passage.held.intersection(NEEDLES) or len(self._found) >= MOST_KEPT:
            return
        file, last = self._continued
        if file == line.file and line.number <= last:
            return  # part of the line before
        text, missing, blank = self._joined(passage)
        parsed = parse(text)
        if parsed is None:
            return
        seen, heading = passage.sighting("", quote=parsed.text), _heading(passage)
        first = next((one for one in self._found if one.line.command == parsed.command), None)
        if first is not None:
            rank = launch_rules.node_rank(parsed)
            if rank is not None and (launch_rules.nodes(parsed) or 1) > 1 and heading and first.heading != heading:
                same = Judged("world-size-mismatch", "same-rank", "warning", (("rank", str(rank)),))
                self._sightings.append(_sighting(seen, same))
            return
        self._found.append(Found(parsed, seen, heading))
        for judged in launch_rules.judged(parsed):
            self._sightings.append(_sighting(seen, judged))
        if blank:
            self._sightings.append(_sighting(seen, Judged("launch-command-malformed", "blank", "warning")))
        elif missing:
            values = (("option", missing),)
            self._sightings.append(
                _sighting(seen, Judged("launch-command-malformed", "continuation", "warning", values))
            )

    def _joined(self, passage: Passage) -> tuple[str, str, bool]:
        """The command with its continuation lines, the option that stands on a line of its own although the line before
        does not go on, and whether blanks follow a backslash."""
        lines = [passage.line, *passage.after(MOST_CONTINUED)]
        parts: list[str] = []
        missing, blank, number = "", False, passage.line.number
        for at, line in enumerate(lines):
            text = line.text.rstrip("\r")
            blank = blank or bool(BLANK_AFTER.search(text))
            stripped = text.rstrip()
            parts.append(stripped.rstrip("\\"))
            number = line.number
            if stripped.endswith("\\") and not stripped.endswith("\\\\"):
                continue
            following = lines[at + 1].text if at + 1 < len(lines) else ""
            if (
                OPTION.match(following)
                and parse(" ".join([*parts, following]))
                and not following.lstrip().startswith("-h")
            ):
                missing = missing or following.split()[0].partition("=")[0]
                continue
            break
        self._continued = (passage.line.file, number)
        return " ".join(parts), missing, blank

    def _read_code(self, passage: Passage) -> None:
        text = " ".join([passage.line.text, *(line.text for line in passage.after(10))])
        call = text[text.find("init_process_group(") :]
        if self._rank is None and (match := LOCAL_AS_GLOBAL.search(call[:600])):
            self._rank = passage.sighting(
                "script-rank-wrong", "warning", match.group(), "script-rank-wrong:passed-as-rank"
            )

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        told = list(self._sightings)
        mine = [one for one in self._found if one.line.launcher.startswith("torch")]
        counts = {one.line.number("nproc-per-node") for one in mine}
        if len(counts) == 1 and None not in counts and "CUDA_VISIBLE_DEVICES" not in mine[0].line.environment:
            # Whether that is too many is decided by what else the text tells.
            values = (("processes", str(next(iter(counts)))),)
            told.append(
                replace(_sighting(mine[0].seen, Judged("nproc-exceeds-gpus", "counted", "note", values)), kind="noise")
            )
        for number, judged in launch_rules.together([one.line for one in self._found]):
            told.append(_sighting(self._found[number].seen, judged))
        if self._rank is not None:
            several = any((launch_rules.nodes(one.line) or 1) > 1 for one in self._found)
            told.append(
                replace(
                    self._rank,
                    code="world-size-mismatch",
                    severity="error",
                    signature="world-size-mismatch:rank-is-local",
                )
                if several
                else self._rank
            )
        return told


def _heading(passage: Passage) -> str:
    """What names the node that a line was run on: the prompt in front of it, or a line of its own above it."""
    prompt = PROMPT.match(passage.line.raw)
    if prompt is not None:
        return prompt[1]
    above = next((line.text.strip() for line in passage.before(2)[::-1] if line.text.strip()), "")
    return above if NAMES_NODE.search(above[:200]) and parse(above) is None else ""


def _sighting(seen: Sighting, judged: Judged) -> Sighting:
    values = tuple(Value(name, value[:200]) for name, value in judged.values)
    return replace(
        seen, code=judged.code, signature=f"{judged.code}:{judged.situation}", severity=judged.severity, values=values
    )
