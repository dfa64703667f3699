"""Reads what nvidia-smi prints: its table, `-L`, of `-q` the driver and the products, of `topo -m` the NVLinks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus, NvLink
from envdoctor.facts.host import Host
from envdoctor.facts.log import Place, Sighting
from envdoctor.knowledge import gpus
from envdoctor.readers import topology
from envdoctor.readers.lines import Line
from envdoctor.readers.passage import Passage

TABLE = 200  # lines: sixteen GPUs of three lines each, and the processes
MOST_GPUS = 64
HEAD = re.compile(
    r"NVIDIA-SMI\s+(?P<smi>\d{3}\.\d{1,3}(?:\.\d{1,3})?)\s+Driver Version:\s+(?P<driver>\d{3}\.\d{1,3}(?:\.\d{1,3})?)"
    r"(?:\s+CUDA Version:\s+(?P<cuda>\d{1,2}\.\d|N/A|ERR!))?"
)
# Index and name, then the address on the bus: "|   0  NVIDIA A100-SXM4-80GB          On  | 00000000:07:00.0 Off |".
ROW = re.compile(
    r"\|\s{1,4}(?P<index>\d{1,2})\s{1,4}(?P<name>\S.{2,50}?)\s{1,30}(?:On|Off|N/A|TCC|WDDM|MCDM)\s{0,4}\|"
    r"\s{1,4}(?P<bus>[0-9A-Fa-f]{8}):(?P<slot>[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9])"
)
LISTED = re.compile(
    r"\s{0,12}GPU (?P<index>\d{1,2}): (?P<name>[A-Z][^\n(]{2,60}?) \(UUID: (?P<uuid>GPU-[0-9a-fA-F-]{8,36})\)"
)
QUERY = re.compile(r"\s*(?P<key>Driver Version|CUDA Version|Product Name)\s{1,60}: (?P<value>\S.{0,60}?)\s*$")


class NvidiaSmi:
    """The first table, or the first answer to -q, of a text."""

    def __init__(self) -> None:
        self._driver: Driver | None = None
        self._windows = False
        self._gpus: dict[int, Gpu] = {}
        self._products: list[str] = []
        self._listed: dict[int, Gpu] = {}
        self._links: dict[int, tuple[NvLink, ...]] = {}
        self._places: dict[str, Place] = {}
        self._table = False

    def needles(self) -> Mapping[str, int]:
        fields = {"Driver Version   ": 16, "CUDA Version   ": 16, "Product Name   ": 64}
        return {"NVIDIA-SMI ": 16, "(UUID: GPU-": 64, topology.HEADING: 8, **fields}

    def read(self, passage: Passage) -> None:
        text = passage.line.text[:400]
        if head := HEAD.search(text):
            if not self._table:
                self._read_table(head, passage)
        elif topology.HEADING in passage.held and not self._links:
            self._links = topology.links(text, [line.text[:400] for line in passage.after(topology.MOST_ROWS)])
        elif match := LISTED.match(text):
            index, name = int(match["index"]), match["name"]
            if len(self._listed) < MOST_GPUS:
                gpu = Gpu(index=index, name=name, compute_capability=gpus.capability_of(name))
                self._listed.setdefault(index, gpu)
            self._places.setdefault("gpu", passage.place)
        elif (match := QUERY.match(text)) and not self._table:
            self._read_query(match["key"], match["value"], passage)

    def _read_table(self, head: re.Match[str], passage: Passage) -> None:
        self._table = True
        level = head["cuda"] or ""
        self._driver = Driver(
            release=head["driver"],
            release_source="nvidia-smi",
            cuda_level=level if level[:1].isdigit() else "",
            cuda_level_source="nvidia-smi" if level[:1].isdigit() else "",
        )
        # Inside WSL the program is Linux's and the driver Windows': only there do their numbers differ.
        self._windows = head["smi"] != head["driver"]
        self._gpus = {gpu.index: gpu for gpu in rows(passage.after(TABLE))}
        self._places = {"driver": passage.place, "gpu": passage.place}

    def _read_query(self, key: str, value: str, passage: Passage) -> None:
        known = self._driver or Driver()
        if key == "Driver Version" and not known.release and re.fullmatch(r"[\d.]{5,12}", value):
            self._driver = Driver(release=value, release_source="nvidia-smi -q", cuda_level=known.cuda_level)
        elif key == "CUDA Version" and not known.cuda_level and re.fullmatch(r"\d{1,2}\.\d", value):
            self._driver = Driver(known.release, known.release_source, cuda_level=value, cuda_level_source="nvidia-smi")
        elif key == "Product Name" and len(self._products) < MOST_GPUS:
            self._products.append(value)
        self._places.setdefault("gpu" if key == "Product Name" else "driver", passage.place)

    def facts(self) -> Mapping[str, object]:
        found: dict[str, object] = {}
        if self._driver is not None:
            found["driver"] = self._driver
        listed = tuple(self._gpus.values() or self._listed.values()) or tuple(
            Gpu(index=number, name=name, compute_capability=gpus.capability_of(name))
            for number, name in enumerate(self._products)
        )
        if listed:
            # A matrix without names is no list of GPUs: what they are decides what their links should be.
            listed = tuple(replace(gpu, nvlinks=self._links.get(gpu.index, ())) for gpu in listed)
            found["gpu"] = Gpus("nvidia-smi", "", len(listed), listed)
        if self._windows:
            found["host"] = Host(wsl=2)
        return found

    def places(self) -> Mapping[str, Place]:
        return self._places

    def sightings(self) -> Sequence[Sighting]:
        return ()


def rows(lines: Sequence[Line]) -> list[Gpu]:
    """The GPUs of a table; it ends where the processes begin."""
    found: list[Gpu] = []
    for line in lines:
        if "Processes" in line.text or HEAD.search(line.text[:400]) or len(found) >= MOST_GPUS:
            break
        if match := ROW.search(line.text[:300]):
            # What does not fit the column is cut, and ends in dots.
            name = match["name"].rstrip(". ")
            found.append(
                Gpu(
                    index=int(match["index"]),
                    name=name,
                    pci=f"{match['bus'][-4:]}:{match['slot']}".lower(),
                    compute_capability=gpus.capability_of(name),
                )
            )
    return found
