"""`envdoctor diff`: what two machines, or two groups of them, do not have in common."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli import options
from envdoctor.cli.options import (
    ChecksOption,
    Colour,
    ColourOption,
    Format,
    JsonOption,
    KeyOption,
    LangOption,
    OutputOption,
)

if TYPE_CHECKING:
    from envdoctor.difference import Side
    from envdoctor.load import Loaded
    from envdoctor.model import Language, Report
    from envdoctor.snapshot import Snapshot

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="What differs, without headings and totals.")]
VerboseOption = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Also what seldom matters or follows from the rest, and notes."),
]
SideArgument = Annotated[
    Path,
    typer.Argument(
        metavar="A",
        help="A snapshot, a folder of snapshots (a group of nodes), or a text that tells of a machine, such as the "
        "output of torch's collect_env; - is standard input.",
    ),
]


def diff(
    a: SideArgument,
    b: Annotated[Path, typer.Argument(metavar="B", help="The same of the other side, where it does not work.")],
    checks: ChecksOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    redact_key: KeyOption = None,
) -> int:
    """Say what differs between two machines or groups of machines, the likeliest reason first.

    Write the sides with `envdoctor snapshot -o FILE`. First come the problems that one side has and the other has not,
    then what training depends on. Names, addresses, times and the like are no differences.

    Exit code: 0 nothing differs, 1 something does, 2 wrong usage or a side that cannot be read.
    """
    options.refuse(output)
    style = options.style(Format.json if json else Format.text, lang, color, quiet, verbose, output is not None)
    redactor = options.redactor(redact_key)
    from envdoctor import load
    from envdoctor.difference import compare
    from envdoctor.errors import UsageError
    from envdoctor.model import Text
    from envdoctor.render import line
    from envdoctor.snapshot import told_by

    if str(a) == str(b) == "-":
        raise UsageError("- was given twice; standard input can be read once", "- 给出了两次，而标准输入只能读一次")
    loaded = load.everything(checks or [])
    sides = [_side(source, loaded, style.language, quiet) for source in (a, b)]
    for side in sides:
        for fact in told_by(side.snapshots):
            redactor.learn(fact)
    if not quiet and _same_place(a, b):
        said = Text("envdoctor: A and B are the same: {name}", "envdoctor：A 与 B 是同一个：{name}")
        sys.stderr.write(said.say(style.language, {"name": line(redactor.text(str(a)))}) + "\n")
    told = compare(*sides)
    if json:
        from envdoctor.render import difference_json

        options.write(difference_json.render(told, style, redactor), output)
    else:
        from envdoctor.render import difference as report

        options.write(report.render(told, style, redactor), output)
    return 0 if told.same else 1


def _same_place(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def _side(source: Path, loaded: Loaded, language: Language, quiet: bool) -> Side:
    """What a side tells, judged.

    Raises:
        UsageError: it cannot be read, or holds nothing that can be compared.
    """
    from dataclasses import replace

    from envdoctor import judgement
    from envdoctor.bench import spoken
    from envdoctor.cli import saved
    from envdoctor.difference import Side

    with _at_hand(source) as file:
        of_text = not os.path.isdir(file) and not _is_ours(file)
        snapshots = [_of_text(file, source, language, quiet)] if of_text else saved.read([file])
    report = judgement.judge(snapshots, spoken.of(loaded, snapshots))
    named = tuple(replace(one, node=node) for one, node in zip(snapshots, report.nodes, strict=True))
    return Side(str(source), named, report.findings, _judged(report), of_text)


def _judged(report: Report) -> frozenset[str]:
    """Codes that a fact of the machine was looked at for; that a text has no line about it says nothing."""
    from envdoctor import engine, facts

    of_texts = {facts.kind(name) for name in facts.OF_TEXTS}
    return frozenset(
        problem.code
        for outcome in report.with_status("ran")
        if not {need.fact for need in engine.needs(outcome.check.judge)} <= of_texts
        for problem in outcome.check.problems
    )


@contextlib.contextmanager
def _at_hand(source: Path) -> Iterator[Path]:
    """The source as something that can be looked at twice: standard input and pipes are put into a file.

    Raises:
        UsageError: more comes out of it than any snapshot holds.
    """
    piped = str(source) == "-" or (os.path.exists(source) and not os.path.isfile(source) and not os.path.isdir(source))
    if not piped:
        yield source
        return
    import tempfile

    from envdoctor.errors import UsageError
    from envdoctor.snapshot import LARGEST

    try:
        with sys.stdin.buffer if str(source) == "-" else source.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {source}: {error.strerror}", f"无法读取 {source}：{error.strerror}") from error
    if len(data) > LARGEST:
        raise UsageError(
            f"{source} is too large; no snapshot is larger than {LARGEST / 1e6:.0f} MB",
            f"{source} 过大；快照不会超过 {LARGEST / 1e6:.0f} MB",
        )
    with tempfile.TemporaryDirectory(prefix="envdoctor-") as folder:
        file = Path(folder) / "standard input"
        file.write_bytes(data)
        yield file


def _is_ours(file: Path) -> bool:
    """Whether it is meant for a document of ours, whole or not; what is wrong with one says whoever reads it."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4096).lstrip()
    except OSError:
        return True
    return head.startswith(b"{") and b"envdoctor" in head


def _of_text(file: Path, source: Path, language: Language, quiet: bool) -> Snapshot:
    """The machine that a text tells of.

    Raises:
        UsageError: it tells of none.
    """
    from envdoctor import facts, texts
    from envdoctor.cli.texts import read
    from envdoctor.errors import UsageError

    reading = read([str(file)], language, quiet)
    if not set(reading.sections) - set(facts.OF_TEXTS):
        raise UsageError(
            f"{source} is no snapshot and tells nothing of a machine; write one with `envdoctor snapshot -o FILE`, or "
            "give the output of `python -m torch.utils.collect_env`",
            f"{source} 不是快照，也没有机器的信息；请用 `envdoctor snapshot -o FILE` 写一个，或给出 "
            "`python -m torch.utils.collect_env` 的输出",
        )
    return texts.snapshot(reading)
