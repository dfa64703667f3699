"""edits/toml.py and edits/toml_scan.py: what is not edited keeps every byte, and the result means what it should."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.edits import toml
from envdoctor.edits.toml import CannotEdit, Document, NotToml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = """\
# about this file
title = 'one'  # a title
a.b = "two"

[[index]]  # mine
url = "https://a.example" # the url
default = true
[index.cache-control]
api = "max-age=1"

# the other
[[index]]
url = '''https://b.example'''

[last] # [[index]]
x = [
  1, # ]
  { y = "}", z = [ 2 ] },
]
when = 1979-05-27 07:32:00
"""


def written(text: str) -> Document:
    return Document(text.encode())


def test_values_keep_their_comments_and_quotes() -> None:
    document = written(TEXT)
    assert toml.set_value(document, ("title",), "new").text == TEXT.replace("'one'", "'new'")
    assert toml.set_value(document, ("title",), "it's").text == TEXT.replace("'one'", '"it\'s"')
    assert toml.set_value(document, ("a", "b"), 'say "x"\n').text == TEXT.replace('"two"', '"say \\"x\\"\\n"')
    assert toml.set_in_item(document, ("index",), 1, "url", "c").text == TEXT.replace("'''https://b.example'''", '"c"')


def test_an_entry_goes_with_the_tables_below_it_and_comments_stay() -> None:
    document = written(TEXT)
    start, end = TEXT.index("[[index]]"), TEXT.index("# the other")
    assert toml.remove_item(document, ("index",), 0).text == TEXT[:start] + TEXT[end:]
    start, end = TEXT.index("[[index]]\n"), TEXT.index("[last]")
    assert toml.remove_item(document, ("index",), 1).text == TEXT[:start] + TEXT[end:]


def test_a_value_goes_with_its_line() -> None:
    document = written(TEXT)
    assert toml.remove_value(document, ("title",)).text == TEXT.replace("title = 'one'  # a title\n", "")
    x = TEXT[TEXT.index("x = [") : TEXT.index("when")]
    assert toml.remove_value(document, ("last", "x")).text == TEXT.replace(x, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '[[index]]\nurl = "u"\ndefault = true\n'),
        ("x = 1", 'x = 1\n\n[[index]]\nurl = "u"\ndefault = true\n'),
        ("x = 1\r\n", 'x = 1\r\n\r\n[[index]]\r\nurl = "u"\r\ndefault = true\r\n'),
        ("x = 1\n\n", 'x = 1\n\n[[index]]\nurl = "u"\ndefault = true\n'),
        ("index = []", 'index = [{ url = "u", default = true }]'),
        ("index = [ { url = 'a' } ] # x", "index = [ { url = 'a' }, { url = \"u\", default = true } ] # x"),
        ("index = [\n  {url='a'}, # a\n]", "index = [\n  {url='a'},\n  { url = \"u\", default = true }, # a\n]"),
    ],
)
def test_an_entry_is_added_in_the_style_of_the_file(text: str, expected: str) -> None:
    assert toml.add_item(written(text), ("index",), {"url": "u", "default": True}).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'k = "u"\n'),
        ("# c\n[t]\n", 'k = "u"\n\n# c\n[t]\n'),
        ("x = [\n1]", 'x = [\n1]\nk = "u"\n'),
        ("x = 1 # c\n[t]", 'x = 1 # c\nk = "u"\n[t]'),
    ],
)
def test_a_key_is_added_before_the_first_table(text: str, expected: str) -> None:
    assert toml.add_root_value(written(text), "k", "u").text == expected


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [
        ("i = [{a=1}, {a=2} , {a=3},]", 0, "i = [{a=2} , {a=3},]"),
        ("i = [{a=1}, {a=2} , {a=3},]", 1, "i = [{a=1}, {a=3},]"),
        ("i = [{a=1}, {a=2} , {a=3},]", 2, "i = [{a=1}, {a=2},]"),
        ("i = [{a=1} # one\n, ] # end", 0, "i = [ ] # end"),
        ("t = { i = [{a=1}], b = 2 }", 0, "t = { i = [], b = 2 }"),
    ],
)
def test_an_entry_of_an_array_goes_with_its_comma(text: str, number: int, expected: str) -> None:
    path = ("t", "i") if text.startswith("t") else ("i",)
    assert toml.remove_item(written(text), path, number).text == expected


def test_a_value_of_an_inline_table_goes_with_its_comma() -> None:
    document = written("t = { a = 1, b.c = 'x' , d = 2 }\n")
    assert toml.remove_value(document, ("t", "a")).text == "t = { b.c = 'x' , d = 2 }\n"
    assert toml.remove_value(document, ("t", "b", "c")).text == "t = { a = 1, d = 2 }\n"
    assert toml.remove_value(document, ("t", "d")).text == "t = { a = 1, b.c = 'x' }\n"
    assert toml.remove_value(written("t = { a = 1 }"), ("t", "a")).text == "t = {  }"


def test_a_bom_stays() -> None:
    document = Document(b"\xef\xbb\xbfx = 'a'\r\n")
    assert toml.set_value(document, ("x",), "b").content() == b"\xef\xbb\xbfx = 'b'\r\n"


@pytest.mark.parametrize("content", [b"x = ", b"\xff", b"[a", b"x = 1\nx = 2", b"x = " + b"[" * 5000])
def test_what_is_no_toml_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(NotToml):
        Document(content)


def test_an_edit_that_would_do_something_else_is_refused() -> None:
    document = written("x = 1\ny = 2\n")
    with pytest.raises(CannotEdit, match="more than it should"):
        document.spliced([(0, 6, "")], lambda told: told.pop("y"))
    with pytest.raises(CannotEdit, match="break"):
        document.spliced([(0, 1, "=")], lambda told: None)
    with pytest.raises(CannotEdit, match="more than"):
        written("x = 1").spliced([(4, 5, "true")], lambda told: None)
    for edit in (toml.set_value,):
        with pytest.raises(CannotEdit):
            edit(document, ("z",), "v")
    with pytest.raises(CannotEdit):
        toml.remove_value(document, ("z",))
    with pytest.raises(CannotEdit):
        toml.set_in_item(written("[[i]]\na = 1"), ("i",), 0, "b", "v")


keys = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "_1"])
scalars = st.one_of(
    st.integers(-9, 99).map(str), st.sampled_from(["true", "1.5", "inf", "nan", "07:32:00", "1979-05-27T07:32:00Z"]),
    st.text(alphabet="ab#]}',=\\ \t", max_size=6).map(toml.quoted),
    st.text(alphabet='ab#]}",=\\ [', max_size=6).map(lambda text: f"'{text}'"),
    st.text(alphabet="ab#]\n'=[ ", max_size=6).map(lambda text: f'"""{text}"""'),
    st.text(alphabet='ab#]\n"=[\\ ', max_size=6).map(lambda text: f"'''{text}'''"),
)  # fmt: skip
spaces = st.sampled_from(["", " ", "\t"])
loose = st.sampled_from(["", " ", "\n", " # ]\n  "])


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(inner, max_size=3), loose, st.sampled_from(["", ","])).map(
        lambda told: (
            "[" + told[1] + (told[1] + "," + told[1]).join(told[0]) + (told[2] if told[0] else "") + told[1] + "]"
        )
    )


def inline_tables(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.dictionaries(keys, inner, max_size=3), spaces).map(
        lambda told: "{" + told[1] + ", ".join(f"{k}{told[1]}={told[1]}{v}" for k, v in told[0].items()) + "}"
    )


values = st.recursive(scalars, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=6)
lines = st.tuples(spaces, keys, spaces, values, st.sampled_from(["", " # c", "\t#"])).map(
    "{0[0]}{0[1]}{0[2]}={0[2]}{0[3]}{0[4]}".format
)
headers = st.sampled_from(["[t]", "[ t . u ]", "[[i]]", '[["i"]] # x', "[t.'u v']", "[i.below]", "# [no]", ""])
texts = st.tuples(st.lists(st.one_of(lines, headers), max_size=12), st.sampled_from(["\n", "\r\n"])).map(
    lambda told: told[1].join(told[0])
)


@settings(max_examples=300, deadline=None)
@given(texts, st.data())
def test_every_value_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    try:
        document = written(text)
    except NotToml:
        return
    assert document.content() == text.encode()
    for path, pair in document.pairs():
        expected = toml.within(document.value, path)
        assert repr(document.value_of(pair)) == repr(expected)
        edited = toml.set_value(document, path, "new")
        assert edited.text == text[: pair.value.start] + edited.text[pair.value.start :]
        assert toml.within(edited.value, path) == "new"
        assert edited.text.endswith(text[pair.value.end :])
        if path != ("i",):
            assert path not in dict(toml.remove_value(document, path).pairs())
    before: list[Any] = document.value.get("i", []) if isinstance(document.value.get("i"), list) else []
    items = document.items(("i",))
    if not isinstance(document.value.get("i"), dict) and all(isinstance(one, dict) for one in before):
        assert len(items) == len(before)
        for number in range(len(items)):
            assert len(toml.remove_item(document, ("i",), number).items(("i",))) == len(before) - 1
        if "i" not in document.value or before:
            assert tomllib.loads(toml.add_item(document, ("i",), {"url": "u"}).text)["i"][-1] == {"url": "u"}
