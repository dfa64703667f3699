"""Loads topic files by path, bundled and users' own alike, and collects the checks in them.

Loading by path is the one layout that works from a wheel, an editable install and a bare checkout at once. Nothing
is ever loaded from the working directory unasked: a check file is code.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from envdoctor.answering import answers
from envdoctor.errors import UsageError
from envdoctor.model import Check, Finding, Node, Problem, Summary, Text, Topic, TopicFile
from envdoctor.remedy import Fix

CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Loaded:
    """All topic files, in the order of the report, and the files that could not be loaded with the reason.

    `extra` are the folders that were given for this run alone.
    """

    files: tuple[TopicFile, ...]
    broken: dict[str, str]
    extra: tuple[Path, ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(check for file in self.files for check in file.checks)

    @property
    def problems(self) -> dict[str, Problem]:
        return {problem.code: problem for file in self.files for problem in file.problems}

    @property
    def fixes(self) -> dict[str, Fix]:
        return {fix.name: fix for file in self.files for fix in file.fixes}

    def mending(self, code: str) -> tuple[str, ...]:
        """The names of the fixes that mend a problem, where a command can."""
        return tuple(fix.name for file in self.files for fix in file.fixes if code in fix.mends)

    def carried(self, fix: str) -> tuple[str, ...]:
        """The options without which a fix of that name is not found: --checks of the folder it comes from."""
        homes = {Path(file.path).parent for file in self.files if any(own.name == fix for own in file.fixes)}
        return tuple(word for folder in self.extra if folder in homes for word in ("--checks", str(folder)))

    def explaining(self, code: str) -> tuple[str, ...]:
        """The options without which a problem is not known: --checks of the folder it comes from."""
        if not self.extra:
            return ()
        homes = {Path(file.path).parent for file in self.files if any(own.code == code for own in file.problems)}
        return tuple(word for folder in self.extra if folder in homes for word in ("--checks", str(folder)))

    def carrying(self, findings: Iterable[Finding], nodes: Sequence[Node]) -> tuple[Finding, ...]:
        """The findings with the options of this run that the commands about them need."""
        asked = len(nodes) == 1 and nodes[0].python_why == "asked"
        python = ("--python", nodes[0].python) if asked else ()
        explaining = functools.cache(self.explaining)  # thousands of nodes have the same few problems
        return tuple(
            replace(
                finding,
                carried=(*python, *self.carried(finding.fix[0])) if finding.fix else (),
                explained_with=explaining(finding.code),
            )
            if finding.fix or self.extra
            else finding
            for finding in findings
        )

    def topic_of(self, code: str) -> str:
        return next((file.topic.name for file in self.files for problem in file.problems if problem.code == code), "")


def bundled() -> Path:
    """Where the checks that come with envdoctor are: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent
    inside = package / "_checks"
    return inside if inside.is_dir() else package.parent / "checks"


def users_own() -> Path:
    """Where a user keeps checks of their own."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(os.path.expanduser(base)) / "envdoctor" / "checks"


def _readable(folder: Path) -> bool:
    # By the rights this process has now, which are not those of whoever started it under sudo or with capabilities.
    effective = os.access in os.supports_effective_ids
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK, effective_ids=effective)


def _module(path: Path, prefix: str) -> ModuleType:
    name = f"{prefix}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a path that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _topic_file(path: Path, prefix: str) -> TopicFile:
    module = _module(path, prefix)
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") != "typing"]
    about = ((module.__doc__ or "").strip().splitlines() or [""])[0]
    unnamed = Topic(path.stem.replace("_", "-"), about=Text(about, about))
    topic = next((value for value in own if isinstance(value, Topic)), unnamed)
    checks = tuple(replace(value, topic=topic.name) for value in own if isinstance(value, Check))
    problems = tuple(value for value in own if isinstance(value, Problem))
    known = {problem.code for problem in problems}
    for check in checks:
        if stray := [problem.code for problem in check.problems if problem.code not in known]:
            raise ValueError(f"{check.name} reports {', '.join(stray)}, which no Problem of the file declares")
    for problem in problems:
        if not CODE.fullmatch(problem.code):
            raise ValueError(f"the code {problem.code!r} is not kebab-case")
    line = next((value for value in own if isinstance(value, Summary)), None)
    fixes = tuple(replace(value, topic=topic.name) for value in own if isinstance(value, Fix))
    for fix in fixes:
        if not CODE.fullmatch(fix.name):
            raise ValueError(f"the name {fix.name!r} of a fix is not kebab-case")
    return TopicFile(topic, checks, problems, line, str(path), module, fixes)


def load(folders: Iterable[Path]) -> Loaded:
    """Load every `*.py` of the folders, later folders after earlier ones.

    A file that does not import, or that claims a code or topic already taken, is reported in `Loaded.broken` and the
    rest is loaded all the same.

    Raises:
        UsageError: a folder does not exist or cannot be read.
    """
    files: list[TopicFile] = []
    broken: dict[str, str] = {}
    codes: dict[str, str] = {}
    names: dict[str, str] = {}
    for number, folder in enumerate(folders):
        if not _readable(folder):
            raise UsageError(
                f"{folder} is no folder with check files; give --checks a folder that can be read",
                f"{folder} 不是检查文件目录；请为 --checks 指定可读的目录",
            )
        prefix = "envdoctor_checks" if number == 0 else f"envdoctor_checks_{number}"
        for path in sorted(folder.glob("*.py")):
            if path.name.startswith("_"):
                continue
            try:
                file = _topic_file(path, prefix)
                taken = [problem.code for problem in file.problems if problem.code in codes]
                if taken:
                    raise ValueError(f"the code {taken[0]} is already taken by {codes[taken[0]]}")
                if same := [fix.name for fix in file.fixes if fix.name in names]:
                    raise ValueError(f"the fix {same[0]} is already made by {names[same[0]]}")
            except (Exception, SystemExit) as error:
                broken[str(path)] = f"{type(error).__name__}: {error}"
                sys.modules.pop(f"{prefix}.{path.stem}", None)
                continue
            codes.update({problem.code: str(path) for problem in file.problems})
            names.update({fix.name: str(path) for fix in file.fixes})
            files.append(file)
    first: dict[str, int] = {}
    for file in files:
        first[file.topic.name] = min(file.topic.order, first.get(file.topic.name, file.topic.order))
    # Files that share a topic stand together.
    files.sort(key=lambda file: (first[file.topic.name], file.topic.name, file.topic.order))
    return Loaded(tuple(files), broken)


def everything(extra: Iterable[Path] = ()) -> Loaded:
    """The bundled checks, the user's own, those that installed packages offer, and those of `extra` folders."""
    own, extra = users_own(), tuple(extra)
    offered, broken = _from_packages()
    # Without a home folder `~` stays what it is: nothing is loaded from the working directory.
    there = own.is_absolute() and answers(own) and _readable(own)
    loaded = load([bundled(), *([own] if there else []), *offered, *extra])
    return replace(loaded, broken={**broken, **loaded.broken}, extra=extra)


def _from_packages() -> tuple[list[Path], dict[str, str]]:
    """Folders that installed packages offer under the entry point group `envdoctor.checks` (a module or a path), and
    entry points that lead nowhere: name -> error."""
    # importlib.metadata costs 35 ms; a directory listing that shows no such entry point costs one.
    if not any(_offers(Path(entry)) for entry in sys.path if entry):
        return [], {}
    from importlib.metadata import entry_points

    folders: list[Path] = []
    broken: dict[str, str] = {}
    for point in entry_points(group="envdoctor.checks"):
        try:
            spec = importlib.util.find_spec(point.value.partition(":")[0])
            found = [Path(location) for location in (spec.submodule_search_locations or [])] if spec else []
            if not found or not all(_readable(folder) for folder in found):
                raise ModuleNotFoundError(f"{point.value} is no folder of check files")
            folders += found
        except (Exception, SystemExit) as error:
            broken[f"entry point {point.name}"] = f"{type(error).__name__}: {error}"
    return folders, broken


def _offers(site: Path) -> bool:
    try:
        names = [name for name in os.listdir(site) if name.endswith(".dist-info")]
    except OSError:
        return False
    for name in names:
        try:
            if b"[envdoctor.checks]" in (site / name / "entry_points.txt").read_bytes():
                return True
        except OSError:
            continue
    return False
