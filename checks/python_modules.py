"""Does a file of the user's hide a module that torch imports?"""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Iterable

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.autopsy import ImportAutopsy
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport

TOPIC = Topic("python", 61, Text("files that hide modules torch imports", "遮住 torch 所需模块的文件"))

SHADOWED = Problem(
    code="python-module-shadowed",
    severity=Severity.WARNING,
    title=Text(
        "{file} hides the module `{module}`, which torch imports", "{file} 遮住了 torch 要导入的模块 `{module}`"
    ),
    why=Text(
        "wherever `import {module}` is meant, this file is run: its contents decide what breaks, and when",
        "凡是 `import {module}` 的地方，运行的都是这个文件：何时出错、错在哪里取决于它的内容",
    ),
    seen=Text(
        "{files} ({place}, before the real module on sys.path)", "{files}（{place}，在 sys.path 中排在真正的模块之前）"
    ),
    command="mv {quoted} {renamed}",
    confirm="python -c 'import {module}; print({module}.__file__)'",
    situations={
        "breaks": Situation(
            title=Text(
                "{file} hides the module `{module}`, and `import torch` fails on it",
                "{file} 遮住了模块 `{module}`，导致 `import torch` 失败",
            ),
            seen=Text(
                "{files} ({place})\n`import torch` says: {error}", "{files}（{place}）\n`import torch` 报错：{error}"
            ),
            severity=Severity.ERROR,
        ),
        "unused": Situation(severity=Severity.NOTE),
    },
)


def module_of(file: str) -> str:
    """The module a file is imported as: "json" of /x/json.py and of /x/json/__init__.py."""
    name = os.path.basename(os.path.dirname(file) if os.path.basename(file).startswith("__init__.") else file)
    return name.partition(".")[0]


def _proof(files: Iterable[str], torch: TorchImport | Missing | None, autopsy: ImportAutopsy | None) -> str:
    """The first of the files that the failed import is shown to fail on, "" if none is."""
    said = ""
    if isinstance(torch, TorchImport) and torch.error:
        said = "\n".join((torch.message, *torch.trace))
    elif isinstance(torch, Missing) and torch.reason in ("crashed", "hung", "failed"):
        said = torch.detail
    if not said:
        return ""
    strays = torch.strays if isinstance(torch, TorchImport) else ()
    for file in files:
        # "module 'random' has no attribute 'choice'" names the module alone.
        if file in said or (file in strays and f"'{module_of(file)}'" in said):
            return file
    cure = autopsy.cure if autopsy else None
    if cure and cure.change in ("cwd", "PYTHONPATH"):
        return next((file for file in files if os.path.commonpath((file, cure.was.split(":")[0])) != "/"), "")
    return ""


def _failed(torch: TorchImport | Missing) -> bool:
    if isinstance(torch, Missing):
        return torch.reason in ("crashed", "hung") or torch.detail.startswith("ended with")
    return bool(torch.error)


@check(SHADOWED)
def python_module_shadowed(
    python: Python, torch: TorchImport | Missing, autopsy: ImportAutopsy | None
) -> Iterable[Finding]:
    """A file of the user's stands before a module that torch needs. What is torch itself is another matter."""
    strays = torch.strays if isinstance(torch, TorchImport) else ()
    files = [file for file in dict.fromkeys((*python.shadows, *strays)) if module_of(file) != "torch"]
    known = [file for file in files if file in python.shadows]
    guilty = _proof(files, torch, autopsy)
    # When the import fails for another reason, a file that is not shown to matter would only lead astray.
    if not guilty and (_failed(torch) or not known):
        return
    first = guilty or next((file for file in known if file in strays), known[0])
    home = os.path.dirname(first)
    if os.path.basename(first).startswith("__init__."):
        first, home = home, os.path.dirname(home)
    name = os.path.basename(first)
    error = ""
    if guilty:
        error = f"{torch.error}: {torch.message}" if isinstance(torch, TorchImport) else f"{torch.reason}"
    unused = not guilty and isinstance(torch, TorchImport) and not any(file in strays for file in known)
    yield SHADOWED.found(
        "breaks" if guilty else "unused" if unused else None,
        file=first, files=", ".join([guilty] if guilty else known), module=name.partition(".")[0],
        place="working directory" if python.path[:1] == (home,) else "PYTHONPATH", error=error.partition("\n")[0],
        quoted=shlex.quote(first), renamed=shlex.quote(os.path.join(home, "my_" + name)),
    )  # fmt: skip
