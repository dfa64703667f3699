"""envdoctor/edits/condarc.py, read back by the YAML library that conda uses."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from envdoctor.edits.condarc import CondarcText
from envdoctor.edits.yaml_scalars import NotUnderstood, goes_on
from tests.edits.condarcs import condarcs, names, read, urls, values

RECIPE = b"""\
channels:
  - defaults
default_channels:
  - https://m.example/anaconda/pkgs/main   # the big one
  # a line of its own
  - https://m.example/anaconda/pkgs/r
custom_channels:
  conda-forge: https://m.example/anaconda/cloud
  "pytorch": 'https://m.example/anaconda/cloud'
"""


def own_lines(data: bytes) -> list[str]:
    """The comments that stand on lines of their own, in order."""
    return re.findall(r"(?m)^[ \t]*(#.*?)(?=\r?$)", data.decode("utf-8-sig"))


def rest(data: bytes, key: str) -> dict[str, object]:
    """The other keys. The line break after a text block at the end of a file is not looked at."""
    told = {name: value for name, value in read(data).items() if name != key}
    return {name: value.rstrip("\n") if name == "report" else value for name, value in told.items()}


@given(condarcs())
@settings(max_examples=300, deadline=None)
def test_all_that_conda_reads_is_read_alike(data: bytes) -> None:
    text, told = CondarcText(data), read(data)
    assert text.data() == data
    assert set(text.keys) == set(told)
    for key in ("channels", "default_channels"):
        assert list(text.items(key)) == (told.get(key) or [])
    assert text.pairs("custom_channels") == (told.get("custom_channels") or {})
    assert text.scalar("channel_alias") == (told.get("channel_alias") or "")


@given(condarcs(), st.sampled_from(("channels", "default_channels")), st.lists(values, unique=True, max_size=4))
@settings(max_examples=400, deadline=None)
@example(b"", "channels", ["a"])
@example(b"channels: [a, b] # x", "channels", ["b"])
@example(b"channels:\n- a\n- b", "channels", ["c", "a", "d"])
def test_a_list_becomes_what_is_wanted_and_all_else_stays(data: bytes, key: str, wanted: list[str]) -> None:
    text = CondarcText(data)
    text.set_items(key, wanted)
    made = text.data()
    assert (read(made).get(key) or []) == wanted
    assert rest(made, key) == rest(data, key)
    assert own_lines(made) == own_lines(data)
    again = CondarcText(made)
    again.set_items(key, wanted)
    assert again.data() == made


@given(condarcs(), st.dictionaries(names, urls, max_size=4))
@settings(max_examples=400, deadline=None)
@example(b"custom_channels: {pytorch: https://a.example/cloud}\r\n", {"conda-forge": "https://b.example/cloud"})
def test_a_map_becomes_what_is_wanted_and_all_else_stays(data: bytes, wanted: dict[str, str]) -> None:
    text = CondarcText(data)
    text.set_pairs("custom_channels", wanted)
    made = text.data()
    assert (read(made).get("custom_channels") or {}) == wanted
    assert rest(made, "custom_channels") == rest(data, "custom_channels")
    assert own_lines(made) == own_lines(data)
    again = CondarcText(made)
    again.set_pairs("custom_channels", wanted)
    assert again.data() == made


def test_lines_that_stay_are_not_touched() -> None:
    text = CondarcText(RECIPE)
    text.set_items("default_channels", ["https://n.example/pkgs/main", "https://m.example/anaconda/pkgs/r", "x"])
    text.set_pairs("custom_channels", {"pytorch": "https://n.example/cloud", "nvidia": "https://s.example/cloud"})
    assert text.data().decode() == RECIPE.decode().replace(
        "https://m.example/anaconda/pkgs/main ", "https://n.example/pkgs/main "
    ).replace("pkgs/r\n", "pkgs/r\n  - x\n").replace("  conda-forge: https://m.example/anaconda/cloud\n", "").replace(
        "'https://m.example/anaconda/cloud'\n", "'https://n.example/cloud'\n  nvidia: https://s.example/cloud\n"
    )


def test_a_key_taken_out_leaves_the_comments() -> None:
    text = CondarcText(RECIPE)
    text.remove("default_channels")
    assert "  # a line of its own\ncustom_channels" in text.data().decode()
    assert (text.line_of("custom_channels"), text.line_of("default_channels")) == (4, 0)


def test_line_ends_and_a_missing_final_newline_stay() -> None:
    text = CondarcText(b"channels:\r\n  - a\r\nssl_verify: false")
    text.set_items("channels", ["a", "b"])
    text.set_items("default_channels", ["c"])
    assert text.data() == b"channels:\r\n  - a\r\n  - b\r\nssl_verify: false\r\ndefault_channels:\r\n  - c"


def test_markers_are_seen_and_kept() -> None:
    text = CondarcText(b"channels: #!final\n  - a #!top\n")
    assert text.final("channels") and not text.final("default_channels")
    text.set_items("channels", ["b"])
    assert text.data() == b"channels: #!final\n  - b #!top\n"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"channels:\n- a\nnonsense\n", 3),
        (b"  channels: [a]\n", 1),
        (b"- a\n", 1),
        (b"channels: [a,\n  b]\n", 1),
        (b"channels: [a]\nchannels: [b]\n", 2),
        (b"{channels: [a]}\n", 1),
        (b"channels: [a]\n---\nchannels: [b]\n", 2),
        (b'x: "a\nb: c"\n', 1),
        (b"a: 1\rb: 2\n", 1),
        (b"a: \xff\n", 1),
        ("a: 1\u2028b: 2\n".encode(), 1),
    ],
)
def test_files_that_are_not_edited(data: bytes, line: int) -> None:
    with pytest.raises(NotUnderstood) as told:
        CondarcText(data)
    assert told.value.line == line


@pytest.mark.parametrize(
    "data",
    [
        b"channels:\n  - a: b\n", b"channels:\n  - [a]\n", b"channels: &x [a]\n", b"channels: *x\n",
        b"channels: {a: b}\n",
        b"channels:\n  - a\n    b\n", b"channels:\n  - a\n - b\n", b"channels: !!seq [a]\n", b"channels: [[a], b]\n",
        b"channels:\n  -\n  - a\n", b"channels: a\n", b'channels: ["\\u0061"]\n', b"channels:\n\t- a\n",
        b"channels:\n  - |\n    a\n",
    ],
)  # fmt: skip
def test_lists_that_are_not_edited_do_not_keep_the_rest_from_being(data: bytes) -> None:
    text = CondarcText(data)
    with pytest.raises(NotUnderstood):
        text.set_items("channels", ["z"])
    text.set_pairs("custom_channels", {"a": "https://b.example"})
    assert text.data().startswith(data)


@pytest.mark.parametrize(
    "data",
    [b"custom_channels: [a]\n", b"custom_channels:\n  a:\n    - b\n", b"custom_channels:\n  a: b\n   c: d\n",
     b"custom_channels:\n  a: b\n  a: c\n", b"custom_channels: {a: {b: c}}\n", b"custom_channels:\n  a:b\n"],
)  # fmt: skip
def test_maps_that_are_not_edited(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        CondarcText(data).set_pairs("custom_channels", {"a": "z"})


@given(st.binary(max_size=200) | st.text(alphabet="abc:-# \n\t[]{}'\",/\r", max_size=120).map(str.encode))
@settings(max_examples=500, deadline=None)
def test_no_file_breaks_the_reader(data: bytes) -> None:
    try:
        text = CondarcText(data)
    except NotUnderstood:
        return
    assert text.data() == data
    for key in text.keys:
        try:
            text.set_items(key, ["z"])
        except NotUnderstood:
            continue
        assert text.items(key) == ("z",)


def test_where_a_value_goes_on() -> None:
    assert goes_on("[a,") and goes_on("'a''") and not goes_on("'a''b'") and not goes_on('["a\\"]", b] # [')
