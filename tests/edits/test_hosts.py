"""envdoctor/edits/hosts.py: the name leads there, and sed does the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.edits.hosts import leading_to
from tests import needs

NAME, ADDRESS = "gpu-a01", "10.0.0.11"


def by_sed(content: bytes, script: str, folder: Path) -> bytes:
    file = folder / "hosts"
    file.write_bytes(content)
    done = subprocess.run([needs.program("sed"), script, str(file)], capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.0.0.1 localhost\n127.0.1.1 gpu-a01\n", "127.0.0.1 localhost\n10.0.0.11 gpu-a01\n"),
        ("127.0.1.1\tgpu-a01.lab gpu-a01 # Debian\n", "10.0.0.11\tgpu-a01.lab gpu-a01 # Debian\n"),
        ("127.0.0.1 localhost gpu-a01 x\n", "10.0.0.11 gpu-a01\n127.0.0.1 localhost x\n"),
        ("::1 localhost ip6-localhost GPU-A01\n", "10.0.0.11 gpu-a01\n::1 localhost ip6-localhost\n"),
        ("127.0.0.1 localhost\n", "10.0.0.11 gpu-a01\n127.0.0.1 localhost\n"),
        ("10.0.0.11 gpu-a01\n127.0.1.1 gpu-a01\n", "10.0.0.11 gpu-a01\n# 127.0.1.1 gpu-a01\n"),
        ("10.0.0.11 gpu-a01\n", "10.0.0.11 gpu-a01\n"),
        ("192.168.0.7 gpu-a01\n", "10.0.0.11 gpu-a01\n192.168.0.7 gpu-a01\n"),
        ("127.0.1.1 gpu-a011 x-gpu-a01 gpu-a01.lab\n", "10.0.0.11 gpu-a01\n127.0.1.1 gpu-a011 x-gpu-a01 gpu-a01.lab\n"),
        (
            "# 127.0.1.1 gpu-a01\n::1 localhost # gpu-a01\n",
            "10.0.0.11 gpu-a01\n# 127.0.1.1 gpu-a01\n::1 localhost # gpu-a01\n",
        ),
    ],
)
def test_the_name_gets_the_address(before: str, after: str, tmp_path: Path) -> None:
    changed, script = leading_to(before.encode(), NAME, ADDRESS)
    assert changed == after.encode()
    if "GPU" not in before:  # sed's script keeps to the case as the machine names itself
        assert by_sed(before.encode(), script, tmp_path) == changed
    assert leading_to(changed, NAME, ADDRESS)[0] == changed


Row = tuple[str, str, list[str], str]
NAMES = st.sampled_from(["localhost", "gpu-a01", "gpu-a01.lab", "ip6-localhost", "other"])
LINES = st.lists(
    st.tuples(
        st.sampled_from(["127.0.0.1", "127.0.1.1", "::1", "10.0.0.11", "10.0.0.12", "#", ""]),
        st.sampled_from([" ", "\t", "   "]),
        st.lists(NAMES, max_size=3, unique=True),
        st.sampled_from(["", " # gpu-a01", "\t"]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=60)
@given(LINES)
def test_sed_does_the_same_for_any_file(tmp_path_factory: pytest.TempPathFactory, lines: list[Row]) -> None:
    content = "".join(a + b + b.join(names) + tail + "\n" for a, b, names, tail in lines).encode()
    changed, script = leading_to(content, NAME, ADDRESS)
    assert by_sed(content, script, tmp_path_factory.mktemp("sed")) == changed
    assert leading_to(changed, NAME, ADDRESS)[0] == changed


@given(st.binary())
def test_any_bytes_are_kept(content: bytes) -> None:
    changed, _ = leading_to(content, NAME, ADDRESS)
    assert changed.endswith(content) or b"gpu-a01" in content.lower()
