"""envdoctor/edits/job_words.py: variables for what no shell starts."""

from __future__ import annotations

import pytest

from envdoctor.edits import job_words

VALUES = {"A": "1", "B": 'it\'s "x"'}


@pytest.mark.parametrize(
    ("container", "scheduler", "command"),
    [
        ("docker", "", "docker run -e A=1 -e 'B=it'\"'\"'s \"x\"' ..."),
        ("podman", "slurm", "podman run -e A=1 -e 'B=it'\"'\"'s \"x\"' ..."),
        ("kubernetes", "", 'env: [{name: A, value: "1"}, {name: B, value: "it\'s \\"x\\""}]'),
        ("", "slurm", "export A=1\nexport B='it'\\''s \"x\"'"),
    ],
)
def test_each_situation_has_its_words(container: str, scheduler: str, command: str) -> None:
    (step,) = job_words.by_hand_for_job(VALUES, container, scheduler)
    assert step.command == command


def test_a_plain_machine_needs_none() -> None:
    assert job_words.by_hand_for_job(VALUES, "", "") == ()
