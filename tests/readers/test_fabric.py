"""Whole texts of NCCL, gloo and RDMA (fabric.toml), through rows, readers and decisions together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.readers.texts import codes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXTS = tomllib.loads(Path(__file__).with_name("fabric.toml").read_text(encoding="utf-8"))["text"]
SHOWN = [pytest.param(one, id=one["name"]) for one in TEXTS if one["code"]]
HARMLESS = [pytest.param(one, id=one["name"]) for one in TEXTS if not one["code"]]


@pytest.mark.parametrize("one", SHOWN)
def test_the_first_finding_names_the_cause(one: dict[str, str]) -> None:
    assert next(iter(codes(one["text"]).items()), None) == (one["code"], one["severity"])


@pytest.mark.parametrize("one", HARMLESS)
def test_what_is_normal_draws_no_warning(one: dict[str, str]) -> None:
    assert set(codes(one["text"]).values()) <= {"note"}


def test_names_are_given_once() -> None:
    names = [one["name"] for one in TEXTS]
    assert sorted(names) == sorted(set(names))
