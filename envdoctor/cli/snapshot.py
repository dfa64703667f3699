"""`envdoctor snapshot`: everything that was observed, to judge elsewhere or later with `check --from`."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envdoctor.cli import elsewhere, options
from envdoctor.cli.elsewhere import DockerOption, HostsOption, KubectlOption, SlurmOption
from envdoctor.cli.options import (
    Format,
    KeyOption,
    LangOption,
    OfflineOption,
    OutputOption,
    PortOption,
    PythonOption,
    QuickOption,
    QuietOption,
    TimeoutOption,
)
from envdoctor.errors import ExaminationError, UsageError

if TYPE_CHECKING:
    from envdoctor.cli.elsewhere import Elsewhere
    from envdoctor.cli.examine import Question
    from envdoctor.model import Language
    from envdoctor.redact import Redactor


def snapshot(
    python: PythonOption = "",
    output: OutputOption = None,
    quick: QuickOption = False,
    offline: OfflineOption = False,
    port: PortOption = 0,
    hosts: HostsOption = "",
    slurm: SlurmOption = False,
    docker: DockerOption = "",
    kubectl: KubectlOption = "",
    json: Annotated[bool, typer.Option("--json", help="A snapshot is JSON, with this and without.")] = False,
    lang: LangOption = None,
    quiet: QuietOption = False,
    timeout: TimeoutOption = 60.0,
    redact_key: KeyOption = None,
) -> int:
    """Write down everything that was observed, without judging it. Secrets and user names are replaced by hashes.

    Of several machines -o names a folder, which gets a file for each; `envdoctor check --from FOLDER` judges them.
    """
    from envdoctor.cli.examine import Question
    from envdoctor.cli.progress import Progress
    from envdoctor.snapshot import to_json
    from envdoctor.transport.target import choose

    others = elsewhere.Elsewhere(hosts, slurm, docker, kubectl)
    others.refuse()
    question = Question((), python, quick, offline, port, timeout, quiet)
    language = options.language(lang, Format.json if json else Format.text)
    if others:
        return _of_others(others, question, output, options.redactor(redact_key), language)
    options.refuse(output)
    redactor = options.redactor(redact_key)
    with Progress(language, timeout, quiet) as progress:
        taken = question.observe(choose(python), progress.record)
    options.write(_text(to_json(taken), redactor), output)
    return 0


def _text(document: dict[str, Any], redactor: Redactor) -> str:
    redactor.learn(document)
    from envdoctor.snapshot import redacted

    return json_module.dumps(redacted(document, redactor), indent=1) + "\n"


def _of_others(
    others: Elsewhere, question: Question, folder: Path | None, redactor: Redactor, language: Language
) -> int:
    from envdoctor.facts.reached import Reached
    from envdoctor.render.places import folded
    from envdoctor.snapshot import to_json

    route = others.route()
    names = [host.name for host in route.hosts]
    if folder is None:
        raise UsageError(
            f"{others.options[0]} writes a file for each machine: name a folder for them with -o FOLDER",
            f"{others.options[0]} 为每台机器写一个文件：请用 -o FOLDER 指定目录",
        )
    _refuse(folder)
    taken = elsewhere.snapshots(route, question, language)
    documents = [to_json(snapshot) for snapshot in taken]
    for document in documents:
        redactor.learn(document)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the folder {folder}: {error.strerror}; name another with -o",
            f"无法创建目录 {folder}：{error.strerror}；请用 -o 指定其他目录",
        ) from error
    files = [folder / _file(name, names[:number]) for number, name in enumerate(names)]
    _write(files, (_text(document, redactor) for document in documents))
    lost = [
        name
        for name, snapshot in zip(names, taken, strict=True)
        if isinstance(reached := snapshot.sections["reached"], Reached) and reached.hosts[0].outcome != "ok"
    ]
    if len(lost) == len(names):
        raise ExaminationError(
            f"none of {folded(names)} was examined; `envdoctor check --from {folder}` says why",
            f"{folded(names)} 均未能检查；原因见 `envdoctor check --from {folder}`",
        )
    if lost and not question.quiet:
        told = f"envdoctor: {folded(lost)} not examined to the end; `envdoctor check --from {folder}` says why\n"
        sys.stderr.write(told)
    return 0


def _write(files: Sequence[Path], texts: Iterable[str]) -> None:
    """Write all files or none: a folder with some of the machines would be judged as if it held all.

    Raises:
        EnvdoctorError: one cannot be written.
    """
    written: list[Path] = []
    try:
        for file, text in zip(files, texts, strict=True):
            options.write(text, file)
            written.append(file)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise


def _refuse(folder: Path) -> None:
    """Refuse, before anything is examined, a folder whose files would be judged together with the new ones."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is a file; name a folder with -o, which gets a file for each machine",
            f"{folder} 是文件；请用 -o 指定目录，其中为每台机器写一个文件",
        )
    if any(folder.glob("*.json")):
        raise UsageError(
            f"{folder} holds snapshots already, which would be judged with the new ones; name a new folder",
            f"{folder} 中已有快照，会与新快照一起判断；请指定新目录",
        )


def _file(name: str, before: list[str]) -> str:
    """The name of a machine's file: of the letters that every file system takes."""

    def plain(text: str) -> str:
        return "".join(letter if letter.isalnum() or letter in "-._@" else "_" for letter in text)

    times = [plain(other).lower() for other in before].count(plain(name).lower())
    return f"{plain(name)}{f'_{times + 1}' if times else ''}.json"
