"""Options that several verbs share, and what they turn into."""

from __future__ import annotations

import enum
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from envdoctor.errors import EnvdoctorError, UsageError

if TYPE_CHECKING:
    from envdoctor.model import Language
    from envdoctor.redact import Redactor
    from envdoctor.render import Style


class Format(str, enum.Enum):
    text = "text"
    json = "json"
    github = "github"
    junit = "junit"
    markdown = "markdown"
    nagios = "nagios"
    prometheus = "prometheus"


class Lang(str, enum.Enum):
    en = "en"
    zh = "zh"


class Colour(str, enum.Enum):
    auto = "auto"
    always = "always"
    never = "never"


def _a_number(value: float) -> float:
    if value != value:  # not a number: no limit refuses it
        raise typer.BadParameter("nan is no number of seconds.")
    return value


def not_empty(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """Refuse `--hosts "$HOSTS"` where the variable is unset: without the option another machine would be examined.

    Raises:
        UsageError: the option was given, and nothing with it.
    """
    source = context.get_parameter_source(option.name or "")
    if value or source is None or source.name != "COMMANDLINE":
        return value
    name = option.opts[0]
    raise UsageError(
        f"{name} was given an empty word; name something, or leave the option out",
        f"{name} 的值为空；请给出内容，或去掉该选项",
    )


def _folder(given: str) -> Path:
    """A folder of code. Of an empty word pathlib would make the working directory, whose code nobody has asked for."""
    if not given:
        raise UsageError(
            "--checks was given an empty word; name a folder with check files, or leave the option out",
            "--checks 的值为空；请给出检查文件目录，或去掉该选项",
        )
    return Path(given)


PythonOption = Annotated[
    str,
    typer.Option(
        "--python",
        metavar="PATH|ENV",
        callback=not_empty,
        help="The Python to examine: an interpreter, a venv folder or a conda environment.",
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the report is written.")]
TextFormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        metavar="[text|json|github|junit|markdown]",
        help="How the report is written.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE instead of standard output.")
]
LangOption = Annotated[
    Lang | None, typer.Option("--lang", help="Language of the words; by default the locale's, in JSON English.")
]
ColourOption = Annotated[Colour, typer.Option("--color", help="Colour in the report.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Problems only.")]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="More: notes and why checks did not run; -vv also times.")
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="S",
        min=1.0,
        max=3600.0,
        callback=_a_number,
        help="Seconds the whole examination may take.",
    ),
]
QuickOption = Annotated[bool, typer.Option("--quick", help="No network, no import of torch, no pip or conda program.")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="No network.")]
PortOption = Annotated[
    int,
    typer.Option("--port", metavar="N", min=0, max=65535, help="The rendezvous port; else MASTER_PORT, else 29500."),
]
ChecksOption = Annotated[
    list[Path] | None,
    typer.Option("--checks", metavar="DIR", parser=_folder, help="Also load the check files of DIR. They are code."),
]
LogOption = Annotated[
    list[Path] | None,
    typer.Option("--log", metavar="FILE", help="Judge this machine together with the log of a run on it; - is stdin."),
]
KeyOption = Annotated[
    Path | None, typer.Option("--redact-key", metavar="FILE", help="Key of the hashes that replace secrets and names.")
]


def language(lang: Lang | None, form: Format) -> Language:
    """--lang, else for JSON English, else the locale's."""
    if lang is not None:
        return "zh" if lang is Lang.zh else "en"
    if form is Format.json:
        return "en"
    told = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "zh" if told.lower().startswith("zh") else "en"


def style(form: Format, lang: Lang | None, colour: Colour, quiet: bool, verbose: int, to_file: bool) -> Style:
    """How the report is to look on the stream it goes to."""
    import shutil

    from envdoctor.render import Style

    # mpirun gives each process a terminal of its own, whatever its own output is.
    terminal = not to_file and sys.stdout.isatty() and "OMPI_COMM_WORLD_RANK" not in os.environ
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    encoding = "utf-8" if to_file else (sys.stdout.encoding or "ascii")
    return Style(
        language=language(lang, form),
        verbosity=-1 if quiet else min(verbose, 2),
        colour=colour is Colour.always or (colour is Colour.auto and terminal and not plain),
        unicode=encoding.lower().replace("-", "").startswith("utf"),
        width=shutil.get_terminal_size().columns if terminal else 0,
    )


def refuse_plugin(form: Format) -> None:
    """Refuse the formats of monitoring where no machine is looked at.

    Raises:
        UsageError: it is one of these.
    """
    if form in (Format.nagios, Format.prometheus):
        raise UsageError(
            f"--format {form.value} is for monitoring: `envdoctor check --format {form.value}`",
            f"--format {form.value} 用于监控：`envdoctor check --format {form.value}`",
        )


def redactor(key: Path | None) -> Redactor:
    """The redactor of this run.

    Raises:
        UsageError: the key file cannot be read or is too short to keep values from being guessed.
    """
    from envdoctor.redact import Redactor

    if key is None:
        return Redactor.of_this_user()
    try:
        data = key.read_bytes().strip()
    except OSError as error:
        raise UsageError(
            f"--redact-key {key}: {error.strerror}; make one with `openssl rand -hex 32 > {key}`",
            f"--redact-key {key}：{error.strerror}；可用 `openssl rand -hex 32 > {key}` 生成",
        ) from error
    if len(data) < 16:
        raise UsageError(
            f"--redact-key {key} holds {len(data)} bytes; a key needs 16 or more: `openssl rand -hex 32 > {key}`",
            f"--redact-key {key} 只有 {len(data)} 字节，密钥至少要 16 字节：`openssl rand -hex 32 > {key}`",
        )
    return Redactor.of_this_user(data)


def refuse(output: Path | None, option: str = "-o") -> None:
    """Refuse, before anything is examined, an output that cannot be written in the end.

    Raises:
        UsageError: its folder does not exist, nor the working directory it is relative to, or it is a folder itself.
    """
    if output is None:
        return
    if os.path.isdir(output):
        raise UsageError(
            f"{option} {output} is a folder; name a file in it", f"{option} {output} 是目录，请指定其中的文件"
        )
    if not os.path.isdir(_place(output, option).parent):
        raise UsageError(
            f"{option} {output}: there is no folder {output.parent}; make it with `mkdir -p {output.parent}`",
            f"{option} {output}：目录 {output.parent} 不存在，可用 `mkdir -p {output.parent}` 创建",
        )


def _place(output: Path, option: str) -> Path:
    """Where an output goes. Raises UsageError where the working directory that it is relative to is gone."""
    try:
        return Path(os.path.realpath(output))
    except OSError:
        raise UsageError(
            f"{option} {output}: the working directory is gone; `cd` into one that is there, or name an absolute path",
            f"{option} {output}：当前工作目录已被删除；请先 `cd` 到存在的目录，或使用绝对路径",
        ) from None


def write(document: str, output: Path | None) -> None:
    """Write a document to standard output or, whole or not at all, to a file.

    A link stays one, a device or pipe is written to, and a file that is there keeps its mode.

    Raises:
        EnvdoctorError: the file cannot be written.
    """
    if output is None:
        _write_all(sys.stdout, document)
        return
    place = _place(output, "-o")
    try:
        if os.path.lexists(place) and not place.is_file():
            with place.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(document)
        else:
            _replace(place, document)
    except OSError as error:
        raise EnvdoctorError(
            f"cannot write {output}: {error.strerror}; nothing was changed there",
            f"无法写入 {output}：{error.strerror}；原有内容未改动",
        ) from error


def _replace(place: Path, document: str) -> None:
    import tempfile

    name = ""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", dir=place.parent, prefix=f".{place.name[:60]}.",
            delete=False,
        ) as file:  # fmt: skip
            name = file.name
            file.write(document)
        # As any new file would have it, not the 0600 of temporary ones.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, place.stat().st_mode & 0o7777 if place.exists() else 0o666 & ~mask)
        os.replace(name, place)
    except BaseException:
        if name:
            Path(name).unlink(missing_ok=True)
        raise


def _write_all(stream: TextIO, document: str) -> None:
    # A stream that cannot show a character shows its code: the report is never lost to an encoding.
    encoding = stream.encoding or "ascii"
    stream.write(document.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
