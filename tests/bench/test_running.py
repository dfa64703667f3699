"""A run on one machine, from the command line to the file that is judged again; and what goes wrong around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envdoctor.bench import running
from envdoctor.bench.conducting import Conduct, Ended, Start, python
from envdoctor.bench.launching import Part
from envdoctor.bench.observed import Observed
from envdoctor.facts.allreduce import AllreduceResult, Failure, Member
from tests import needs
from tests.bench.nodes import climbs

ENVDOCTOR = (sys.executable, "-m", "envdoctor")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "RANK", "WORLD_"))}
    return subprocess.run(
        [*ENVDOCTOR, *arguments], capture_output=True, text=True, env={**environ, **variables}, timeout=120
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document of a run on this machine."""
    needs.distribution("torch")
    file = tmp_path_factory.mktemp("bench") / "result.json"
    done = run("bench", "allreduce", "--sizes", "8:1M", "-o", str(file), "--color", "never")
    assert done.returncode == 0, done.stderr + done.stdout
    (file.parent / "screen").write_text(done.stdout)
    return file


@pytest.mark.torch
def test_the_screen_holds_a_table_a_plot_and_the_verdict_last(told: Path) -> None:
    lines = (told.parent / "screen").read_text().splitlines()
    assert lines[0].startswith("all-reduce, gloo, float32: 2 ranks on 1 machine")
    assert [line.split()[0] for line in lines[3:13]] == [
        "8",
        "32",
        "128",
        "512",
        "2K",
        "8K",
        "32K",
        "128K",
        "512K",
        "1M",
    ]
    assert any("█" in line for line in lines)
    assert "busbw" in lines[-2] and lines[-1].startswith("no problems found")


@pytest.mark.torch
def test_the_file_is_the_document_and_is_judged_again(told: Path) -> None:
    document = json.loads(told.read_text())
    assert (document["schema"], document["op"], document["stage"]) == ("envdoctor/bench/1", "allreduce", "done")
    assert document["world_size"] == 2 and document["nodes"][0]["ranks"] == [0, 1]
    again = run("check", "--from", str(told), "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["findings"] == document["findings"]
    assert {one["topic"] for one in json.loads(again.stdout)["outcomes"]} == {"allreduce", "drift", "latency", "links"}


@pytest.mark.torch
def test_asserts_and_a_baseline(told: Path, tmp_path: Path) -> None:
    faster = json.loads(told.read_text())
    for row in faster["snapshots"][0]["facts"]["allreduce"]["sizes"]:
        row["busbw_gb_s"] *= 1000
    (tmp_path / "faster.json").write_text(json.dumps(faster))
    done = run(
        "bench", "allreduce", "--sizes", "8:1M", "--json", "--baseline", str(tmp_path / "faster.json"),
        "--assert", "min-busbw=100000,max-wrong=0",
    )  # fmt: skip
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [one["code"] for one in document["findings"]] == ["slower-than-baseline"]
    assert [one["held"] for one in document["asserts"]] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sizes", "big"), "--sizes big"),
        (("--nnodes", "2"), "--node-rank"),
        (("--assert", "speed"), "--assert speed"),
        (("--baseline", "/nonexistent/x.json"), "/nonexistent/x.json"),
    ],
)
def test_wrong_usage_is_said_before_anything_starts(arguments: tuple[str, ...], said: str) -> None:
    done = run("bench", "allreduce", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_namespace_whose_lo_is_down() -> None:
    needs.namespaces()
    alone = (needs.program("unshare", "util-linux"), "-n", *ENVDOCTOR, "bench", "links", "--color", "never")
    done = subprocess.run(alone, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "error[master-unreachable]: lo is down, and 127.0.0.1 is reached over nothing else" in done.stdout
    assert "fix   ip link set lo up" in done.stdout and "firewall" not in done.stdout
    assert "port 0" not in done.stdout


@pytest.mark.torch
def test_a_torch_that_cannot_use_nccl_is_told_before_anybody_waits_for_it() -> None:
    version = needs.distribution("torch")
    asked = "distributed.is_nccl_available" if version.endswith("+cpu") else "cuda.is_available"
    done = run("bench", "allreduce", "--backend", "nccl", "--color", "never", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert "error[backend-unavailable]: the torch of " in done.stdout and f"seen  torch {version} (" in done.stdout
    assert f": `torch.{asked}()` is False" in done.stdout and "stopped at torch; " in done.stdout


def test_a_python_that_does_not_run(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 9\n")
    broken.chmod(0o755)
    done = run("bench", "allreduce", "--python", str(broken), "--json")
    assert done.returncode == 3
    assert "it is broken" in json.loads(done.stdout)["error"]["message"]


def family(pid: int) -> list[int]:
    """Live descendants of a process."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    parents = {int(row[0]): int(row[1]) for row in rows if not row[2].startswith("Z")}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {pid})


@pytest.mark.torch
@pytest.mark.parametrize(
    ("number", "times", "status"), [(signal.SIGINT, 1, 130), (signal.SIGINT, 5, 130), (signal.SIGKILL, 1, -9)]
)
def test_nothing_is_left_behind(number: signal.Signals, times: int, status: int) -> None:
    needs.distribution("torch")
    needs.program("ps", "procps")
    process = subprocess.Popen(
        [*ENVDOCTOR, "bench", "allreduce", "--sizes", "8M:1G", "-v"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    climbs(process, "sweep")
    below = family(process.pid)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.1)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in said
    until = time.monotonic() + 20
    while (left := [pid for pid in below if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(below) >= 3 and not left


def test_a_program_that_is_not_there_ends_at_once() -> None:
    with Conduct([Start(("/nonexistent/ssh", "host"), {})], "c00c1e") as conduct:
        assert conduct.follow(lambda *_: None, time.monotonic() + 5)
        assert conduct.ended[0].status == 127
        assert "/nonexistent/ssh" in conduct.ended[0].said


def test_a_banner_is_no_record_and_what_hangs_is_ended() -> None:
    code = "import sys,time; print('Welcome! {\"begin\": 1}', flush=True); time.sleep(600)"
    began = time.monotonic()
    with Conduct([Start((sys.executable, "-c", code), {})], "c00c1e") as conduct:
        records: list[object] = []
        assert not conduct.follow(lambda number, record: records.append(record), time.monotonic() + 1)
    assert records == []
    assert time.monotonic() - began < 30
    assert conduct.ended[0].noise.startswith("Welcome!")


@pytest.mark.parametrize(
    "record",
    [
        {}, {"node": "x"}, {"node": 0, "end": "torch", "values": []}, {"node": 0, "stop": {"causes": [7]}},
        {"node": 0, "failed": "join", "how": None, "values": {"peers": 5, "places": []}}, {"node": 1, "size": 3},
        {"node": 0, "size": {"bytes": 8}}, {"node": 0, "left_out": "1M"}, {"node": 0, "suspects": ["x"]},
        {"node": 0, "end": "join", "values": {"agents": [3]}}, {"node": 0, "hello": {"mtus": 5}},
        {"node": 0, "end": "dial", "values": {"rtt_us": [8]}}, {"node": 0, "end": "dial", "values": {"rtt_us": {}}},
        {"node": 0, "pair": {"a": "x", "b": 1, "gb_s": 1.0, "busy": 0.0}}, {"node": 0, "failed": "dial", "values": 1},
        {"node": 0, "pair": {"a": 0, "b": 1, "gb_s": -1.0, "busy": 0.0}},
        {"node": 0, "pair": {"a": 0, "b": 1, "gb_s": float("nan"), "busy": 0.0}},
    ],
)  # fmt: skip
def test_records_that_make_no_sense_break_nothing(record: dict[str, Any]) -> None:
    observed = Observed(Part(), "gloo", "float32")
    observed.take(record)
    assert observed.result.world_size == 0 and not observed.result.pairs and not observed.result.sizes


def test_a_name_stays_on_its_line() -> None:
    observed = Observed(Part(), "gloo", "float32")
    observed.take({"node": 0, "hello": {"name": "gpu01\nreboot", "host": "gpu01"}})
    assert [(member.node, member.host) for member in observed.result.members] == [("gpu01 reboot", "gpu01")]


def test_the_last_words_of_an_agent_are_its_own() -> None:
    observed = Observed(Part(), "gloo", "float32")
    tried = "envdoctor tries /opt/python\n"
    for index, ended in enumerate((Ended(1, f"{tried}Killed"), Ended(1, tried, "a banner"))):
        observed.gone(index, ended)
    assert [failure.said for failure in observed.result.failures] == ["Killed", "a banner"]


def test_what_is_measured_is_a_number_or_nothing() -> None:
    observed = Observed(Part(), "gloo", "float32")
    for rtt in ("long", 80, 70.5, -1, 90):
        observed.take({"node": 0, "pair": {"a": 0, "b": 1, "gb_s": 1, "busy": 0, "rtt_us": rtt}})
        way = {"outcome": "ok", "gb_s": "fast", "busy": 0.1, "rtt_us": rtt, "mss": "big"}
        observed.take({"node": 0, "end": "stream", "values": {"peers": {"1": way}}})
    (pair,), (kept,) = observed.result.pairs, observed.result.ways
    assert (pair.gb_s, pair.rtt_us, pair.times) == (1.0, 80, 5)
    assert (kept.gb_s, kept.busy, kept.rtt_us, kept.mss) == (None, None, 80, None)


def test_a_round_trip_is_the_one_of_a_network_at_rest_where_streams_queue() -> None:
    observed = Observed(Part(), "gloo", "float32")
    observed.take({"node": 0, "end": "dial", "values": {"reached": 2, "rtt_us": {"1": 90, "2": None}}})
    for other in (1, 2):
        observed.take(
            {"node": 0, "end": "bulk", "values": {"peers": {str(other): {"outcome": "ok", "rtt_us": 25_000}}}}
        )
    rail = {"rail": 1, "peers": {"1": {"outcome": "ok", "rtt_us": 25_000}}}
    observed.take({"node": 0, "end": "stream", "values": rail})
    assert [(way.b, way.rail, way.rtt_us) for way in observed.result.ways] == [
        (1, 0, 90), (2, 0, 25_000), (1, 1, 25_000),
    ]  # fmt: skip


def test_an_agent_of_this_machine_is_isolated_from_the_user_s_paths() -> None:
    assert python("/opt/python")[:2] == ("/opt/python", "-I")


def test_a_rank_0_that_is_silent_and_listens_is_told_from_one_that_is_gone() -> None:
    silent = Failure("connect", 1, "gpu02", "timeout", address="10.0.0.1", elsewhere="timeout")
    gone = AllreduceResult(expected_members=2, stage="join", failures=(silent,), master_addr="10.0.0.1")
    listens = replace(gone, members=(Member(0, "gpu01", rung="join"),))
    login = replace(listens, failures=(replace(silent, elsewhere="login"),))
    told = [running.reach_of(result, 1, "--hosts") for result in (gone, listens, login)]
    assert [one and one.targets[0].elsewhere for one in told] == ["timeout", "listens", "login"]
