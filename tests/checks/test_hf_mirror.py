"""checks/hf_mirror.py: `envdoctor fix hf-mirror`, and what a new bash then has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.errors import UsageError
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.remedy import Files, Plan
from envdoctor.testing import topic_file
from tests import CHECKS, needs

FIX = topic_file(CHECKS / "hf_mirror.py").fixes[0]
HOME = "/home/ada"
THERE = Files({f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n"})


def plan(
    environment: Environment | None = None, host: Host | None = None, files: Files = THERE, **options: Any
) -> Plan:
    made = FIX(ShellFiles("bash", HOME), environment, host, files, **options)
    assert isinstance(made, Plan)
    return made


def told(made: Plan) -> str:
    return "\n".join(remark.said.say("en") for remark in made.remarks)


def test_the_mirror_is_set_and_taken_away() -> None:
    made = plan()
    assert [edit.after for edit in made.edits] == [
        b"# >>> envdoctor >>>\nexport HF_ENDPOINT=https://hf-mirror.com\n# <<< envdoctor <<<\n"
    ]
    assert made.wants == {"env HF_ENDPOINT": "https://hf-mirror.com"}
    assert made.title.say("zh") == "从 https://hf-mirror.com 下载模型和数据集"
    assert "gated models still need a token" in told(made) and "once, when it is imported" in told(made)
    there = Files({f"{HOME}/.bashrc": made.edits[0].after or b"", f"{HOME}/.profile": b". ~/.bashrc\n"})
    assert not plan(files=there).changes
    made = plan(files=there, official=True)
    assert [edit.after for edit in made.edits] == [b""]
    assert made.wants == {"env HF_ENDPOINT": None}
    assert "gated" not in told(made)


def test_an_endpoint_of_ones_own() -> None:
    assert plan(url="https://hub.corp.example/hf/").wants == {"env HF_ENDPOINT": "https://hub.corp.example/hf"}
    assert "plain HTTP" in told(plan(url="http://hub.corp.example"))


@pytest.mark.parametrize(
    "options",
    [{"url": "hf-mirror.com"}, {"url": "ftp://x"}, {"url": "https://a b"}, {"url": "https://me:pw@x.example"},
     {"url": "https://x:port"}, {"url": "https://x/?a"}, {"url": "https://x.example", "official": True}],
)  # fmt: skip
def test_what_is_no_endpoint(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan(**options)


def test_what_this_shell_has_is_told() -> None:
    here = Environment({"HF_ENDPOINT": "https://other.example"}, secret=("HF_TOKEN",))
    made = plan(here)
    assert "HF_ENDPOINT=https://other.example is set in this shell and stays" in told(made)
    assert "HF_TOKEN is set: huggingface_hub sends it to hf-mirror.com as well" in told(made)
    assert "stays in it" not in told(plan(Environment({"HF_ENDPOINT": "https://hf-mirror.com/"})))


def test_containers_and_jobs_are_told_their_own_way() -> None:
    assert "docker run -e HF_ENDPOINT=https://hf-mirror.com ..." in told(plan(host=Host(container="docker")))
    assert "export HF_ENDPOINT=" in told(plan(host=Host(scheduler=Scheduler("slurm"))))


def test_a_new_bash_has_it_until_it_is_undone(tmp_path: Path) -> None:
    bash = needs.program("bash")
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "SHELL": bash, "LC_ALL": "C.UTF-8",
               "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    (tmp_path / ".bashrc").write_text("# mine\nexport HF_ENDPOINT=https://old.example\n")
    (tmp_path / ".profile").write_text(". ~/.bashrc\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def doctor(*arguments: str) -> tuple[int, Any]:
        ran = subprocess.run([sys.executable, "-m", "envdoctor", "fix", *arguments, "--yes", "--json"], env=environ,
                             cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)  # fmt: skip
        assert ran.stdout, ran.stderr
        return ran.returncode, json.loads(ran.stdout)

    def endpoint() -> str:
        ran = subprocess.run([bash, "-lic", "echo $HF_ENDPOINT"], env=environ, cwd=tmp_path, capture_output=True,
                             text=True, check=True, timeout=30)  # fmt: skip
        return ran.stdout.strip()

    assert endpoint() == "https://old.example"
    status, document = doctor("hf-mirror")
    assert (status, document["state"]) == (0, "applied"), document
    assert endpoint() == "https://hf-mirror.com"
    status, document = doctor("hf-mirror")
    assert (status, document["state"]) == (0, "nothing-to-do"), document
    status, document = doctor("--undo")
    assert status == 0, document
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
