"""Texts past the readers: whatever comes, nothing crashes, hangs or grows."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.errors import UsageError
from envdoctor.knowledge import signatures
from envdoctor.readers import registry, scan
from tests.readers.texts import codes, findings, read, read_all

SHM = "RuntimeError: DataLoader worker (pid 2718) is killed by signal: Bus error. It is possible that"
NEEDLES = sorted({needle for reader in registry.readers() for needle in reader.needles()})
EXAMPLES = [example for row in signatures.rows() for example in row.example]
PREFIXES = ["", "[rank3]: ", "node7:12:345 [2] ", "[pod/a/b] ", "3: ", "\x1b[31m", "(Worker pid=3) ", "│ "]
LINES = st.one_of(
    st.sampled_from(EXAMPLES),
    st.builds("".join, st.lists(st.one_of(st.sampled_from(NEEDLES), st.text(max_size=12)), max_size=6)),
    st.text(max_size=60),
)


@given(st.lists(st.builds(lambda prefix, line: prefix + line, st.sampled_from(PREFIXES), LINES), max_size=12))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_a_reader_or_a_check(lines: list[str]) -> None:
    said = findings("\n".join(lines))
    assert all(finding.severity for finding in said)


WORDS = [
    "#!/bin/bash\n#SBATCH ",
    "--nodes=2\n",
    "import torch\n",
    "torch.cuda.set_device(",
    "rank)\n",
    "srun torchrun ",
    "def f(:\n",
    "\\\n",
]


@given(
    st.sampled_from(["train.py", "job.sbatch", "run.sh", "job"]),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=20)), max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_no_script_breaks_a_reader_or_a_check(name: str, words: list[str]) -> None:
    assert all(finding.severity for finding in findings("".join(words), name))


@given(st.binary(max_size=2000), st.sampled_from(["", *EXAMPLES]))
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_a_reader(data: bytes, example: str) -> None:
    try:
        assert read(data + example.encode() + data).log.size_bytes >= 0
    except UsageError as error:
        assert "cannot read" in str(error)  # what begins like a packed file and is none


@pytest.mark.parametrize("reader", registry.READERS)
def test_time_grows_with_the_text_and_no_faster(reader: str) -> None:
    one = next(made for made in registry.readers() if type(made).__name__ == reader.partition(":")[2])
    needles = list(one.needles()) or ["nothing"]

    def seconds(times: int) -> float:
        text = "".join(f"[rank{n % 8}]: {needles[n % len(needles)]} {'x' * 40}\n" for n in range(times))
        best = 9.0
        for _ in range(2):
            began = time.process_time()
            read(text)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(8000) < 12 * seconds(1000) + 0.5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends(encoding: str, end: str) -> None:
    text = end.join(["epoch 1 出错 é", "[rank1]: " + SHM, "done"])
    (seen,) = read(text.encode(encoding)).log.sightings
    assert (seen.code, seen.place.line, seen.place.rank) == ("shm-too-small", 2, 1)


def test_colours_and_progress_bars() -> None:
    text = f"\x1b[1m\x1b[31m{SHM[:40]}\x1b[0m{SHM[40:]}\n 50%|###\r 51%|###\r{SHM}\n"
    (seen,) = read(text).log.sightings
    assert seen.times == 2
    assert "\x1b" not in seen.quote and "51%" not in seen.quote


def test_what_a_chinese_windows_wrote_can_be_read() -> None:
    text = '[WinError 126] 找不到指定的模块。 Error loading "C:\\torch\\lib\\fbgemm.dll" or one of its dependencies.\n'
    (seen,) = read(text.encode("gb18030")).log.sightings
    assert "找不到指定的模块" in seen.quote


def test_several_files_are_one_text_and_each_quote_says_which() -> None:
    reading = read_all({"a.log": "fine\n" * 9, "b.log": "\n\n" + SHM})
    (seen,) = reading.log.sightings
    assert seen.place.file.endswith("b.log")
    assert seen.place.line == 3
    assert reading.log.lines == 12


def test_line_numbers_hold_across_pieces() -> None:
    text = ("x" * 99 + "\n") * 30_000 + SHM + "\n"
    (seen,) = read(text).log.sightings
    assert seen.place.line == 30_001


def test_an_endless_line_is_no_end_of_memory() -> None:
    assert read(b"a" * 3_000_000 + b"\n" + SHM.encode()).log.sightings[0].code == "shm-too-small"


def test_an_empty_text_tells_nothing() -> None:
    assert codes("") == {}
    assert read("").log.lines == 0


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="cannot read"):
        scan.read(["/nowhere/train.log"])
