"""A fuzzer over every reader of texts: `python -m tests.fuzz.readers [--seconds 60] [--corpus DIR]`.

The hour before a release: `python -m tests.fuzz.readers --seconds 3600`. It is guided by coverage and starts from the
examples of the signature catalogue and the texts in the tests of the readers. What counts as a fault: an exception,
more than `LIMIT_S` of CPU time for one text, time that grows faster than a text that is repeated, a gigabyte of memory;
atheris then writes the text to `crash-*` or `timeout-*` in the corpus' folder and ends with an error.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import sys
import tempfile
import time
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["envdoctor.readers", "envdoctor.texts", "envdoctor.sighted"]):
    from envdoctor import engine, load, readers, texts
    from envdoctor.errors import UsageError
    from envdoctor.judgement import judge
    from envdoctor.knowledge import signatures
    from envdoctor.readers import registry, scan

    # Readers and rules are loaded by name when a text asks for them: what is to be traced is imported here, all of it.
    for found in pkgutil.walk_packages(readers.__path__, "envdoctor.readers."):
        importlib.import_module(found.name)

LIMIT_S = 5.0  # CPU time of one text: other programs on the machine are no fault of a reader
HANGS_S = 600  # time on the clock after which atheris ends a text that does not come back
JUDGED_ONE_IN = 4  # judging takes ten times as long as reading
GROWN_ONE_IN = 64  # a text that is repeated until it is large
GROWN = 1 << 16  # bytes
LARGEST = 20_000  # bytes of a text
SUFFIXES = (".log", ".py", ".sh", ".sbatch")
LOADED = load.load([load.bundled()])
PREFIXES = ("", "[rank3]: ", "node7:12:345 [2] ", "[pod/a/b] ", "3: ", "(Worker pid=3, ip=10.0.0.1) ")
TESTS = Path(__file__).parent.parent / "readers"
SHORTEST_SEED = 12


def seed(folder: Path) -> None:
    """One file for each example of the catalogue, under varying prefixes, and for each text in the readers' tests."""
    for number, row in enumerate(signatures.rows()):
        prefix = PREFIXES[number % len(PREFIXES)]
        text = "\n".join(prefix + line for example in row.example for line in example.splitlines())
        (folder / f"seed-{row.id}").write_bytes(b"\0" + text.encode())
    for path in sorted(TESTS.glob("test_*.py")):
        kind = 1 if path.stem == "test_script" else 3 if path.stem == "test_sbatch" else 0
        told = [node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant)]
        long = [text for text in told if isinstance(text, str) and len(text) >= SHORTEST_SEED]
        for number, text in enumerate(long):
            (folder / f"seed-{path.stem}-{number}").write_bytes(bytes([kind]) + text.encode("utf-8", "replace"))
    for path in sorted((TESTS / "pasted").rglob("*")):
        if path.is_file():
            (folder / f"seed-pasted-{path.name}").write_bytes(b"\0" + path.read_bytes()[: LARGEST - 1])


def dictionary(path: Path) -> None:
    """The literals of the readers, as libFuzzer's words: a mutation is unlikely to hit upon one."""
    words = {needle for reader in registry.readers() for needle in reader.needles()}
    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in sorted(words) if len(word) < 64)
    path.write_text("".join(f'"{word}"\n' for word in quoted))


def one_text(place: Path, data: bytes) -> None:
    """Read a text and judge it; raises what a reader or a check raises, and AssertionError where it takes too long."""
    # The first byte chooses the name, which decides whether a text is a script or a log.
    path = place.with_suffix(SUFFIXES[data[0] % len(SUFFIXES) if data else 0])
    text = data[1:]
    began = time.process_time()
    path.write_bytes(text)
    try:
        reading = scan.read([str(path)])
    except UsageError:
        return  # what begins like a packed file and is none
    if data.count(b"\n") % JUDGED_ONE_IN == 0:
        report = judge([texts.snapshot(reading)], LOADED)
        for outcome in report.with_status("crashed"):
            raise AssertionError(outcome.traceback)
        engine.needs.cache_clear()  # knows every check that was ever judged by, and a judgement makes its own
    assert time.process_time() - began < LIMIT_S, f"{time.process_time() - began:.1f} s of CPU time"
    if text and zlib.crc32(data) % GROWN_ONE_IN == 0:
        grown(path, text if zlib.crc32(data) % (2 * GROWN_ONE_IN) else text.replace(b"\n", b" "))


def grown(path: Path, text: bytes) -> None:
    """Read the text repeated, and twice and four times as often: time may grow as the text does."""
    took = []
    for size in (GROWN // 4, GROWN // 2, GROWN):
        path.write_bytes((text * (size // len(text) + 1))[:size])
        began = time.process_time()
        try:
            scan.read([str(path)])
        except UsageError:
            return
        took.append(time.process_time() - began)
    quick, _, slow = took
    assert slow < 1 or slow < 9 * quick, f"{quick:.2f} s for {GROWN // 4} bytes, {slow:.2f} s for {GROWN}"
    assert slow < 2 * LIMIT_S, f"{slow:.1f} s for {GROWN} bytes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="keep what was found interesting here, and start from it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        corpus = options.corpus or Path(own, "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        seed(corpus)
        dictionary(Path(own, "words"))
        place = Path(own, "text")
        arguments = [
            sys.argv[0], str(corpus), f"-max_total_time={options.seconds}", f"-max_len={LARGEST}",
            f"-timeout={HANGS_S}", "-rss_limit_mb=1024", f"-artifact_prefix={corpus}/", "-print_final_stats=1",
            f"-dict={Path(own, 'words')}",
        ]  # fmt: skip
        atheris.Setup(arguments, lambda data: one_text(place, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
