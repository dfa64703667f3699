"""What every Chinese sentence keeps to: punctuation of full width, but for what is code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

from envdoctor import load
from tests import CHECKS, ROOT
from tests.punctuation import half_width
from tests.sentences import Sentence, sentences
from tests.test_every_problem import texts_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def wrong(found: Sentence) -> list[str]:
    return [found.zh[max(0, place - 12) : place + 12] for place in half_width(found.zh)]


@pytest.mark.parametrize(
    ("zh", "marks"),
    [
        ("驱动太旧,需要更新", ","),
        ("PCI:{pci}，驱动：{bound}", ":"),
        ("失败：{failed};行", ";"),
        ("{path}({use})：空闲", "()"),
        ("GPU {gpus}: {shown}，负载", ":"),
        ("可锁定内存 (ulimit -l)", "()"),
        ("执行 `a;b:c(d)`;之后", ";"),
        ("真的吗?", "?"),
        ("分片(FSDP、ZeRO)", "()"),
    ],
)
def test_half_width_marks_are_found(zh: str, marks: str) -> None:
    assert "".join(zh[place] for place in half_width(zh)) == marks


@pytest.mark.parametrize(
    "zh",
    [
        "`a,b;c:d(e)` 失败", "{file}:{line} 处", "{host}:{port} 无应答", "监听 [::]:{port} 与 0.0.0.0:{port}",
        "torch.cuda.is_available() 为 False", "getaddrinfo({name}) 返回：{error}", "调用 int(os.environ['LOCAL_RANK'])",
        "设置 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True", "形如 https://mirror.example/simple",
        "头文件 linux-$(uname -r)", "在 `x: [{{name: shm}}]` 中", "用时 {seconds:.1f} 秒",
    ],
)  # fmt: skip
def test_code_keeps_its_own(zh: str) -> None:
    assert half_width(zh) == []


def test_every_sentence_of_the_sources() -> None:
    assert len(sentences()) > 1000
    assert not {one.place: told for one in sentences() if (told := wrong(one))}


def test_every_problem() -> None:
    texts = [text for problem in load.load([CHECKS]).problems.values() for text in texts_of(problem)]
    assert len(texts) > 500
    assert not [text.zh for text in texts if half_width(text.zh)]


def test_every_table() -> None:
    tables = (ROOT / "envdoctor").rglob("*.toml")
    told = [(path.name, zh) for path in tables for zh in _chinese(path.read_text(encoding="utf-8"))]
    assert told
    assert not [(name, zh) for name, zh in told if half_width(zh)]


def _chinese(text: str) -> Iterator[str]:
    def strings(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from strings(each)
        elif isinstance(value, list):
            for each in value:
                yield from strings(each)

    return (each for each in strings(tomllib.loads(text)) if re.search("[\u4e00-\u9fff]", each) and "(?" not in each)
