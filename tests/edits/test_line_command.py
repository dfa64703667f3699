"""edits/line_command.py: what the real sed makes of the command."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.edits import line_command
from tests import needs

SECRET = b"extra-index-url = https://ada:s3cret@nexus.example/simple\n"


def carried_out(before: bytes, after: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it's a pip.conf"
        path.write_bytes(before)
        words = shlex.split(line_command.command(str(path), before, after))
        assert words[:3] == ["sudo", "sed", "-i"], words
        subprocess.run(words[1:], check=True)
        return path.read_bytes()


def test_credentials_are_in_no_command() -> None:
    before = b"[global]\nindex-url = http://old.example/simple\n" + SECRET + b"trusted-host = old.example\n"
    after = b"[global]\nindex-url = https://new.example/simple\n" + SECRET
    told = line_command.command("/etc/pip.conf", before, after)
    assert "s3cret" not in told
    assert told == r"sudo sed -i -e '1a\index-url = https://new.example/simple' -e 2d -e 4d /etc/pip.conf"
    assert carried_out(before, after) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[global]\nx = 1\n", b"[global]\nx = 1\n" + SECRET),
        (b"[global]\r\n" + SECRET, b"[global]\r\nx = 1\r\n" + SECRET),
        (SECRET.rstrip(), SECRET + b"x = 1\n"),
        (SECRET, SECRET + b"x = C:\\\n"),
    ],
)
def test_what_sed_should_not_do_is_done_in_an_editor(before: bytes, after: bytes) -> None:
    told = line_command.command("/etc/pip.conf", before, after)
    assert told.startswith("sudo vi +") and "s3cret" not in told


def test_a_file_without_credentials_is_written_whole() -> None:
    assert line_command.command("/etc/pip.conf", b"[global]\n", b"[global]\nx = 1\n") == ""
    assert line_command.command("/etc/pip.conf", SECRET, SECRET) == ""


lines = st.lists(
    st.sampled_from(["[global]", "x = 1", "  y\\n = z", "# it's", "", "&/s", "a\\b", "ü = 日"]), max_size=7
)


@settings(max_examples=60, deadline=None)
@given(lines, lines)
def test_the_real_sed_makes_the_file(first: list[str], second: list[str]) -> None:
    needs.program("sed")
    before, after = ("".join(f"{line}\n" for line in part).encode() + SECRET for part in (first, second))
    if before != after:
        assert carried_out(before, after) == after
