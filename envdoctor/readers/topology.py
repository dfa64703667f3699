"""Reads the matrix that `nvidia-smi topo -m` prints: how many NVLinks join a GPU to the others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from envdoctor.facts.gpu import NvLink

# The last columns of the heading, after those of the GPUs and the NICs.
HEADING = "CPU Affinity"
MOST_ROWS = 40  # GPUs and NICs
GPU = re.compile(r"GPU(\d{1,2})")
LINKS = re.compile(r"NV(\d{1,2})")


def links(heading: str, rows: Sequence[str]) -> dict[int, tuple[NvLink, ...]]:
    """GPU -> its NVLinks, where all GPUs are joined by NVLink; else nothing.

    With NVSwitch a cell holds how many links both GPUs have to the switches: the most in a GPU's row are its own, as
    those of a sound partner are no fewer. Of a matrix that has other paths too (a hybrid cube mesh, cards with a
    bridge) a cell is no count of one GPU's links.
    """
    columns = [int(match[1]) for match in map(GPU.fullmatch, heading.split()) if match]
    found: dict[int, tuple[NvLink, ...]] = {}
    for row in rows[:MOST_ROWS]:
        name, *cells = row.split()[: len(columns) + 1] or [""]
        match = GPU.fullmatch(name)
        if match is None:
            continue
        joined = [LINKS.fullmatch(cell) for cell in cells if cell != "X"]
        if len(cells) != len(columns) or len(joined) != len(columns) - 1 or not joined:
            return {}
        counts = [int(one[1]) for one in joined if one]
        if len(counts) < len(joined):
            return {}
        found[int(match[1])] = tuple(NvLink(number, True) for number in range(max(counts)))
    return found if sorted(found) == sorted(columns) else {}
