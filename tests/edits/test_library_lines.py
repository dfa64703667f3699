"""envdoctor/edits/library_lines.py: a folder goes, the rest of the line stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.edits.library_lines import without_folder

CUDA = "/usr/local/cuda/lib64"
GONE = b": # taken out by envdoctor: "


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("export LD_LIBRARY_PATH=/usr/local/cuda/lib64:$LD_LIBRARY_PATH", None),
        ('export LD_LIBRARY_PATH="/usr/local/cuda/lib64/:${LD_LIBRARY_PATH}"  # cuda', None),
        ("export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:/usr/local/cuda/lib64", None),
        ("  export LD_LIBRARY_PATH=/usr/local/cuda/lib64:$LD_LIBRARY_PATH\r", None),
        ("LD_LIBRARY_PATH=/usr/local/cuda/lib64", None),
        ("set -gx LD_LIBRARY_PATH /usr/local/cuda/lib64 $LD_LIBRARY_PATH", None),
        ("export LD_LIBRARY_PATH=/a:/usr/local/cuda/lib64:/b", "export LD_LIBRARY_PATH=/a:/b"),
        ("export LD_LIBRARY_PATH=/usr/local/cuda/lib64:/b", "export LD_LIBRARY_PATH=/b"),
        ('export LD_LIBRARY_PATH="/a:/usr/local/cuda/lib64"', 'export LD_LIBRARY_PATH="/a"'),
        ("export LD_LIBRARY_PATH=/a:/usr/local/cuda/lib64/ # x", "export LD_LIBRARY_PATH=/a # x"),
        ("LD_LIBRARY_PATH=/usr/local/cuda/lib64:/a; ls", "LD_LIBRARY_PATH=/a; ls"),
        ("set -gx LD_LIBRARY_PATH /a /usr/local/cuda/lib64 /b", "set -gx LD_LIBRARY_PATH /a /b"),
        ("export LD_LIBRARY_PATH=/usr/local/cuda/lib64-old:$LD_LIBRARY_PATH", "same"),
        ("export LD_LIBRARY_PATH=/x/usr/local/cuda/lib64:$LD_LIBRARY_PATH", "same"),
        ("export LD_LIBRARY_PATH=$CUDA_HOME/lib64:$LD_LIBRARY_PATH", "same"),
        ("export LIBRARY=/usr/local/cuda/lib64:/b", "same"),
    ],
)  # fmt: skip
def test_a_folder_is_taken_out(line: str, left: str | None) -> None:
    content = b"# first \xe9\n" + line.encode() + b"\nlast"
    want = GONE + line.encode() if left is None else line.encode() if left == "same" else left.encode()
    assert without_folder(content, 1, CUDA, "/home/ada") == b"# first \xe9\n" + want + b"\nlast"


@pytest.mark.parametrize("spelled", ["/home/ada/lib", "$HOME/lib", "${HOME}/lib", "~/lib"])
def test_the_home_folder_is_written_in_many_ways(spelled: str) -> None:
    content = f"export LD_LIBRARY_PATH={spelled}:/opt/x".encode()
    assert without_folder(content, 0, "/home/ada/lib", "/home/ada") == b"export LD_LIBRARY_PATH=/opt/x"


@given(st.binary(), st.integers(-3, 9), st.text(min_size=1))
def test_other_lines_stay_whatever_they_hold(content: bytes, number: int, folder: str) -> None:
    changed = without_folder(content, number, "/" + folder.encode("utf-8", "replace").decode(), "/home/ada")
    before, after = content.split(b"\n"), changed.split(b"\n")
    assert [line for at, line in enumerate(before) if at != number] == [
        line for at, line in enumerate(after) if at != number
    ]
