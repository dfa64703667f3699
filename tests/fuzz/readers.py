"""A fuzzer over every reader of texts: `python -m tests.fuzz.readers [--seconds 60] [--corpus DIR]`.

The hour before a release: `python -m tests.fuzz.readers --seconds 3600`. It is guided by coverage and starts from the
examples of the signature catalogue. What counts as a fault: an exception, more than `LIMIT_S` for one text, a gigabyte
of memory; atheris then writes the text to `crash-*` or `timeout-*` in the corpus' folder and ends with an error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["envdoctor.readers", "envdoctor.texts", "envdoctor.sighted"]):
    from envdoctor import load, texts
    from envdoctor.errors import UsageError
    from envdoctor.judgement import judge
    from envdoctor.knowledge import signatures
    from envdoctor.readers import (  # noqa: F401
        collect_env,
        elastic,
        environment_dump,
        launch_lines,
        launch_parse,
        launch_rules,
        lines,
        nccl_log,
        needles,
        network_listing,
        nvidia_smi,
        package_lists,
        passage,
        registry,
        sbatch,
        scan,
        script,
        script_tree,
        sources,
        surroundings,
        ulimit,
        verdict,
    )

LIMIT_S = 5
JUDGED_ONE_IN = 4  # judging takes ten times as long as reading
LARGEST = 20_000  # bytes of a text
LOADED = load.load([load.bundled()])
PREFIXES = ("", "[rank3]: ", "node7:12:345 [2] ", "[pod/a/b] ", "3: ", "(Worker pid=3, ip=10.0.0.1) ")


def seed(folder: Path) -> None:
    """One file for each example of the catalogue, under varying prefixes."""
    for number, row in enumerate(signatures.rows()):
        prefix = PREFIXES[number % len(PREFIXES)]
        text = "\n".join(prefix + line for example in row.example for line in example.splitlines())
        (folder / f"seed-{row.id}").write_text(text, encoding="utf-8")


def one_text(place: Path, data: bytes) -> None:
    """Read a text and judge it; raises what a reader or a check raises."""
    # The first byte chooses the name, which decides whether a text is a script or a log.
    suffix = (".log", ".py", ".sh", ".sbatch")[data[0] % 4 if data else 0]
    path = place.with_suffix(suffix)
    path.write_bytes(data[1:])
    try:
        reading = scan.read([str(path)])
    except UsageError:
        return  # what begins like a packed file and is none
    if data.count(b"\n") % JUDGED_ONE_IN:
        return
    report = judge([texts.snapshot(reading)], LOADED)
    for outcome in report.with_status("crashed"):
        raise AssertionError(outcome.traceback)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="keep what was found interesting here, and start from it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        corpus = options.corpus or Path(own, "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        seed(corpus)
        place = Path(own, "text")
        arguments = [
            sys.argv[0], str(corpus), f"-max_total_time={options.seconds}", f"-max_len={LARGEST}",
            f"-timeout={LIMIT_S}", "-rss_limit_mb=1024", f"-artifact_prefix={corpus}/", "-print_final_stats=1",
        ]  # fmt: skip
        atheris.Setup(arguments, lambda data: one_text(place, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
