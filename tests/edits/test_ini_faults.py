"""edits/ini_faults.py: files that every pip command dies of, and the least that mends them."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.edits import ini_faults
from envdoctor.patient.ini import Fault

LISTS = ("extra-index-url", "trusted-host")


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (b"[global]\nx = 1\n", b"[global]\nx = 1\n", ()),
        (b"\xef\xbb\xbf[global]\nx = 1\n", b"[global]\nx = 1\n", ("bom",)),
        (b"# c\nx = 1\n[list]\n", b"# c\n[global]\nx = 1\n[list]\n", ("no-section-header",)),
        (b"x = 1\r\n\r\n[global]\r\ny = 2", b"[global]\r\nx = 1\r\n\r\ny = 2", ("no-section-header",)),
        (b"[global]\nx = 1\nwhat\n", b"[global]\nx = 1\n# what\n", ("bad-line",)),
        (b"[global]\nx = 1\nX = 2\n  3\ny = 1\n", b"[global]\nx = 1\n# X = 2\n#   3\ny = 1\n", ("duplicate-option",)),
        (
            b"[global]\ntrusted-host = a\nx = 1\ntrusted-host = a b\n",
            b"[global]\ntrusted-host = a b\nx = 1\n",
            ("duplicate-option",),
        ),
        (
            b"[global]\ntrusted-host =\n  a\ntrusted-host =\n  b\nx = 1\n",
            b"[global]\ntrusted-host =\n  a b\nx = 1\n",
            ("duplicate-option",),
        ),
        (b"[a]\nx = 1\n[a]\ny = 2\n", b"[a]\nx = 1\ny = 2\n", ("duplicate-section",)),
        (
            b"[a]\nx = 1\n\n[b]\nz = 1\n[a]\n# c\ny = 2",
            b"[a]\nx = 1\n# c\ny = 2\n\n[b]\nz = 1\n",
            ("duplicate-section",),
        ),
        (b"[a]\nx = 1\n[a]\nx = 2\n", b"[a]\nx = 1\n# x = 2\n", ("duplicate-section", "duplicate-option")),
        (b"# caf\xe9\r[a]\rx = 1\r", "# café\r[a]\rx = 1\r".encode(), ("not-decodable",)),
        ("[a]\n; 镜像\nx = 1\n".encode("gbk"), "[a]\n; 镜像\nx = 1\n".encode(), ("not-decodable",)),
        ("[a]\r\nx = 1\r\n".encode("utf-16"), b"[a]\r\nx = 1\r\n", ("not-decodable",)),
    ],
)
def test_mended(before: bytes, after: bytes, kinds: tuple[str, ...]) -> None:
    found, faults = ini_faults.mended(before, LISTS)
    assert (found, tuple(fault.kind for fault in faults)) == (after, kinds)


def test_what_is_meant_by_bytes_of_a_value_is_not_sure() -> None:
    with pytest.raises(Fault, match="not utf-8"):
        ini_faults.mended(b"[global]\ncert = /home/jos\xe9/ca.pem\n")
    with pytest.raises(Fault):
        ini_faults.mended(b"[global]\n# \xe9\n", encoding="shift_jis")


line = st.sampled_from(
    ["[global]", "[global]", "[install]", " [global]", "[DEFAULT]", "x = 1", "x: 2", "trusted-host = a",
     "trusted-host = b c", "    more", "bare", "# c", "", "= v", "日 = 本", "  y = 1"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(line, max_size=10), st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_what_is_called_mended_is_read_by_the_real_parser_and_nothing_is_lost(
    lines: list[str], end: bytes, mark: bytes
) -> None:
    before = mark + end.join(line.encode() for line in lines)
    try:
        after, _ = ini_faults.mended(before, LISTS)
    except Fault:
        return
    configparser.RawConfigParser().read_string(after.decode().replace("\r\n", "\n"))
    words = {word for line in lines for word in line.replace("=", " ").replace(":", " ").split()}
    told = after.decode().replace("=", " ").replace(":", " ").replace("#", "# ").split()
    assert words - {"[global]", "[install]", "[DEFAULT]", "#"} <= set(told), "something that was written is gone"
    assert ini_faults.mended(after, LISTS) == (after, ())
