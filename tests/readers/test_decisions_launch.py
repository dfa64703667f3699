"""envdoctor/readers/decisions/launch.py and the words of readers' rules."""

from __future__ import annotations

import re

import pytest

from envdoctor.knowledge import signatures
from tests.readers.texts import LOADED, codes

UUID = "52a1-4e5e-b4d0-3d5a8c2c1d11"
LIST = "".join(f"GPU {n}: NVIDIA A100-SXM4-80GB (UUID: GPU-{n}f7be3a1-{UUID})\n" for n in range(2))
LINE = "torchrun --nproc_per_node={} train.py\n"
MISSED = "RuntimeError: CUDA error: invalid device ordinal\n"


def test_processes_are_counted_against_the_gpus_of_the_same_text() -> None:
    assert codes(LIST + LINE.format(4)) == {"nproc-exceeds-gpus": "warning"}
    assert codes(LIST + LINE.format(4) + MISSED) == {"nproc-exceeds-gpus": "error"}
    assert codes(LIST + LINE.format(2)) == {}
    assert codes(LINE.format(4)) == {}


@pytest.mark.parametrize("row", signatures.told().values(), ids=signatures.told())
def test_words_of_rules_are_whole(row: signatures.Told) -> None:
    code, _, situation = row.id.partition(":")
    assert code in LOADED.problems
    assert situation
    for words in (row.title, row.why, row.help):
        if words.en or words is row.title:
            assert re.search("[\u4e00-\u9fff]", words.zh) or "torch." in words.zh or "add_argument" in words.zh, words
            holes = {hole.removesuffix("_zh") for hole in re.findall(r"(?<!\{)\{(\w+)", words.zh)}
            assert set(re.findall(r"(?<!\{)\{(\w+)", words.en)) == holes
            assert not words.en.removesuffix("...").endswith(".")
