"""How a run ends that brought no report: a sentence on standard error and, where JSON was asked for, a document."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from envdoctor.errors import EnvdoctorError, UsageError

if TYPE_CHECKING:
    from envdoctor.model import Language

BROKE = 3
INTERRUPTED = 130


class WrongUsage(UsageError):
    """Arguments that make no sense; typer has shown already what is wrong with them."""


def exit_code(error: BaseException, arguments: list[str]) -> int:
    """Say what ended the run and return its exit code."""
    code = INTERRUPTED
    form = _option(arguments, "--format")
    if isinstance(error, EnvdoctorError):
        code = error.exit_code
    elif isinstance(error, Exception):
        code = BROKE
    if form == "nagios":
        code = BROKE  # UNKNOWN: 2 would be CRITICAL, and no other code is a plugin's
    language = _language(arguments, form)
    said = _clean(_sentence(error, language))
    if not isinstance(error, WrongUsage):
        print(f"envdoctor{'：' if language == 'zh' else ': '}{said}", file=sys.stderr)
    if _is_bug(error) and any(argument.startswith("-vv") for argument in arguments):
        print(_clean("".join(traceback.format_exception(error))), file=sys.stderr)
    if "--json" in arguments or form in ("json", "nagios", "prometheus"):
        _write_document(said, code, "json" if "--json" in arguments else form, arguments)
    return code


def _is_bug(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, (EnvdoctorError, OSError))


def _language(arguments: list[str], form: str) -> Language:
    """The language of the report that did not come about."""
    from envdoctor.cli import options

    asked = _option(arguments, "--lang")
    told = options.Lang(asked) if asked in ("en", "zh") else None
    is_json = "--json" in arguments or form == "json"
    return options.language(told, options.Format.json if is_json else options.Format.text)


def _sentence(error: BaseException, language: Language) -> str:
    chinese = language == "zh"
    if isinstance(error, EnvdoctorError):
        return error.zh if chinese else str(error)
    if isinstance(error, OSError):
        return f"{error.filename or ('输出' if chinese else 'the output')}: {error.strerror or error}"
    if isinstance(error, KeyboardInterrupt):
        return "已中断" if chinese else "interrupted"
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({os.path.basename(place[0].filename)}:{place[0].lineno})" if place else ""
    if chinese:
        return f"这是 envdoctor 的缺陷：{type(error).__name__}（{error}）{where}；-vv 可看到回溯"
    return f"this is a bug in envdoctor: {type(error).__name__}: {error}{where}; -vv shows the traceback"


def _clean(text: str) -> str:
    """Without secrets and control characters: the words of other programs and of snapshots may be in it."""
    from envdoctor.redact import Redactor
    from envdoctor.render import clean

    return clean(Redactor.of_this_user().text(text))


def _option(arguments: list[str], *names: str) -> str:
    """The value an option was given; "" without it. The arguments may be such as typer refuses."""
    for place, argument in enumerate(arguments):
        for name in names:
            if argument == name:
                return arguments[place + 1] if place + 1 < len(arguments) else ""
            if argument.startswith(name + "="):
                return argument[len(name) + 1 :]
    return ""


def _write_document(said: str, code: int, form: str, arguments: list[str]) -> None:
    from envdoctor.cli import options

    output = _option(arguments, "-o", "--output")
    try:
        document = _document(said, code, form, [argument for argument in arguments if not argument.startswith("-")])
        options.write(document, Path(output) if output else None)
    except (OSError, EnvdoctorError):
        return  # the error may be that it cannot be written; standard error has said so


def _document(said: str, code: int, form: str, words: list[str]) -> str:
    verb, op = (*words[:2], "", "")[:2]
    if form == "nagios":
        from envdoctor.render import nagios

        return nagios.unknown(said)
    if form == "prometheus":
        from envdoctor.examination import MADE_BY, now
        from envdoctor.render import prometheus

        return prometheus.failure(MADE_BY, now())
    if verb == "fix":
        from envdoctor.render import fixes

        return fixes.failure(said, code)
    if verb == "bench" and op == "mirrors":
        from envdoctor.render import mirrors_json

        return mirrors_json.failure(said, code)
    if verb == "bench" and op in ("allreduce", "links"):
        from envdoctor.render import bench_json

        return bench_json.failure(op, said, code)
    if verb == "diff":
        from envdoctor.render import difference_json

        return difference_json.failure(said, code)
    from envdoctor.render import json_report

    return json_report.failure(said, code)
