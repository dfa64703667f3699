"""envdoctor/readers/package_lists.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.torch import TorchInstall
from tests.readers.texts import codes, read


@pytest.mark.parametrize(
    ("text", "version", "cuda"),
    [
        ("torch                    2.1.2+cu118\n", "2.1.2+cu118", "11.8"),
        (">>> import torch; torch.__version__\n'2.5.1+cu124'\n", "2.5.1+cu124", "12.4"),
        ("In [2]: torch.__version__\nOut[2]: '2.3.0+cpu'\n", "2.3.0+cpu", ""),
        ("pip install torch==2.1.2+cu118\n", None, None),
        ("torch==2.1.2+cu118\n", None, None),
        ("torch                    2.1.2\n", None, None),
    ],
)
def test_torch(text: str, version: str | None, cuda: str | None) -> None:
    torch = read(text).sections.get("torch-install")
    told = (torch.version, torch.cuda) if isinstance(torch, TorchInstall) else (None, None)
    assert told == (version, cuda)


def test_one_library_twice() -> None:
    assert codes("nvidia-cudnn-cu11    8.5.0.96\nnvidia-cudnn-cu12    9.1.0.70\n") == {
        "nvidia-wheel-conflict": "warning"
    }
    assert codes("nvidia-cudnn-cu12==9.1.0.70\nnvidia-nccl-cu12==2.21.5\n") == {}


def test_a_symbol_that_nccl_lacks_follows_from_two_of_it() -> None:
    text = "ImportError: libtorch_cuda.so: undefined symbol: ncclCommWindowRegister\n"
    lists = "nvidia-nccl-cu12    2.21.5\nnvidia-nccl-cu13    2.28.9\n"
    assert next(iter(codes(text + lists))) == "nvidia-wheel-conflict"
