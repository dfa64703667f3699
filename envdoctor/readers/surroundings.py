"""Reads what a text tells of the place it comes from: a container, a batch job, WSL, by prompts and commands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.log import Place, Sighting
from envdoctor.readers.passage import Passage

# Docker names a container's host by the first twelve hexadecimal digits of its id (daemon/container.go of moby).
PROMPT = re.compile(r"\b[a-z_][a-z0-9_-]{0,31}@(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12}[:\s]")
CONTAINERS = (
    ("docker", re.compile(r"^\s{0,8}(?:[$#>]\s*)?(?:sudo )?(?:nvidia-)?docker (?:run|exec|compose)\b|/\.dockerenv")),
    ("podman", re.compile(r"^\s{0,8}(?:[$#>]\s*)?(?:sudo )?podman (?:run|exec)\b")),
    ("kubernetes", re.compile(r"\bkubectl (?:exec|logs)\b|/var/run/secrets/kubernetes\.io\b")),
    ("apptainer", re.compile(r"\b(?:apptainer|singularity) (?:exec|run|shell)\b|^(?:Apptainer|Singularity)> ")),
)
WSL = re.compile(r"microsoft-standard(?:-WSL2)?|/usr/lib/wsl/|\bWSL ?2\b")
SLURM = re.compile(r"\bSLURM_JOB_ID=(\d+)|^slurmstepd: |\[StepId=")


class Surroundings:
    """The first sign of each."""

    def __init__(self) -> None:
        self._container = ""
        self._shown_by = ""
        self._wsl = 0
        self._job: Scheduler | None = None
        self._place = Place()

    def needles(self) -> Mapping[str, int]:
        words = ("docker ", "podman ", "kubectl ", "/.dockerenv", "apptainer ", "singularity ", "Apptainer> ", "root@")
        signs = ("/var/run/secrets/kubernetes", "microsoft-standard", "/usr/lib/wsl/", "WSL2", "WSL 2")
        return dict.fromkeys((*words, *signs, "Singularity> ", "SLURM_JOB_ID=", "slurmstepd: "), 200)

    def read(self, passage: Passage) -> None:
        line = passage.line
        text = line.raw[:1000]
        before = (self._container, self._wsl, self._job)
        if not self._container:
            kind = next(
                (kind for kind, sign in CONTAINERS if sign.search(text)), "docker" if PROMPT.search(text) else ""
            )
            if kind:
                self._container, self._shown_by = kind, f"{line.file}:{line.number}"
        if not self._wsl and WSL.search(text):
            self._wsl = 2
        if self._job is None and (match := SLURM.search(text)):
            self._job = Scheduler("slurm", match.group(1) or "", f"{line.file}:{line.number}")
        if before != (self._container, self._wsl, self._job) and not self._place.line:
            self._place = passage.place

    def facts(self) -> Mapping[str, object]:
        if not self._place.line:
            return {}
        return {
            "host": Host(
                container=self._container,
                container_shown_by=self._shown_by,
                wsl=self._wsl,
                scheduler=self._job or Scheduler(),
            )
        }

    def places(self) -> Mapping[str, Place]:
        return {"host": self._place} if self._place.line else {}

    def sightings(self) -> Sequence[Sighting]:
        return ()
