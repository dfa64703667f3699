"""envdoctor/render/difference.py and difference_json.py"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.difference import Side, compare
from envdoctor.facts.environment import Environment
from envdoctor.model import Finding, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style, difference, difference_json
from envdoctor.snapshot import Snapshot
from tests.render.reports import CAUSE, CONSEQUENCE, NOTE, WARNING
from tests.two_machines import bad, good, snapshot, with_facts

REDACTOR = Redactor(b"k" * 16)
CODES = frozenset(one.code for one in (CAUSE, CONSEQUENCE, NOTE, WARNING))


def side(name: str, *snapshots: Snapshot, findings: tuple[Finding, ...] = ()) -> Side:
    return Side(name, snapshots, findings, CODES)


def found(*nodes: str) -> tuple[Finding, ...]:
    cause = Finding(CAUSE, {"driver": "470", "cuda": "12.4", "version": "2.6.0"}, nodes=nodes)
    return (
        cause,
        Finding(CONSEQUENCE, {"devices": 0}, nodes=nodes, because_of=CAUSE.code),
        Finding(NOTE, {}, nodes=nodes),
    )


A, B = side("good.json", good()), side("bad.json", bad(), findings=found("gpu-b07"))


def said(a: Side, b: Side, **style: object) -> str:
    return difference.render(compare(a, b), Style(**style), REDACTOR)  # type: ignore[arg-type]


def test_the_page() -> None:
    assert (
        said(A, B)
        == """\
A  good.json  (gpu-a01, 2026-11-20T12:00:00Z)
B  bad.json  (gpu-b07, 2026-11-20T12:00:00Z)

only in B: error[driver-too-old]: the driver 470 is too old for CUDA 12.4
  fix   pip install torch==2.6.0
  thus  no GPU is visible to torch [gpu-not-visible]

                            A                        B
torch  the build decides which GPUs, drivers and NCCL it works with
  version                   2.8.0+cu128              2.6.0+cu124
  built for CUDA            12.8                     12.4
driver  it must support the CUDA that torch was built for
  release                   580.65.06                470.256.02
  supports CUDA             13.0                     11.4
NCCL  ranks of different NCCL versions or plugins do not understand each other
  version                   2.27.3                   2.21.5
variables  libraries read them before anything else
  NCCL_IB_DISABLE           not set                  1
limits  data loaders and NCCL fail where they are small
  /dev/shm                  1.1 TB                   67.1 MB
  locked memory             unlimited                65.5 kB
  open files                1048576                  1024
network  ranks meet over it; one small MTU stalls all of them
  MTU of the default route  9000                     1500
  MTU where NCCL talks      9000                     1500
RDMA  without it traffic falls back to TCP, or one rail holds back all
  active ports              8 x InfiniBand 400 Gb/s  none

5 more follow from torch.version: nvidia-cublas-cu12, nvidia-cudnn-cu12, nvidia-nccl-cu12, nvidia-cusparse-cu12, \
nvidia-curand-cu12 (-v)
5 more follow from rdma.ports: boards, firmware, libibverbs, peer-memory, names (-v)
2 more seldom matter: PATH, LANG (-v)

24 differences; 2 problems on one side only
"""
    )


def test_chinese_and_everything_under_v() -> None:
    page = said(A, B, language="zh", verbosity=1)
    for words in (
        "仅 B：错误[driver-too-old]：",
        "修复  pip install",
        "构建所用 CUDA",
        "未设置",
        "处差异",
        "nvidia-cublas-cu12",
    ):
        assert words in page
    assert "gpu-persistence-off" in page and "-v" not in page.splitlines()[-3]
    assert "gpu-persistence-off" not in said(A, B)


def test_quiet_is_the_differences_alone() -> None:
    page = said(A, B, verbosity=-1)
    assert "good.json" not in page and "differences" not in page
    assert "2.6.0+cu124" in page


def test_what_is_worse_on_a_side_is_counted_apart() -> None:
    nodes = [good(f"a{number}", number) for number in range(4)]
    warned = Finding(WARNING, {"url": "http://m"}, nodes=("a1",))
    a = side("A", *nodes, findings=(replace(warned, severity_given=Severity.NOTE),))
    b = side("B", *nodes, findings=(warned, *found("a0", "a1", "a2")))
    page = said(a, b)
    assert "worse in B (1 of 4 nodes): warning[pip-index-plain-http]" in page
    assert page.endswith("0 differences; 2 problems on one side only; 1 problem worse on one side\n")
    few = side("A", *nodes, findings=found("a3"))
    assert "mostly in B (3 of 4 nodes, 1 of 4 in A): error[driver-too-old]" in said(few, b)


def test_nothing_differs() -> None:
    assert said(A, side("other.json", good("gpu-a02", 2))).endswith("no difference that training could see\n")
    lesser = with_facts(good(), Environment({"NCCL_SOCKET_IFNAME": "eth0", "HTTPS_PROXY": "http://***aaaaaaaa***@p"}))
    other = with_facts(good(), Environment({"NCCL_SOCKET_IFNAME": "eth0", "HTTPS_PROXY": "http://***bbbbbbbb***@p"}))
    page = said(side("a", lesser), side("b", other))
    assert "hidden on both sides under hashes that differ: HTTPS_PROXY" in page
    assert page.endswith("no difference in what both tell\n")


def test_groups_name_the_odd_nodes() -> None:
    a = side("A", *(good(f"a{number}", number) for number in range(1, 9)))
    nodes = ("b1", "b2", "b3")
    b = side("B", *(bad(name, number) for number, name in enumerate(nodes)), good("b4", 4), findings=found(*nodes))
    page = said(a, b)
    assert "A  A  (8 nodes, a[1-8], " in page
    assert "only in B (3 of 4 nodes): error[driver-too-old]" in page
    assert "2.6.0+cu124 [b[1-3]]; 2.8.0+cu128 [b4]" in page
    page = said(a, b, language="zh")
    assert "A  A（8 个节点，a[1-8]，2026" in page and "仅 B（3/4 个节点）：错误[driver-too-old]：" in page
    many = side("B", *(bad(f"b{number}", number) for number in range(1, 9)), good("b9", 9))
    assert "2.6.0+cu124 (8); 2.8.0+cu128 [b9]" in said(a, many)


def test_long_values_stand_below_each_other() -> None:
    paths = [":".join(f"/opt/{letter}{number}/lib" for number in range(12)) for letter in "ab"]
    a, b = (
        side(letter, snapshot("n", Environment({"LD_LIBRARY_PATH": path})))
        for letter, path in zip("ab", paths, strict=True)
    )
    lines = said(a, b).splitlines()
    at = lines.index("  LD_LIBRARY_PATH")
    assert lines[at + 1 : at + 3] == [f"    A  {paths[0]}", f"    B  {paths[1]}"]


def test_json() -> None:
    document = json.loads(difference_json.render(compare(A, B), Style(), REDACTOR))
    assert document["schema"] == "envdoctor/diff/1" and document["same"] is False
    assert document["b"] == {
        "source": "bad.json", "kind": "snapshot",
        "nodes": [{"name": "gpu-b07", "address": "10.0.0.7", "taken_at": "2026-11-20T12:00:00Z"}],
    }  # fmt: skip
    first = document["problems"][0]
    assert (first["code"], first["side"], first["severity_on_the_other_side"]) == ("driver-too-old", "b", None)
    assert document["differences"][0] == {
        "group": "torch", "name": "version", "label": "version",
        "why": "the build decides which GPUs, drivers and NCCL it works with",
        "a": [{"value": "2.8.0+cu128", "nodes": ["gpu-a01"]}], "b": [{"value": "2.6.0+cu124", "nodes": ["gpu-b07"]}],
        "separates": True, "detail": False, "follows": None,
    }  # fmt: skip
    assert json.loads(difference_json.failure("x", 2))["error"] == {"message": "x", "exit_code": 2}


@pytest.mark.parametrize("renderer", [difference, difference_json])
@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=40))
def test_no_value_passes_for_a_line_of_the_page(renderer: object, text: str) -> None:
    hostile = f"x\n\nonly in A: error[fake]: {text}\x1b[31m"
    b = side(hostile, with_facts(bad(hostile), Environment({"NCCL_ALGO": hostile, hostile: "1"})))
    page = renderer.render(compare(A, replace(b, findings=found(hostile))), Style(verbosity=2), REDACTOR)  # type: ignore[attr-defined]
    assert "\x1b" not in page
    assert not any(line.startswith("only in A: error[fake]") for line in page.splitlines())
    page.encode("utf-8")
