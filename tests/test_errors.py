"""envdoctor/errors.py: what a user is told of a failure is told in both languages."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from envdoctor import errors
from tests import ROOT
from tests.sentences import SOURCES, template

NAMES = {name for name, kind in vars(errors).items() if isinstance(kind, type)}


def unsaid(source: str) -> Iterator[tuple[int, str]]:
    """Line and English of each error in a source that is raised with a sentence, and without its Chinese."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in NAMES:
            continue
        given = [*node.args, *(one.value for one in node.keywords)]
        said = [template(one) or "" for one in given]
        # What is no literal was put together elsewhere, in both languages; a Chinese colon makes a sentence Chinese.
        if said[:1] != [""] and all(one and one.isascii() for one in said[1:]):
            yield node.lineno, said[0]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise UsageError('a')", ["a"]),
        ("raise UsageError(f'a {b}') from c", ["a {b}"]),
        ("raise UsageError('a', '甲')", []),
        ("raise Changed('a', 'b', 'c', 'd', f'甲 {b}')", []),
        ("raise Changed('a', 'b', 'c', 'd')", ["a"]),
        ("raise UsageError(str(error), error.zh)", []),
        ("raise ValueError('a')", []),
    ],
)
def test_an_error_without_chinese_is_found(source: str, found: list[str]) -> None:
    assert [said for _, said in unsaid(source)] == found


def test_every_error_is_said_in_chinese() -> None:
    told = [
        f"{path.relative_to(ROOT)}:{line}: {said}"
        for path in SOURCES
        for line, said in unsaid(path.read_text(encoding="utf-8"))
    ]
    assert not told, "\n".join(told)
