"""What ends a run over several nodes before it could fail; --force lets it."""

from __future__ import annotations

import pytest

from envdoctor import load
from envdoctor.bench import refusal
from envdoctor.errors import UsageError
from envdoctor.facts.gpu import Gpu, GpuProcess, Gpus
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Node
from envdoctor.snapshot import Snapshot
from tests import CHECKS

LOADED = load.load([CHECKS])


def nodes(first: dict[str, object], second: dict[str, object]) -> list[Snapshot]:
    return [Snapshot(Node(name), "", "", sections) for name, sections in (("gpu01", first), ("gpu02", second))]


def torch(version: str) -> dict[str, object]:
    return {"torch-install": TorchInstall(folder="/env/torch", version=version)}


def test_nodes_of_different_torch_are_refused() -> None:
    refuse = refusal.of(LOADED, "gloo")
    assert refuse(nodes(torch("2.13.0"), torch("2.9.1"))) == ("torch-version-mismatch",)
    assert refuse(nodes(torch("2.13.0"), torch("2.13.0"))) == ()


def test_what_the_ladder_names_by_itself_is_left_to_it() -> None:
    assert refusal.of(LOADED, "auto")(nodes(torch("2.13.0"), {})) == ()


def test_a_gpu_that_somebody_uses_is_named_with_its_node() -> None:
    busy = Gpus(count=1, gpus=(Gpu(index=0, memory_used_bytes=40 << 30, processes=(GpuProcess(7, 40 << 30, "ada"),)),))
    with pytest.raises(UsageError, match=r"gpu02: GPU 0 is in use, 42\.9 GB .*--force"):
        refusal.of(LOADED, "auto")(nodes({}, {"gpu": busy}))
    assert refusal.of(LOADED, "gloo")(nodes({}, {"gpu": busy})) == ()
    assert refusal.never(nodes({}, {"gpu": busy})) == ()
