"""envdoctor/difference.py and envdoctor/compared"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envdoctor import facts
from envdoctor.compared import BY_NAME, GROUPS, aspects
from envdoctor.difference import Comparison, Side, compare
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.model import Finding, Missing, Severity
from envdoctor.redact import Redactor
from envdoctor.render import Style, difference
from envdoctor.snapshot import Snapshot, parse, to_json
from tests.render.reports import CAUSE, NOTE, WARNING
from tests.two_machines import GIB, bad, good, snapshot, with_facts


def side(*snapshots: Snapshot, **changes: object) -> Side:
    return replace(Side("x", snapshots), **changes)  # type: ignore[arg-type]


def keys(told: Comparison, folded: bool = False) -> list[str]:
    return [one.key for one in told.differences if folded or not one.folded]


def values(told: Comparison, key: str) -> tuple[list[str], list[str]]:
    (one,) = (one for one in told.differences if one.key == key)
    return [share.value for share in one.a], [share.value for share in one.b]


def test_two_healthy_nodes_of_a_cluster_do_not_differ() -> None:
    """Names, addresses, PCI places, temperatures, ranks, free memory and a few bytes of memory are no differences."""
    told = compare(side(good()), side(good("gpu-a02", 2)))
    assert told.same
    assert told.differences == () and told.hidden == () and not any(told.unknown.values())


def test_what_training_depends_on_comes_first() -> None:
    told = compare(side(good()), side(bad()))
    assert keys(told) == [
        "torch.version", "torch.cuda", "driver.release", "driver.cuda", "nccl.version", "variables.NCCL_IB_DISABLE",
        "limits.shm", "limits.memlock", "limits.open-files", "network.mtu", "network.nccl-mtu", "rdma.ports",
    ]  # fmt: skip
    assert values(told, "driver.cuda") == (["13.0"], ["11.4"])
    assert values(told, "limits.memlock") == (["unlimited"], ["65.5 kB"])
    assert values(told, "rdma.ports") == (["8 x InfiniBand 400 Gb/s"], [""])


def test_what_another_difference_explains_is_folded_under_it() -> None:
    told = compare(side(good()), side(bad()))
    follows = {one.key: one.follows for one in told.differences}
    assert follows["packages.nvidia-nccl-cu12"] == "torch.version", "torch itself asks for it"
    assert follows["rdma.firmware"] == "rdma.ports", "there is no RDMA at all"
    other = with_facts(good(), _packages(good(), "nvidia-nccl-cu12", "2.20.5"))
    (one,) = compare(side(good()), side(other)).differences
    assert (one.key, one.follows, one.detail) == ("packages.nvidia-nccl-cu12", "", False)


def _packages(of: Snapshot, name: str, version: str) -> Packages:
    held = of.sections["packages"]
    assert isinstance(held, Packages)
    others = tuple(one for one in held.distributions if one.name != name)
    return replace(held, distributions=(*others, Distribution(name, version)))


@pytest.mark.parametrize(
    ("name", "detail"), [("numpy", False), ("flash-attn", False), ("nvidia-cudnn-cu12", False), ("tqdm", True)]
)
def test_packages_that_change_results_are_no_details(name: str, detail: bool) -> None:
    told = compare(side(good()), side(with_facts(good(), _packages(good(), name, "99.0"))))
    (one,) = told.differences
    assert (one.key, one.detail) == (f"packages.{name}", detail)
    assert not told.same


def test_a_package_that_one_side_lacks() -> None:
    more = with_facts(good(), _packages(good(), "deepspeed", "0.17"))
    assert values(compare(side(more), side(good())), "packages.deepspeed") == (["0.17"], [""])


@pytest.mark.parametrize(
    ("name", "a", "b", "differs"),
    [
        ("NCCL_P2P_DISABLE", "1", "0", True),
        ("LD_LIBRARY_PATH", "/opt/envs/train/lib:/usr/lib", "/opt/envs/train/lib", True),
        ("SLURM_NTASKS_PER_NODE", "8", "4", True),
        ("SLURM_JOB_ID", "11", "12", False),
        ("LOCAL_RANK", "0", "1", False),
        ("HOSTNAME", "gpu-a01", "gpu-b07", False),
        ("TORCHELASTIC_RUN_ID", "x", "y", False),
        ("SSH_CONNECTION", "10.0.0.1", "10.0.0.2", False),
    ],
)
def test_variables_that_name_a_process_are_no_differences(name: str, a: str, b: str, differs: bool) -> None:
    sides = [side(snapshot("n", Environment({name: value}))) for value in (a, b)]
    assert bool(compare(*sides).differences) is differs


def test_the_folder_of_the_environment_is_not_what_differs() -> None:
    def of(prefix: str, value: str) -> Side:
        return side(snapshot("n", Python(prefix=prefix), Environment({"LD_LIBRARY_PATH": value})))

    told = compare(of("/opt/envs/a", "/opt/envs/a/lib:/usr/lib"), of("/opt/envs/b", "/opt/envs/b/lib:/usr/lib"))
    assert told.same


def test_memory_that_differs_by_what_firmware_takes_is_the_same() -> None:
    def of(size: float) -> Side:
        held = Limits(SharedMemory(int(1000 * GIB * size))), Host("linux", memory_bytes=int(2000 * GIB * size))
        return side(snapshot("n", *held))

    assert compare(of(1.0), of(1.01)).same
    assert keys(compare(of(1.0), of(1.2))) == ["limits.shm", "machine.memory"]


def test_what_one_side_does_not_tell_is_not_compared_and_said() -> None:
    quick = with_facts(good(), Missing("torch-import", "not-asked"), Missing("rdma", "slow"))
    told = compare(side(good()), side(quick))
    assert told.same
    assert "torch.import" in told.unknown["b"] and "rdma.ports" in told.unknown["b"]
    assert told.unknown["a"] == ()


def test_a_call_that_hangs_is_no_unknown() -> None:
    told = compare(side(good()), side(with_facts(good(), Missing("torch-import", "hung", "Stack ..."))))
    assert values(told, "torch.torch-import") == (["works"], ["hangs"])


def test_an_import_that_fails_differs_from_one_that_works() -> None:
    told = compare(side(good()), side(with_facts(good(), TorchImport("ImportError", "libcudnn.so.9"))))
    assert values(told, "torch.import") == (["works"], ["ImportError"])


def test_a_text_that_leaves_something_out_says_nothing_of_it() -> None:
    told = snapshot("report", TorchInstall(version="2.8.0+cu128", cuda="12.8"), Host("linux"))
    assert compare(side(good()), side(told, of_text=True)).same
    other = snapshot("report", TorchInstall(version="2.7.0+cu128", cuda="12.8"))
    assert keys(compare(side(good()), side(other, of_text=True))) == ["torch.version"]


def test_groups_of_nodes_what_separates_them_comes_first() -> None:
    works = [good(f"a{number}", number) for number in range(1, 5)]
    breaks = [bad(f"b{number}", number) for number in range(1, 4)] + [good("b4", 4)]
    for number, one in enumerate(breaks):
        breaks[number] = with_facts(one, Environment({"NCCL_SOCKET_IFNAME": "eth0", "NCCL_ALGO": "Tree"}))
    told = compare(side(*works), side(*breaks))
    assert keys(told)[0] == "variables.NCCL_ALGO", "it alone separates all of them"
    (torch,) = (one for one in told.differences if one.key == "torch.version")
    assert not torch.separates
    assert [(share.value, share.nodes) for share in torch.b] == [
        ("2.6.0+cu124", ("b1", "b2", "b3")), ("2.8.0+cu128", ("b4",)),
    ]  # fmt: skip


def test_one_odd_node_in_both_groups_alike_is_no_difference() -> None:
    groups = [
        side(*(good(f"{letter}{number}", number) for number in range(3)), bad(f"{letter}9", 9)) for letter in "ab"
    ]
    assert compare(*groups).same


def env(**variables: str) -> Snapshot:
    return snapshot("n", Environment(variables))


def test_values_hidden_under_two_keys_cannot_be_told_apart() -> None:
    a = env(HTTPS_PROXY="http://***aaaaaaaa***@proxy:3128", NCCL_DEBUG="INFO")
    b = env(HTTPS_PROXY="http://***bbbbbbbb***@proxy:3128", NCCL_DEBUG="INFO")
    told = compare(side(a), side(b))
    assert told.same
    assert [one.key for one in told.hidden] == ["variables.HTTPS_PROXY"]


def test_under_one_key_other_hashes_are_other_values() -> None:
    a = env(HTTPS_PROXY="http://***aaaaaaaa***@proxy", HF_HOME="/data/***cccccccc***")
    b = env(HTTPS_PROXY="http://***bbbbbbbb***@proxy", HF_HOME="/data/***cccccccc***")
    told = compare(side(a), side(b))
    assert keys(told) == ["variables.HTTPS_PROXY"] and told.hidden == ()
    marked = [
        replace(one, redacted_under="0a1b2c3d")
        for one in (env(HF_HOME="***aaaaaaaa***"), env(HF_HOME="***bbbbbbbb***"))
    ]
    assert keys(compare(side(marked[0]), side(marked[1]))) == ["variables.HF_HOME"], "they say that they have one key"
    assert compare(side(marked[0]), side(replace(marked[1], redacted_under="ffffffff"))).hidden
    elsewhere = compare(side(env(ALL_PROXY="http://***aaaaaaaa***@a")), side(env(ALL_PROXY="http://***bbbbbbbb***@b")))
    assert keys(elsewhere) == ["variables.ALL_PROXY"], "it differs beside the hash"


def found(finding: Finding, *nodes: str) -> Finding:
    return replace(finding, nodes=nodes)


ERROR, WARNED, NOTED = Finding(CAUSE, {}), Finding(WARNING, {}), Finding(NOTE, {})
CODES = frozenset((CAUSE.code, WARNING.code, NOTE.code))


def test_problems_of_one_side() -> None:
    a = side(good("a"), findings=(found(WARNED, "a"), found(NOTED, "a")), judged=CODES)
    b = side(
        bad("b"), findings=(found(ERROR, "b"), found(WARNED.at(Severity.ERROR), "b"), found(NOTED, "b")), judged=CODES
    )
    told = compare(a, b)
    assert [(one.side, one.finding.code, one.milder) for one in told.problems] == [
        ("b", "driver-too-old", None), ("b", "pip-index-plain-http", Severity.WARNING),
    ]  # fmt: skip


def test_a_problem_nobody_looked_for_on_the_other_side_is_not_one_sided() -> None:
    told = compare(side(good("a")), side(good("b"), findings=(found(ERROR, "b"),), judged=CODES))
    assert told.problems == ()
    assert told.unjudged["a"] == (CAUSE.code,)


def test_a_problem_of_most_nodes_of_one_side_and_few_of_the_other() -> None:
    nodes = [[good(f"{letter}{number}", number) for number in range(4)] for letter in "ab"]
    a = side(*nodes[0], findings=(found(ERROR, "a1"),), judged=CODES)
    b = side(*nodes[1], findings=(found(ERROR, "b0", "b1", "b2"),), judged=CODES)
    (one,) = compare(a, b).problems
    assert (one.side, one.nodes, one.others) == ("b", ("b0", "b1", "b2"), ("a1",))
    assert compare(b, b).problems == ()


def test_nodes_are_those_that_have_it_as_badly() -> None:
    nodes = [[good(f"{letter}{number}", number) for number in range(4)] for letter in "ab"]
    mild = found(WARNED.at(Severity.NOTE), "a0", "a1", "a2", "a3")
    a = side(*nodes[0], findings=(mild,), judged=CODES)
    b = side(*nodes[1], findings=(replace(mild, nodes=("b0", "b1", "b3")), found(WARNED, "b2")), judged=CODES)
    (one,) = compare(a, b).problems
    assert (one.side, one.nodes, one.others, one.milder) == ("b", ("b2",), (), Severity.NOTE)


def test_a_note_alone_is_no_difference() -> None:
    assert compare(side(good("a"), judged=CODES), side(good("b"), findings=(found(NOTED, "b"),), judged=CODES)).same


def test_every_fact_that_is_compared_exists_and_every_group_has_words() -> None:
    kinds = {facts.kind(name) for name in facts.KINDS}
    assert all(one.fact in kinds and one.group in BY_NAME for one in aspects())
    assert {one.group for one in aspects()} == {group.name for group in GROUPS}
    for one in aspects():
        for told in one.values(one.fact(), {}):
            assert told.name and (told.label is None or (told.label.en and told.label.zh))
    assert all(group.why.en and group.why.zh for group in GROUPS)


ODD: st.SearchStrategy[object] = st.sampled_from(
    (None, "", 0, -1, 10**19, 1e308, True, [], {}, "\x00", "\ud800", "x" * 5000, "::1", "fe80::1%eth0", "1.2.3.4/33")
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), ODD), min_size=1, max_size=5))
def test_a_snapshot_from_anywhere_is_compared_or_not_and_never_ends_the_doctor(
    changes: list[tuple[int, object]],
) -> None:
    document = to_json(bad())
    places = list(leaves(document["facts"]))
    for number, odd in changes:
        holder, key = places[number % len(places)]
        holder[key] = odd
    other = side(parse(json.dumps(document).encode(), "x"))
    told = compare(side(good()), other)
    difference.render(told, Style(verbosity=1), Redactor(b"k" * 16)).encode("utf-8")
    assert compare(other, other).same


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and its key or number there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from leaves(item)


NAMES = st.sampled_from(["numpy", "triton", "tqdm", "nvidia-nccl-cu12"])
VERSIONS = st.sampled_from(["1.0", "2.0", "***aaaaaaaa***", "***bbbbbbbb***", ""])
MACHINES = st.builds(
    lambda versions, variables, memory, missing, gpus: with_facts(
        good(),
        Packages(1, tuple(Distribution(name, version) for name, version in versions.items())),
        Environment(variables),
        Host("linux", memory_bytes=memory),
        *([Missing(missing[0], missing[1])] if missing else []),
        Gpus(count=gpus, gpus=good().sections["gpu"].gpus[:gpus]),  # type: ignore[attr-defined]
    ),
    st.dictionaries(NAMES, VERSIONS, max_size=3),
    st.dictionaries(st.sampled_from(["NCCL_ALGO", "PATH", "RANK"]), VERSIONS, max_size=3),
    st.none() | st.integers(10**9, 10**9 + 10**8),
    st.none()
    | st.tuples(st.sampled_from(["rdma", "nics", "torch-install"]), st.sampled_from(["hung", "not-here", "slow"])),
    st.integers(0, 8),
)
SIDES = st.lists(MACHINES, min_size=1, max_size=3).map(
    lambda some: side(*(replace(one, node=replace(one.node, name=f"n{number}")) for number, one in enumerate(some)))
)
EASY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EASY
@given(SIDES)
def test_nothing_differs_from_itself(one: Side) -> None:
    told = compare(one, one)
    assert told.same and told.hidden == () and not any(told.unknown.values())


@EASY
@given(SIDES, SIDES)
def test_it_does_not_matter_which_side_comes_first(a: Side, b: Side) -> None:
    told, turned = compare(a, b), compare(b, a)

    def seen(comparison: Comparison, swap: bool) -> set[tuple[object, ...]]:
        return {
            (one.key, *((one.b, one.a) if swap else (one.a, one.b)), one.separates, one.detail, one.follows)
            for one in (*comparison.differences, *comparison.hidden)
        }

    assert seen(told, False) == seen(turned, True)
    assert set(told.unknown["a"]) == set(turned.unknown["b"])
    assert told.same == turned.same
