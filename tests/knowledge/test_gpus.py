"""envdoctor/knowledge/gpus.py"""

from __future__ import annotations

import pytest

from envdoctor.knowledge import rows
from envdoctor.knowledge.gpus import (
    Architecture,
    NcclSupport,
    Product,
    architecture,
    capability_of,
    code_runs,
    nccl_support,
    older_than_all,
    product,
    runs,
    whole,
)
from envdoctor.knowledge.versions import at_least
from tests import needs


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Failed to initialize NumPy")
def test_code_runs_where_torch_says_it_does() -> None:
    requirement = needs.module("torch.cuda").DEVICE_REQUIREMENT
    assert len(requirement) >= 20
    for code, devices in requirement.items():
        for device in range(30, 130):
            name = f"{device // 10}.{device % 10}"
            assert (code_runs(f"sm_{code}", name) == "native") == (device in devices), (code, device)


@pytest.mark.parametrize(
    ("code", "capability", "expected"),
    [
        ("sm_90", "9.0", "native"),
        ("sm_80", "8.9", "native"),
        ("sm_80", "9.0", "no"),
        ("sm_86", "8.0", "no"),
        ("sm_80", "8.7", "no"),
        ("sm_37", "3.7", "native"),
        ("sm_37", "3.5", "no"),
        ("sm_90a", "9.0", "native"),
        ("sm_100a", "10.3", "no"),
        ("sm_100f", "10.3", "native"),
        ("sm_120", "12.1", "native"),
        ("sm_100", "12.0", "no"),
        ("compute_120", "12.0", "jit"),
        ("compute_90", "12.0", "jit"),
        ("compute_120", "9.0", "no"),
        ("compute_90a", "10.0", "no"),
        ("gfx942", "9.0", "no"),
        ("", "9.0", "no"),
    ],
)
def test_code_runs(code: str, capability: str, expected: str) -> None:
    assert code_runs(code, capability) == expected


def test_the_best_of_a_list_counts() -> None:
    assert runs(("sm_80", "sm_90", "compute_90"), "9.0") == "native"
    assert runs(("sm_80", "sm_90", "compute_90"), "12.0") == "jit"
    assert runs(("sm_80", "sm_90"), "12.0") == "no"
    assert runs((), "12.0") == "no"


def test_old_and_new_gpus() -> None:
    codes = ("sm_75", "sm_80", "sm_90", "sm_120", "compute_120")
    assert older_than_all(codes, "7.0") and not older_than_all(codes, "8.7") and not older_than_all((), "7.0")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("NVIDIA H20", "9.0"),
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA A800-SXM4-80GB", "8.0"),
        ("NVIDIA A10G", "8.6"),
        ("NVIDIA A2", "8.6"),
        ("NVIDIA RTX A6000", "8.6"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("NVIDIA L40S", "8.9"),
        ("NVIDIA GeForce RTX 4090 D", "8.9"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0"),
        ("NVIDIA GB200", "10.0"),
        ("NVIDIA B300 SXM6 AC", "10.3"),
        ("NVIDIA GB10", "12.1"),
        ("NVIDIA Thor", "11.0"),
        ("Orin", "8.7"),
        ("Tesla T4", "7.5"),
        ("Quadro RTX 8000", "7.5"),
        ("Tesla V100-SXM2-32GB", "7.0"),
        ("NVIDIA TITAN V", "7.0"),
        ("Tesla P100-PCIE-16GB", "6.0"),
        ("Tesla P40", "6.1"),
        ("Tesla P4", "6.1"),
        ("NVIDIA GeForce GTX 1080 Ti", "6.1"),
        ("NVIDIA TITAN X", "6.1"),
        ("NVIDIA GeForce GTX TITAN X", "5.2"),
        ("Tesla M40", "5.2"),
        ("Tesla M10", "5.0"),
        ("NVIDIA GeForce GTX 750 Ti", "5.0"),
        ("Tesla K80", "3.7"),
        ("Tesla K40c", "3.5"),
        ("GRID K520", "3.0"),
        ("AMD Instinct MI300X", ""),
        ("", ""),
    ],
)
def test_capability_by_name(name: str, expected: str) -> None:
    assert capability_of(name) == expected


def test_what_a_product_is_beside_its_capability() -> None:
    h100, orin, geforce = product("NVIDIA H100 PCIe"), product("Orin"), product("NVIDIA GeForce RTX 3090")
    assert h100 and h100.data_centre and not h100.jetson
    assert orin and orin.jetson
    assert geforce and not geforce.data_centre


@pytest.mark.parametrize(
    ("capability", "expected"),
    [("3.7", "Kepler"), ("6.1", "Pascal"), ("7.0", "Volta"), ("7.5", "Turing"), ("8.6", "Ampere"), ("8.9", "Ada"),
     ("9.0", "Hopper"), ("10.3", "Blackwell"), ("12.1", "Blackwell"), ("2.1", None), ("13.0", None)],
)  # fmt: skip
def test_architecture(capability: str, expected: str | None) -> None:
    known = architecture(capability)
    assert (known.name if known else None) == expected


def test_tables_are_in_order() -> None:
    generations = rows("gpus", "architecture", Architecture)
    assert [whole(row.since) for row in generations] == sorted(whole(row.since) for row in generations)
    for row in rows("gpus", "nccl", NcclSupport):
        assert at_least(row.sound, row.first)
    for known in rows("gpus", "gpu", Product):
        assert architecture(known.capability)


def test_nccl_of_a_generation() -> None:
    told = [nccl_support(capability) for capability in ("8.0", "9.0", "10.0", "12.0")]
    assert [support.sound if support else None for support in told] == [None, "2.15.1", "2.25.1", "2.27.3"]
