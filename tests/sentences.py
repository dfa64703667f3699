"""Every sentence of the program in both languages, as its sources hold them."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT

SOURCES = sorted([*(ROOT / "envdoctor").rglob("*.py"), *(ROOT / "checks").glob("*.py")])


@dataclass(frozen=True)
class Sentence:
    """A template in English and Chinese, as of `envdoctor.model.Text`; a language that is not there is empty."""

    place: str
    en: str
    zh: str


def template(node: ast.AST) -> str | None:
    """The text of a literal, an f-string's expressions as holes; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else _hole(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = template(node.left) or "{value}", template(node.right) or "{value}"
        return left + right
    return None


def _hole(part: ast.expr) -> str:
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return f"{{{value.id}}}" if isinstance(value, ast.Name) else "{value}"


def chinese(text: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


@functools.cache
def sentences() -> tuple[Sentence, ...]:
    """Every literal with a letter in it, paired where an English and a Chinese one stand side by side in a call or
    tuple, as in `Text("one", "一")`."""
    return tuple(found for path in SOURCES for found in _of(path))


def _of(path: Path) -> Iterator[Sentence]:
    name = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        within = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        for first, second in itertools.pairwise(within):
            en, zh = template(first), template(second)
            if en is not None and zh is not None and chinese(zh) and not chinese(en):
                yield Sentence(f"{name}:{first.lineno}", en, zh)
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            own = template(node)
            if own and chinese(own) and "(?" not in own:  # a pattern is no sentence
                yield Sentence(f"{name}:{node.lineno}", "", own)
