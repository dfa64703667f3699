"""edits/ini.py: an option changes and nothing else does, as configparser reads the file before and after."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.edits import ini
from envdoctor.edits.ini import Unfit
from envdoctor.patient.ini import Fault, Item

URL = "https://new.example/simple"


def one(data: bytes, key: str, section: str = "global") -> Item:
    return next(item for item in ini.options(data) if (item.section, item.key) == (section, key))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[global]\nindex-url = a\n", b"[global]\nindex-url = NEW\n"),
        (b"[global]\nindex-url=a", b"[global]\nindex-url=NEW"),
        (b"[global]\r\nINDEX-URL: a\r\n# c\r\n", b"[global]\r\nINDEX-URL: NEW\r\n# c\r\n"),
        (b"[global]\n  index-url\t:a  \nx = 1\n", b"[global]\n  index-url\t:NEW\nx = 1\n"),
        (
            b"[global]\nindex-url =\n    a\n    # kept\n    b\nx = 1\n",
            b"[global]\nindex-url = NEW\n    # kept\nx = 1\n",
        ),
        (b"[global]\nindex-url = a\n\n    b\n\nx = 1\n", b"[global]\nindex-url = NEW\n\n\nx = 1\n"),
        (b"# caf\xe9\n[global]\nindex-url = a\n", b"# caf\xe9\n[global]\nindex-url = NEW\n"),
        ("# 日本\n[global]\nindex-url = a # c\n".encode(), "# 日本\n[global]\nindex-url = NEW\n".encode()),
        (b"[global]\rindex-url = a\rx = 1\r", b"[global]\rindex-url = NEW\rx = 1\r"),
    ],
)
def test_replaced(before: bytes, after: bytes) -> None:
    assert ini.replaced(before, one(before, "index-url"), URL) == after.replace(b"NEW", URL.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[global]\nindex-url = a\nx = 1\n", b"[global]\nx = 1\n"),
        (b"[global]\nx = 1\nindex-url = a", b"[global]\nx = 1"),
        (b"[global]\nindex-url =\n  a\n; c\n  b\n[list]\n", b"[global]\n; c\n[list]\n"),
        (b"[global]\r\nindex-url = a", b"[global]"),
    ],
)
def test_removed(before: bytes, after: bytes) -> None:
    assert ini.removed(before, one(before, "index-url")) == after


def test_words_are_taken_out_of_a_list_and_put_into_it() -> None:
    data = b"[global]\ntrusted-host =\n    a\n    # why b\n    b c\nx = 1\n"
    item = one(data, "trusted-host")
    assert ini.without_words(data, item, ["a"]) == b"[global]\ntrusted-host =\n    # why b\n    b c\nx = 1\n"
    assert ini.without_words(data, item, ["b"]) == b"[global]\ntrusted-host =\n    a\n    # why b\n    c\nx = 1\n"
    assert ini.without_words(data, item, ["a", "b", "c"]) == b"[global]\n    # why b\nx = 1\n"
    assert ini.with_word(data, item, "d") == data.replace(b"b c", b"b c d")
    assert ini.without_words(b"[g]\nk = a b a", one(b"[g]\nk = a b a", "k", "g"), ["a"]) == b"[g]\nk = b"
    assert ini.with_word(b"[g]\nk =\n", one(b"[g]\nk =\n", "k", "g"), "a") == b"[g]\nk = a\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"[global]\nk = v\n"),
        (b"[global]\n", b"[global]\nk = v\n"),
        (b"[global]\nx=1\n\n# next\n[list]\ny=1\n", b"[global]\nx=1\nk=v\n\n# next\n[list]\ny=1\n"),
        (b"[list]\ny: 1", b"[list]\ny: 1\n\n[global]\nk: v"),
        (b"[list]\r\ny = 1\r\n\r\n", b"[list]\r\ny = 1\r\n\r\n[global]\r\nk = v\r\n"),
        (b"[global]\n  x = 1\n [list]\n", b"[global]\n  x = 1\n  k = v\n [list]\n"),
        (b"[global]\n  [list]\nx = 1\n", b"[global]\n  k = v\n  [list]\nx = 1\n"),
        (b"# only a comment\n", b"# only a comment\n\n[global]\nk = v\n"),
    ],
)
def test_added(before: bytes, after: bytes) -> None:
    assert ini.added(before, "global", "k", "v") == after


def test_a_new_file_of_windows_has_its_line_ends() -> None:
    assert ini.added(b"", "global", "k", "v", end=b"\r\n") == b"[global]\r\nk = v\r\n"


def test_a_new_section_may_not_bring_the_defaults_into_effect() -> None:
    with pytest.raises(Unfit):
        ini.added(b"[DEFAULT]\nproxy = p\n", "global", "k", "v")


def test_a_default_changes_in_every_section() -> None:
    data = b"[DEFAULT]\nk = old\n[a]\n[b]\n"
    assert ini.replaced(data, one(data, "k", "a"), "new") == b"[DEFAULT]\nk = new\n[a]\n[b]\n"
    assert ini.removed(data, one(data, "k", "b")) == b"[DEFAULT]\n[a]\n[b]\n"


@pytest.mark.parametrize("value", ["old", "other"])
def test_what_is_removed_is_not_said_by_the_defaults_then(value: str) -> None:
    data = f"[global]\nk = old\n[DEFAULT]\nk = {value}\n".encode()
    own = next(item for item in ini.options(data) if item.line == 2)
    with pytest.raises(Unfit):
        ini.removed(data, own)


def test_comments_are_made_of_values() -> None:
    assert ini.commented(b"[g]\r\nk = a\r\n\r\n  b\r\n", 2, 4) == b"[g]\r\n# k = a\r\n\r\n#   b\r\n"


def parsed(data: bytes) -> dict[tuple[str, str], str]:
    parser = configparser.RawConfigParser()
    parser.read_string(ini.text_of(data).replace("\r\n", "\n").replace("\r", "\n"))
    return {(name, key): value for name in parser.sections() for key, value in parser[name].items()}


line = st.sampled_from(
    ["[global]", "[install]", "[DEFAULT]", " [list]", "index-url = a", "INDEX-URL=b", "  x : 1", "y", "k =", "k: 1",
     "    more", "\tmore", "# c", "   ; c", "", "  ", "z = 1 # c", "ü = ä", "  [odd", "= v", "find-links =", "m:"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(line, max_size=9), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.data())
def test_the_real_parser_sees_what_was_meant_and_no_more(
    lines: list[str], end: str, closed: bool, data: st.DataObject
) -> None:
    before = (end.join(lines) + (end if closed and lines else "")).encode()
    try:
        items = ini.options(before)
    except Fault:
        return
    was = parsed(before)
    section, key = data.draw(st.sampled_from([("global", "new"), ("install", "index-url"), ("list", "k")]))
    try:
        if (section, key) not in was:
            after = ini.added(before, section, key, URL)
            assert parsed(after) == {**was, (section, key): URL}
            assert set(before.splitlines()) <= set(after.splitlines()), "a line has changed"
        if items:
            item = data.draw(st.sampled_from(items))
            of_line = {(one.section, one.key) for one in items if one.line == item.line}
            now = parsed(ini.replaced(before, item, URL))
            assert now == {name: URL if name in of_line else value for name, value in was.items()}
            gone = parsed(ini.removed(before, item))
            assert gone == {name: value for name, value in was.items() if name not in of_line}
    except Unfit:
        # Refused where [DEFAULT] is about to say more, or to be said twice, than it did.
        assert "[DEFAULT]" in lines
