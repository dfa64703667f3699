"""README.md: what it gives to copy into Slurm and Kubernetes. Slurm runs it in tests/lab/test_slurm_recipe.py."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from tests import needs, recipes

CRITICAL = "ENVDOCTOR CRITICAL - gpu-ecc: GPU 3 has errors; 1 error | errors=1;;0;0"


def run(
    tmp_path: Path, doctor: str, state: str = "idle", limit_s: int = 7, **variables: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """The Slurm recipe with programs of Slurm that note how they were called: how it ended, and what it asked for."""
    log = tmp_path / "calls"
    log.write_text("")
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name, answer in (("scontrol", ""), ("sinfo", f"echo {state}")):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> {log}\n{answer}\n')
        (programs / name).chmod(0o755)
    script = recipes.slurm_script(tmp_path, doctor, more=f"PATH={programs}:$PATH")
    script.write_text(script.read_text().replace("timeout -k 1 7", f"timeout -k 1 {limit_s}"))
    environ = {"SLURMD_NODENAME": "gpu07", **variables}
    done = subprocess.run([script], capture_output=True, text=True, env=environ, timeout=90)
    calls = [line for line in log.read_text().splitlines() if line.startswith("scontrol")]
    return done, "\n".join(calls)


def test_an_error_drains_the_node_with_its_reason(tmp_path: Path) -> None:
    done, asked = run(tmp_path, f'echo "{CRITICAL}"; echo more; exit 2')
    assert (done.returncode, done.stderr) == (0, "")
    assert asked == (
        "scontrol update NodeName=gpu07 State=DRAIN Reason=ENVDOCTOR CRITICAL - gpu-ecc: GPU 3 has errors; 1 error"
    )


def test_as_a_prolog_it_fails_on_an_error_and_on_nothing_else(tmp_path: Path) -> None:
    done, asked = run(tmp_path, f'echo "{CRITICAL}"; exit 2', SLURM_JOB_ID="7")
    assert done.returncode == 1 and "State=DRAIN" in asked
    done, asked = run(tmp_path, "exit 0", SLURM_JOB_ID="7")
    assert (done.returncode, asked) == (0, "")


@pytest.mark.parametrize(
    "doctor", ["exit 0", "exit 1", "exit 3", "kill -SEGV $$", "exec /nonexistent", "exec sleep 30"]
)
def test_the_doctors_own_failure_drains_nothing(tmp_path: Path, doctor: str) -> None:
    done, asked = run(tmp_path, doctor, limit_s=2, SLURM_JOB_ID="7")
    assert (done.returncode, asked) == (0, "")


def test_the_variables_of_a_job_say_nothing_of_the_node(tmp_path: Path) -> None:
    """A job without GPUs, started on a node with eight, must not drain it."""
    told = f"env > {tmp_path / 'env'}"
    done, _ = run(tmp_path, told, SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="", SLURM_JOB_GPUS="")
    assert done.returncode == 0
    assert {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()} <= {
        "PATH",
        "PWD",
        "_",
        "SHLVL",
    }


@pytest.mark.parametrize("state", ["drained", "draining", "down", "maint", ""])
def test_a_reason_that_is_there_stays(tmp_path: Path, state: str) -> None:
    done, asked = run(tmp_path, f'echo "{CRITICAL}"; exit 2', state)
    assert (done.returncode, asked) == (0, "")


def test_the_doctor_itself_says_what_the_script_waits_for(tmp_path: Path) -> None:
    """The real program with a site's own check: CRITICAL is 2, its first line is the reason."""
    checks = tmp_path / "home" / ".config" / "envdoctor" / "checks"
    checks.mkdir(parents=True)
    (checks / "site.py").write_text(
        "from envdoctor import Problem, Severity, Text, check\nfrom envdoctor.facts.host import Host\n"
        'BAD = Problem("site-bad", Severity.ERROR, Text("bad | node", "坏"), Text("so", "所以"))\n'
        "@check(BAD)\ndef bad(host: Host):\n    yield BAD.found()\n"
    )
    recipes.slurm_script(tmp_path, "", "site", patient=True)
    wrapped = tmp_path / "real-doctor"
    (tmp_path / "doctor").rename(wrapped)
    _, asked = run(tmp_path, f"HOME={tmp_path / 'home'} exec {wrapped} check site --quick --format nagios", limit_s=60)
    assert asked.startswith(
        "scontrol update NodeName=gpu07 State=DRAIN Reason=ENVDOCTOR CRITICAL - site-bad: bad / node"
    )
    assert "errors=1" not in asked


def test_it_ends_before_slurm_ends_it() -> None:
    """BatchStartTimeout is 10 s unless set, a HealthCheckProgram has 60 s (slurm.conf(5))."""
    text = recipes.block("sh", "scontrol update")
    limits = [int(one) for one in re.findall(r"(?<!-)timeout (?:-k \d+ )?(\d+) ", text)]
    grace = sum(int(one) for one in re.findall(r"timeout -k (\d+)", text))
    (own,) = (int(one) for one in re.findall(r"--timeout (\d+)", text))
    assert len(limits) == 3 and sum(limits) + grace <= 10
    assert own < limits[0]
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_the_shell_script_is_clean(tmp_path: Path) -> None:
    needs.program("shellcheck", "shellcheck")
    script = recipes.slurm_script(tmp_path)
    # $TOPICS is several words on purpose.
    done = subprocess.run(["shellcheck", "-e", "SC2086,SC2181", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


JOB = YAML(typ="safe").load(recipes.block("yaml", "initContainers"))


@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_the_kubernetes_recipe_is_what_kubernetes_takes(version: str) -> None:
    kubernetes_validate.validate(JOB, version, strict=True)
    misspelt = {**JOB, "spec": {**JOB["spec"], "backofLimit": 3}}
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(misspelt, version, strict=True)


def test_the_init_container_sees_what_the_training_container_gets() -> None:
    spec = JOB["spec"]["template"]["spec"]
    (doctor,), (train,) = spec["initContainers"], spec["containers"]
    for key in ("image", "resources", "volumeMounts"):
        assert doctor[key] == train[key]
    assert {volume["name"] for volume in spec["volumes"]} == {mount["name"] for mount in train["volumeMounts"]}


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 0), (3, 0), (124, 0), (137, 0)])
def test_an_error_stops_the_pod_and_the_doctors_own_failure_does_not(tmp_path: Path, code: int, ends: int) -> None:
    (tmp_path / "envdoctor").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "envdoctor").chmod(0o755)
    command = JOB["spec"]["template"]["spec"]["initContainers"][0]["command"]
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(command, env=environ).returncode == ends
