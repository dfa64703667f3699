"""`envdoctor explain`: everything there is to say about a problem, or what a text shows."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from envdoctor.cli import options
from envdoctor.cli.check import _names
from envdoctor.cli.options import (
    ChecksOption,
    Colour,
    ColourOption,
    Format,
    JsonOption,
    KeyOption,
    LangOption,
    OutputOption,
    QuietOption,
    TextFormatOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from envdoctor.load import Loaded
    from envdoctor.model import Language, Problem

END_OF_INPUT = "Ctrl-Z, Enter" if os.name == "nt" else "Ctrl-D"


def explain(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="CODE | FILE... | -",
            autocompletion=_names,
            help="A code from a report, such as driver-too-old; or logs, pasted reports, launch lines, sbatch files "
            "and training scripts; - is standard input.",
        ),
    ],
    checks: ChecksOption = None,
    form: TextFormatOption = Format.text,
    json: JsonOption = False,
    output: OutputOption = None,
    lang: LangOption = None,
    color: ColourOption = Colour.auto,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    redact_key: KeyOption = None,
) -> int:
    """Say what a problem is and how to mend it; or what a text shows: a log, a pasted report, a launch line, a script.

    A text is judged alone: it may come from another machine. `check --log FILE` judges this machine and its log
    together. Exit code: 0 nothing found, 1 the text shows a problem, 2 wrong usage, 3 the doctor could not do its job.
    """
    from envdoctor import load

    began = time.monotonic()
    form = Format.json if json else form
    options.refuse_plugin(form)
    options.refuse(output)
    style = options.style(form, lang, color, quiet, verbose, output is not None)
    loaded = load.everything(checks or [])
    if len(what) == 1 and not _is_text(what[0]):
        from envdoctor.render import explanation

        problem = _problem(what[0], loaded)
        topic, fixes = loaded.topic_of(problem.code), loaded.mending(problem.code)
        options.write(explanation.render(problem, topic, fixes, form is Format.json, style), output)
        return 0
    from envdoctor import judgement, render, texts
    from envdoctor.cli.check import FailOn, exit_code
    from envdoctor.cli.texts import read
    from envdoctor.errors import UsageError

    _refuse(what, loaded)
    if "-" in what and sys.stdin is not None and sys.stdin.isatty():
        _ask_for_a_paste(style.language)
    redactor = options.redactor(redact_key)
    reading = read(what, style.language, quiet)
    report = judgement.judge([texts.snapshot(reading)], loaded)
    report = replace(report, seconds=time.monotonic() - began, topics=())
    style = replace(style, notes=True)
    options.write(render.renderer(form.value).render(report, style, redactor), output)
    # What was not read may hold what was looked for.
    return exit_code(report, FailOn.warning) or (UsageError.exit_code if reading.unread else 0)


def _is_text(argument: str) -> bool:
    return argument == "-" or "/" in argument or os.path.lexists(argument)


def _problem(code: str, loaded: Loaded) -> Problem:
    from envdoctor.errors import UsageError
    from envdoctor.judgement import nearest

    # As `check` takes them, and as people type them from memory.
    problem = loaded.problems.get(code.replace("_", "-").lower())
    if problem is None and any(file.topic.name == code.lower() for file in loaded.files):
        raise UsageError(
            f"{code!r} is a topic; `envdoctor list {code.lower()}` shows its codes",
            f"{code!r} 是主题；其问题代码见 `envdoctor list {code.lower()}`",
        )
    if problem is None:
        raise UsageError(
            f"{code!r} is neither a file nor a finding code{nearest(code, loaded)}; `envdoctor list` shows all codes",
            f"{code!r} 既不是文件也不是问题代码{nearest(code, loaded, 'zh')}；全部代码见 `envdoctor list`",
        )
    return problem


def _refuse(what: list[str], loaded: Loaded) -> None:
    """Refuse arguments that cannot be read together.

    Raises:
        UsageError: one is no file, a folder, or standard input named twice.
    """
    from envdoctor.errors import UsageError
    from envdoctor.judgement import nearest

    for name in what:
        if not _is_text(name):
            if name in loaded.problems:
                raise UsageError(
                    f"{name!r} is a code: explain codes one at a time, and texts without codes",
                    f"{name!r} 是问题代码：一次只解释一个代码，且不能与文本混用",
                )
            raise UsageError(
                f"there is no file {name!r}{nearest(name, loaded)}; give the files that hold the text",
                f"没有文件 {name!r}{nearest(name, loaded, 'zh')}；请给出文本所在的文件",
            )
        if name != "-" and os.path.isdir(name):
            raise UsageError(
                f"{name} is a folder; name the files in it: `envdoctor explain {name.rstrip('/')}/*`",
                f"{name} 是目录；请给出其中的文件：`envdoctor explain {name.rstrip('/')}/*`",
            )
    if what.count("-") > 1:
        raise UsageError("- was given twice; standard input can be read once", "- 给出了两次，而标准输入只能读一次")


def _ask_for_a_paste(language: Language) -> None:
    from envdoctor.model import Text

    said = Text(
        "paste the text (a log, a traceback, a launch line, the output of nvidia-smi), then press Enter and {keys}",
        "请粘贴文本（日志、traceback、启动命令、nvidia-smi 的输出），然后按 Enter 和 {keys}",
    ).say(language, {"keys": END_OF_INPUT})
    print(f"envdoctor: {said}", file=sys.stderr)
