"""Reads what is installed beside torch out of pip's and conda's lists and of versions printed in a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.cuda_driver import cuda_of
from envdoctor.readers.passage import Passage

# A line of `pip list`, `pip freeze`, `conda list` or of the libraries of a report; never one of a command.
LISTED = re.compile(
    r"\s{0,12}(?:\[(?:pip3?|conda)\]\s+)?(?P<name>nvidia-[a-z0-9-]{2,40}?|torch)(?:==|\s{1,40})(?P<version>\d[\w.+]{0,40})(?:\s|$)"
)
# NVIDIA's wheels carry the CUDA major version in their names, and all install below nvidia/<library>/lib.
LIBRARY = re.compile(r"(?P<library>nvidia-[a-z0-9-]+?)-(?P<cuda>cu1[1-9])$")
PRINTED = re.compile(
    r"\s{0,4}(?:Out\[\d+\]:\s{0,4})?['\"]?(?P<version>\d\.\d{1,2}\.\d{1,2}\S{0,20}\+(?:cu\d{2,3}|cpu))['\"]?\s*$"
)
MOST = 200


class PackageLists:
    """torch, if its build is certain, and wheels that install the same library twice."""

    def __init__(self) -> None:
        self._torch: tuple[Place, str] | None = None
        self._wheels: dict[str, dict[str, tuple[str, Sighting]]] = {}

    def needles(self) -> Mapping[str, int]:
        return {"nvidia-": 2000, "torch ": MOST, "torch==": MOST, "+cu1": MOST, "+cu9": MOST, "+cpu": MOST}

    def read(self, passage: Passage) -> None:
        text = passage.line.text[:300]
        if match := LISTED.match(text):
            name, version = match["name"], match["version"]
            if wheel := LIBRARY.match(name):
                if len(self._wheels) < MOST:
                    self._wheels.setdefault(wheel["library"], {}).setdefault(
                        wheel["cuda"], (version, passage.sighting("nvidia-wheel-conflict", "warning"))
                    )
            elif name == "torch" and "==" not in text:
                self._keep(version, passage)
        elif (printed := PRINTED.match(text)) and any("torch" in line.text for line in passage.before(2)):
            self._keep(printed["version"], passage)

    def _keep(self, version: str, passage: Passage) -> None:
        if self._torch is None and re.fullmatch(r"\d\.\d{1,2}\.\d{1,2}\S*\+(?:cu\d{2,3}|cpu)", version):
            self._torch = (passage.place, version)

    def facts(self) -> Mapping[str, object]:
        if self._torch is None:
            return {}
        version = self._torch[1]
        tag = version.partition("+")[2]
        return {"torch-install": TorchInstall(version=version, cuda="" if tag == "cpu" else cuda_of(tag))}

    def places(self) -> Mapping[str, Place]:
        return {"torch-install": self._torch[0]} if self._torch else {}

    def sightings(self) -> Sequence[Sighting]:
        """Two wheels of one library, for two CUDA majors: their files lie in one folder, and the later install wins."""
        told = []
        for library, wheels in self._wheels.items():
            if len(wheels) > 1:
                (first, (version, seen)), (second, (other, _)) = sorted(wheels.items())[:2]
                told.append(replace(seen, quote=f"{library}-{first} {version} and {library}-{second} {other}"))
        return told
