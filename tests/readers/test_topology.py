"""The matrix of `nvidia-smi topo -m`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.readers import topology
from tests.readers.texts import codes, findings

LIST = "".join(
    f"GPU {number}: NVIDIA H100 80GB HBM3 (UUID: GPU-0{number}aa1122-0000-0000-0000-00000000000{number})\n"
    for number in range(4)
)


def matrix(cells: list[list[str]], nics: int = 1) -> str:
    """The matrix with these cells between GPUs, and columns of NICs."""
    names = [f"GPU{number}" for number in range(len(cells))]
    heading = "\t".join(
        ["\x1b[4m", *names, *(f"NIC{number}" for number in range(nics)), "CPU Affinity", "NUMA Affinity"]
    )
    rows = ["\t".join([name, *row, *["PXB"] * nics, "0-47", "0"]) for name, row in zip(names, cells, strict=True)]
    others = ["\t".join([f"NIC{number}", *["PXB"] * len(cells), *[" X "] * nics]) for number in range(nics)]
    legend = ["", "Legend:", "", "  X    = Self", "  SYS  = Connection traversing PCIe as well as the SMP interconnect"]
    return "\n".join([heading + "\x1b[0m", *rows, *others, *legend, ""])


def switched(links: list[int]) -> list[list[str]]:
    """What GPUs with so many links to NVSwitches show."""
    return [
        [" X " if one == other else f"NV{min(links[one], links[other])}" for other in range(len(links))]
        for one in range(len(links))
    ]


def read(text: str) -> dict[int, int]:
    heading, _, rows = text.replace("\x1b[4m", "").partition("\n")
    return {gpu: len(links) for gpu, links in topology.links(heading, rows.splitlines()).items()}


def test_each_gpu_has_the_most_links_of_its_row() -> None:
    assert read(matrix(switched([18, 18, 16, 18]))) == {0: 18, 1: 18, 2: 16, 3: 18}
    assert read(matrix(switched([4, 4]), nics=0)) == {0: 4, 1: 4}


@pytest.mark.parametrize(
    "cells",
    [
        [[" X ", "NV1", "SYS"], ["NV1", " X ", "NV2"], ["SYS", "NV2", " X "]],
        [[" X ", "PHB"], ["PHB", " X "]],
        [[" X "]],
        [],
    ],
)
def test_other_paths_count_no_links(cells: list[list[str]]) -> None:
    assert read(matrix(cells)) == {}


def test_a_matrix_that_is_cut_tells_nothing() -> None:
    whole = matrix(switched([18, 18, 16, 18]))
    assert read("\n".join(whole.splitlines()[:3])) == {}
    assert read(whole.replace("\tNV16", "", 1)) == {}


def test_a_gpu_with_fewer_links_than_the_others_is_named() -> None:
    (found,) = findings(LIST + matrix(switched([18, 18, 16, 18])))
    assert found.code == "nvlink-down"
    assert (found.evidence["gpus"], found.evidence["active"], found.evidence["expected"]) == ("2", 16, 18)
    assert "GPU 2: 16 active" in str(found.evidence["which"])


def test_sound_links_draw_nothing() -> None:
    assert codes(LIST + matrix(switched([18] * 4))) == {}
    assert codes(matrix(switched([18, 18, 16, 18]))) == {}  # of what kind the GPUs are is not told


@given(
    st.text(alphabet="GPUNV01X \t\n", max_size=200), st.lists(st.text(alphabet="GPUNV018X \t", max_size=40), max_size=9)
)
def test_any_matrix(heading: str, rows: list[str]) -> None:
    assert all(len(links) < 100 for links in topology.links(heading, rows).values())
