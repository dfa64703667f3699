"""A rank whose data is bad is found and named: torch's own all_reduce is made to err in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.bench.nodes import Node, ended, two

# Python runs a module of this name when it starts. It lets torch.distributed come in and then has all_reduce spoil one
# element of what this process gives, now and then.
SPOILT = """
import builtins, os, sys
original, calls = builtins.__import__, [0]
def spoil(module):
    honest = module.all_reduce
    def all_reduce(tensor, *arguments, **named):
        calls[0] += 1
        if calls[0] % 3 == 0 and tensor.numel() > 16:
            tensor.view(-1)[5] += 3
        return honest(tensor, *arguments, **named)
    module.all_reduce, module.spoilt = all_reduce, True
def bring(name, *arguments, **named):
    found = original(name, *arguments, **named)
    module = sys.modules.get("torch.distributed")
    wanted = os.environ.get("LOCAL_RANK") == os.environ.get("SPOILT_RANK", "0")
    if wanted and module is not None and hasattr(module, "all_reduce") and not hasattr(module, "spoilt"):
        spoil(module)
    return found
builtins.__import__ = bring
"""


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    needs.distribution("torch")
    with two() as pair:
        yield pair


@pytest.fixture
def spoilt(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "sitecustomize.py").write_text(SPOILT)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}


@pytest.mark.parametrize("each", [1, 2])
def test_the_rank_is_named(nodes: tuple[Node, Node], spoilt: dict[str, str], each: int) -> None:
    first, second = nodes
    common = ("--nnodes", "2", "--master-addr", first.address, "--nproc-per-node", str(each), "--sizes", "4K:64K")
    one = first.bench(*common, "--node-rank", "0")
    other = second.bench(*common, "--node-rank", "1", **spoilt)
    seen = ended(one)
    assert ended(other).status in (0, 1)
    assert (seen.status, seen.document["stage"]) == (1, "done")
    assert seen.codes[0] == "data-corrupt"
    (finding,) = [finding for finding in seen.document["findings"] if finding["code"] == "data-corrupt"]
    assert finding["evidence"]["suspects"] == str(each)  # the first rank of the second node
    assert finding["nodes"] == [second.name]
    assert all(row["wrong"] for row in seen.document["sizes"])
