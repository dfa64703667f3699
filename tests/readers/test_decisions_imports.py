"""envdoctor/readers/decisions/imports.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes

PAIR = "RuntimeError: Detected that PyTorch and {} were compiled with different CUDA versions. PyTorch has"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ("torchvision", "torchvision-mismatch"),
        ("TorchAudio", "torchaudio-mismatch"),
        ("torch_scatter", "extension-abi-mismatch"),
    ],
)
def test_a_pair_of_builds(other: str, code: str) -> None:
    assert codes(PAIR.format(other)) == {code: "error"}


def test_whose_dll() -> None:
    line = "ImportError: DLL load failed while importing {}: The specified module could not be found."
    assert codes(line.format("_C")) == {"windows-dll-missing": "error"}
    assert codes(line.format("flash_attn_2_cuda")) == {"windows-dll-missing": "warning"}
