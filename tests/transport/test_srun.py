"""The words are those of Slurm itself; tests/lab/test_slurm.py has the real programs say most of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.errors import UsageError
from envdoctor.transport import commands, srun
from envdoctor.transport.hosts import Host

JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "gpu[01-02],login", "SLURM_NNODES": "3"}


EXPIRED = "srun: Check SLURM_JOB_ID environment variable. Expired or invalid job 7"
UNCONFIRMED = "srun: error: Unable to confirm allocation for job 7: "
NO_STEP = "srun: error: Unable to create step for job 7: "
NO_TASK = "srun: error: Task launch for StepId=7.0 failed on node gpu02: "
CANCELLED = "slurmstepd-gpu02: error: *** STEP 7.0 ON gpu02 CANCELLED AT 2026-11-21T19:36:48"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("busy", f"{NO_STEP}Requested nodes are busy"),
        ("busy", "srun: Job 7 step creation temporarily disabled, retrying (Requested nodes are busy)"),
        ("busy", f"{NO_STEP}Memory required by task is not available"),
        ("not-allocated", f"{NO_STEP}Requested node configuration is not available"),
        ("not-allocated", f"{NO_STEP}Invalid node name specified"),
        ("node-down", f"{NO_STEP}Required node not available (down, drained or reserved)"),
        ("node-down", "srun: error: Node failure on gpu02\nsrun: Job step aborted: Waiting up to 32 seconds for it"),
        ("job-over", f"srun: error: Slurm job 7 has expired\n{EXPIRED}"),
        ("job-over", f"{UNCONFIRMED}Invalid job id specified\n{EXPIRED}"),
        ("job-over", f"{NO_STEP}Job/step already completing or completed"),
        ("job-over", f"{CANCELLED} DUE TO TIME LIMIT ***"),
        ("no-controller", f"{UNCONFIRMED}Socket timed out on send/recv operation\n{EXPIRED}"),
        ("no-controller", f"{UNCONFIRMED}Unable to contact slurm controller (connect failure)\n{EXPIRED}"),
        ("no-controller", "srun: fatal: Could not establish a configuration source"),
        ("no-slurmd", f"{NO_TASK}Communication connection failure\nsrun: Job step aborted"),
        (
            "unauthenticated",
            f"{NO_TASK}Invalid job credential\nsrun: error: Application launch failed: Invalid job credential",
        ),
        ("unauthenticated", f"{NO_STEP}Access/permission denied"),
        ("failed", f"{NO_TASK}Job prolog failed"),
        ("failed", f"{NO_STEP}Invalid generic resource (gres) specification"),
        ("failed", "srun: unrecognized option '--overlap'"),
    ],
)
def test_words_of_srun(outcome: str, said: str) -> None:
    noise = "srun: cluster configuration lacks support for cpu binding\n"
    told = srun.reach(Host("gpu02"), 1, f"{noise}{said}\n", "", heard=False)
    assert (told.host, told.way, told.outcome, told.status) == ("gpu02", "srun", outcome, 1)
    assert told.said and "cpu binding" not in told.said and "Job step aborted" not in told.said


def test_how_the_task_ended_there() -> None:
    host = Host("gpu02")
    ended = "srun: error: gpu02: task 0: Exited with exit code {}\n"
    assert srun.reach(host, 0, "", "welcome", False).outcome == "invalid"
    assert srun.reach(host, 0, "", "welcome", False).said == "welcome"
    assert (
        srun.reach(host, 127, "envdoctor: no Python: neither\n" + ended.format(127), "", False).outcome == "no-python"
    )
    missing = srun.reach(host, 2, "slurmstepd-gpu02: error: execve(): /bin/sh: No such file or directory", "", False)
    assert missing.outcome == "not-executed" and "execve" in missing.said
    assert srun.reach(host, 1, "ImportError: no module\n" + ended.format(1), "", False).outcome == "not-executed"
    assert srun.reach(host, None, "", "", False).outcome == "silent"


def test_a_task_cannot_speak_for_srun() -> None:
    said = "RuntimeError: Requested nodes are busy\nsrun: error: gpu02: task 0: Exited with exit code 1\n"
    assert srun.reach(Host("gpu02"), 1, said, "", heard=False).outcome == "not-executed"


def test_one_that_has_answered_was_reached_unless_its_job_or_node_ended() -> None:
    assert srun.reach(Host("a"), 143, f"{CANCELLED} ***", "", heard=True).outcome == "job-over"
    assert srun.reach(Host("a"), 1, "srun: error: Node failure on a", "", heard=True).outcome == "node-down"
    assert srun.reach(Host("a"), 137, "srun: error: a: task 0: Killed", "", heard=True).outcome == "ok"
    assert srun.reach(Host("a"), 0, "", "", heard=True).said == ""


def test_the_nodes_of_an_allocation() -> None:
    assert [host.name for host in srun.nodes(JOB)] == ["gpu01", "gpu02", "login"]
    alone = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}  # an interactive shell is a step of one task
    assert len(srun.nodes({**JOB, **alone})) == 3


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "salloc -N 2"),
        ({"SLURM_JOB_ID": "7"}, "sbatch"),
        ({**JOB, "SLURM_STEP_NUM_TASKS": "8"}, "8 tasks"),
        ({**JOB, "SLURM_JOB_NODELIST": "gpu[01-"}, "gpu"),
        ({**JOB, "SLURM_JOB_NODELIST": "--bogus"}, "no list of nodes"),
    ],
)
def test_where_there_is_none(environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        srun.nodes(environ)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An srun of the release that the file `release` beside it names."""
    srun.version.cache_clear()
    path = tmp_path / "srun"
    path.write_text(f"#!/bin/sh\ncat {tmp_path}/release\n")
    path.chmod(0o755)
    (tmp_path / "release").write_text("slurm 20.11.9\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return path


@pytest.mark.parametrize(
    ("release", "overlaps"),
    [("slurm 20.02.7", False), ("slurm-wlm 22.05.8", True), ("slurm 24.11.3", True), ("", True)],
)
def test_options_that_a_release_refuses_are_left_out(program: Path, release: str, overlaps: bool) -> None:
    (program.parent / "release").write_text(release)
    words = srun.argv(Host("gpu02"), "exec true")
    assert ("--overlap" in words) is overlaps
    assert "--nodelist=gpu02" in words and "--ntasks=1" in words
    assert words[-3:-1] == ("/bin/sh", "-c")


def test_what_shapes_the_tasks_of_a_training_does_not_shape_the_step(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_GPUS", "SLURM_NTASKS_PER_NODE", "SLURM_EXPORT_ENV", "SRUN_CPUS_PER_TASK"):
        monkeypatch.setenv(name, "8")
    for name, value in {**JOB, "SLURM_CONF": "/etc/slurm.conf", "SLURM_JWT": "a token"}.items():
        monkeypatch.setenv(name, value)
    words = srun.argv(Host("gpu02"), "exec true")
    dropped = {words[place + 1] for place, word in enumerate(words) if word == "-u"}
    assert words[0] == "env" and dropped >= {"SLURM_GPUS", "SLURM_NTASKS_PER_NODE", "SLURM_EXPORT_ENV"}
    assert "SRUN_CPUS_PER_TASK" in dropped and not dropped & {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_JWT"}
    # On the node a program sees the job, and no step that it would be the only rank of.
    assert "unset SLURM_PROCID " in words[-1] and "SLURM_JOB_NODELIST='gpu[01-02],login'" in words[-1]
    assert words[-1].endswith("; exec true")


def test_any_line_of_ours_can_be_handed_on(program: Path) -> None:
    assert srun.argv(Host("a"), commands.start("/opt/py", "print(1)"))[-1].endswith("'print(1)'")


def test_without_srun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="srun, which is not on PATH"):
        srun.argv(Host("a"), "true")
