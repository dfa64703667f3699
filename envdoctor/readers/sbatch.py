"""Reads batch files of Slurm: what they ask for, against the launch line in them.

A batch file may be pasted in the middle of a text; what follows its first `#SBATCH` line is taken for it. What a
cluster gives by default is not known, so nothing here is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers import launch_rules
from envdoctor.readers.launch_parse import LaunchLine, parse
from envdoctor.readers.launch_rules import Judged
from envdoctor.readers.passage import Passage

MOST_LINES = 600
MOST_FILES = 16
DIRECTIVE = re.compile(r"#SBATCH\s+(?P<option>--?[A-Za-z][\w-]{0,40})(?:[= ]\s{0,4}|(?=\d))?(?P<value>[^\s#]{0,200})")
SHORT = {"-N": "--nodes", "-n": "--ntasks", "-G": "--gpus", "-p": "--partition", "-c": "--cpus-per-task"}
GPUS = re.compile(r"(?:gpu(?::[A-Za-z][\w.-]{0,40})?[:=]|^(?:[A-Za-z][\w.-]{0,40}:)?)(\d{1,4})(?:\(|$|,)")
# What brings an environment along, or makes one needless: modules, conda, venvs, containers, runners, paths.
ENVIRONMENT = re.compile(
    r"\b(?:module|ml)\s+\S|\b(?:conda|mamba|micromamba|pyenv|spack|pixi)\s+(?:activate|run|load|shell|exec)\b"
    r"|(?:^|[;&|\s])(?:source|\.)\s+\S|\b(?:apptainer|singularity|enroot|shifter|podman|docker|ch-run)\b|--container"
    r"|\b(?:uv|poetry|pipenv|hatch)\s+run\b|\bPATH=|\beval\s+[\"']?\$\(|/bin/(?:activate|python|torchrun|accelerate)"
)
ON_NODES = re.compile(
    r"\b(?:srun|mpirun|mpiexec|prun|ibrun|jsrun|aprun|pdsh|clush|ssh|parallel-ssh|submitit)\b|--nodelist"
)
PROGRAM = re.compile(r"(?:^|[\s;&|])(?P<program>torchrun|accelerate|deepspeed|python[\d.]{0,5})\s")


@dataclass
class _Batch:
    """A batch file being read: options of its directives, its commands and the number of the line each begins in."""

    options: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[int, str]] = field(default_factory=list)
    late: tuple[int, str] | None = None

    def number(self, option: str) -> int | None:
        value = self.options.get(option, "")
        low, _, high = value.partition("-")
        return int(low) if low.isdigit() and len(low) < 7 and high in ("", low) else None

    @property
    def nodes(self) -> int | None:
        return self.number("--nodes")

    @property
    def gpus_per_node(self) -> int | None:
        """GPUs per node; None where it depends on what the file does not tell."""
        for option in ("--gpus-per-node", "--gres"):
            match = GPUS.search(self.options.get(option, ""))
            if match and ("gpu" in self.options[option] or option != "--gres"):
                return int(match[1])
        match = GPUS.search(self.options.get("--gpus", ""))
        nodes = self.nodes or (None if "--nodes" in self.options else 1)
        if match and nodes and int(match[1]) % nodes == 0:
            return int(match[1]) // nodes
        each, tasks = GPUS.search(self.options.get("--gpus-per-task", "")), self.number("--ntasks-per-node")
        return int(each[1]) * tasks if each and tasks else None

    @property
    def asks_gpus(self) -> bool:
        return any("gpu" in f"{option}={value}".lower() for option, value in self.options.items())


class Sbatch:
    """The batch files of all texts, at most 16."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._sightings: list[Sighting] = []

    def needles(self) -> Mapping[str, int]:
        return {"#SBATCH": 400}

    def read(self, passage: Passage) -> None:
        line = passage.line
        if not line.raw.lstrip().startswith("#SBATCH") or len(self._files) >= MOST_FILES:
            return
        if line.number <= self._files.get(line.file, 0):
            return
        following = passage.after(MOST_LINES, same_stream=False)
        numbered = [(one.number, one.raw) for one in (line, *following)]
        self._files[line.file] = numbered[-1][0]
        batch = _taken(numbered)
        for number, text, judged in _judged(batch):
            values = tuple(Value(name, told) for name, told in judged.values)
            seen = passage.sighting(judged.code, judged.severity, text, f"{judged.code}:{judged.situation}")
            self._sightings.append(replace(seen, place=Place(line.file, number or line.number), values=values))

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return self._sightings


def _taken(numbered: Sequence[tuple[int, str]]) -> _Batch:
    batch = _Batch()
    parts: list[str] = []
    begun = 0
    for number, raw in numbered:
        text = raw.strip()
        if text.startswith("#SBATCH") and not parts:
            if batch.commands and batch.late is None:
                batch.late = (number, text)
            elif match := DIRECTIVE.match(text):
                batch.options[SHORT.get(match["option"], match["option"])] = match["value"].strip("\"'")
            continue
        if not parts and (not text or text.startswith("#")):
            continue
        begun = begun if parts else number
        parts.append(text.rstrip("\\"))
        if not text.endswith("\\"):
            batch.commands.append((begun, " ".join(parts)))
            parts = []
    if parts:
        batch.commands.append((begun, " ".join(parts)))
    return batch


def _judged(batch: _Batch) -> list[tuple[int, str, Judged]]:
    """Line (0: the directives), quote and what is wrong."""
    found: list[tuple[int, str, Judged]] = []
    if batch.late is not None:
        found.append((*batch.late, Judged("batch-resources-mismatch", "late-directive", "warning")))
    launches = [(number, text, line) for number, text in batch.commands if (line := parse(text)) is not None]
    everything = "\n".join(text for _, text in batch.commands)
    for number, text, line in launches[:8]:
        found += [(number, text, judged) for judged in _against(batch, line, everything)]
    for number, text in batch.commands:
        match = PROGRAM.search(text)
        if match is None:
            continue
        before = "\n".join(one for at, one in batch.commands if at <= number)
        if not ENVIRONMENT.search(before):
            values = (("program", match["program"]),)
            found.append((number, text, Judged("module-not-loaded", "batch", "note", values)))
        break
    return found


def _against(batch: _Batch, line: LaunchLine, everything: str) -> list[Judged]:
    found: list[Judged] = []
    asked, told = batch.nodes, launch_rules.nodes(line)
    code = "batch-resources-mismatch"
    if asked is not None and told is not None and asked != told:
        found.append(Judged(code, "nodes", "warning", (("asked", str(asked)), ("told", str(told)))))
    processes = line.number("nproc-per-node")
    if line.launcher == "accelerate" and line.number("num-processes") and (asked or 1) == 1:
        processes = line.number("num-processes")
    if line.launcher == "deepspeed":
        processes = line.number("num-gpus")
    gpus = batch.gpus_per_node
    if processes and gpus is not None and processes != gpus:
        found.append(Judged(code, "gpus", "warning", (("asked", str(gpus)), ("told", str(processes)))))
    elif processes and processes > 1 and not batch.asks_gpus and "--exclusive" not in batch.options:
        found.append(Judged(code, "no-gpus", "note", (("told", str(processes)),)))
    if asked and asked > 1 and line.launcher.startswith("torch") and not line.outer and not ON_NODES.search(everything):
        found.append(Judged(code, "no-srun", "warning", (("asked", str(asked)),)))
    if line.outer == "srun" and "-n" not in " ".join(line.outer_options).replace("--ntasks", "-n"):
        # srun takes what it is not told from the directives.
        tasks, total = batch.number("--ntasks-per-node"), batch.number("--ntasks")
        if tasks is None and total and asked:
            tasks = total // asked
        found += launch_rules.nested(line, tasks)
    return found
