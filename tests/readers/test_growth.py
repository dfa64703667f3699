"""No reader takes more than its share of time for a longer text, whatever is in it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import pytest

from envdoctor.readers import lines, registry, scan
from envdoctor.readers.lines import LONGEST

SIZES = (1 << 14, 1 << 16)  # bytes, the second four times the first
QUICK_S = 0.4  # what takes less proves nothing: a rule that is quadratic takes longer
SHORT_ONE_IN = 6  # fillers
GROWTH = 10.0  # four times the text; sixteen where time grows with the square
# What the expressions of readers repeat, at their beginnings, in their middles and at their ends.
FILLERS = (
    " ", "\t", "0", "a", "a.", "a=", "a,", "(", "[", "{", '"', "'", "\\", "/", ":", "-", "--a", "--a=", "=", "|",
    "| ", " |a", "1.", "1:", "0x", "#", "%", "$", "${", "$(", "<", "a b ", "\\n", "[1] ", "a-", "..", "é", "�",
)  # fmt: skip
READERS = tuple(name.partition(":")[2] for name in registry.READERS)


def seconds(shape: str, reader: str, size: int) -> float:
    """CPU time that one reader takes for a text of lines of one shape."""
    one = next(made for made in registry.readers() if type(made).__name__ == reader)
    data = (shape * (size // len(shape) + 1)).encode()
    scanned = scan._Scan([one])
    began = time.process_time()
    scanned.run("train.log", (data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)))
    one.facts(), one.sightings(), one.places()
    return time.process_time() - began


def shapes(needles: list[str]) -> Iterator[str]:
    """Lines: each literal before, within and after many of each filler, on a long line and on short ones."""
    for number, filler in enumerate(FILLERS):
        needle = needles[number % len(needles)]
        half = filler * (LONGEST // 2 // len(filler))
        yield f"{needle}{half}{needle}{half}\n"
        if number % SHORT_ONE_IN == 0:
            yield f"[rank1]: {needle}{filler * 3}\n{filler}\n"


def assert_grows_with_the_text(take: Callable[[int], float], what: str) -> None:
    """`take` tells the seconds for a size."""
    slow = take(SIZES[1])
    if slow > QUICK_S:
        slow = min(slow, take(SIZES[1]))
        quick = min(take(SIZES[0]), take(SIZES[0]))
        assert slow < GROWTH * quick, f"{what}: {quick:.2f} s for {SIZES[0]} bytes, {slow:.2f} s for {SIZES[1]}"


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_takes_time_in_proportion_to_the_text(reader: str) -> None:
    one = next(made for made in registry.readers() if type(made).__name__ == reader)
    # Of the catalogue, whose patterns have a test of their own, some; of the others all that they look for.
    needles = sorted(one.needles())[:: 1 + len(one.needles()) // 40]
    for shape in shapes(needles):
        take = functools.partial(seconds, shape, reader)
        assert_grows_with_the_text(take, repr(shape[:60]))


def test_prefixes_take_time_in_proportion_to_the_line() -> None:
    def take(size: int) -> float:
        began = time.process_time()
        for filler in (*FILLERS, "[rank0]: ", "[0]: ", "node1: ", "1: ", "[pod/a/b] ", "(a pid=1) ", "a:1:1 [0] "):
            for _ in range(20):
                lines.split((filler * (size // len(filler))).encode(), "train.log", 1)
        return time.process_time() - began

    assert_grows_with_the_text(take, "prefixes")


SCRIPTS: tuple[Callable[[int], str], ...] = (
    lambda size: "x = " + "(" * size,
    lambda size: "x = " + "-" * size + "1",
    lambda size: "x = a" + ".a" * size,
    lambda size: "x = a" + "()" * size,
    lambda size: "x = 1" + " + 1" * size,
    lambda size: "x = [" + "1, " * size + "]",
    lambda size: "".join(" " * (depth % 90) + "if x:\n" for depth in range(size // 20)) + " pass",
    lambda size: "def f(rank):\n    torch.cuda.set_device(rank)\n" * (size // 40),
    lambda size: "import torch\n" * (size // 13) + "dist.init_process_group('nccl')\n",
    lambda size: "x = f'" + "{a}" * (size // 3) + "'",
    lambda size: "# " + "a" * size + "\nimport torch",
    lambda size: "import torch\nx = '" + "\\n" * (size // 2) + "'",
    lambda size: "a" * size + " = torch",
    lambda size: "parser.add_argument('--local_rank')\n" * (size // 36),
)


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
@pytest.mark.parametrize("reader", range(len(registry.FILE_READERS)))
def test_a_script_takes_time_in_proportion_to_its_size(reader: int, number: int) -> None:
    def take(size: int) -> float:
        text = SCRIPTS[number](size)
        began = time.process_time()
        registry.file_readers()[reader].read("train.py", text)
        return time.process_time() - began

    assert_grows_with_the_text(take, repr(SCRIPTS[number](60)))
