"""checks/python.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import summaries
from envdoctor.facts.autopsy import ImportAutopsy, Trial
from envdoctor.facts.environment import Environment
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "python.py"
PLAIN = Python(
    executable="/usr/bin/python3", version="3.11.7", tag="cp311", prefix="/usr", base_prefix="/usr",
    ssl="OpenSSL 3.0.13",
    path=("/work", "/usr/lib/python3.11"),
)  # fmt: skip
VENV = replace(
    PLAIN, executable="/e/bin/python", prefix="/e", venv="/e", venv_version="3.11.7", venv_home="/usr/bin",
    venv_packages_of=("3.11",),
)  # fmt: skip
FINE = TorchImport(version="2.7.1", file="/e/torch/__init__.py")
NOTHING = Environment()


def broken(kind: str, about: str = "", said: str = "no", **more: object) -> Python:
    known: dict[str, object] = {"executable": "/e/bin/python", "failure": said, "failure_kind": kind}
    return replace(Python(), **known, failure_about=about, **more)  # type: ignore[arg-type]


CASES = [
    Case("a system Python", (PLAIN, FINE, NOTHING)),
    Case(
        "the venv that is active was removed",
        (broken("absent"), Environment({"VIRTUAL_ENV": "/e"})),
        {"python-does-not-start": "error"},
    ),
    Case("a venv", (VENV, FINE, NOTHING)),
    Case(
        "the base of the venv was removed",
        (broken("dangling", "/opt/py/bin/python3.9", venv="/e", venv_version="3.9.1"), NOTHING),
        {"venv-broken": "error"},
    ),
    Case(
        "the base lost its library",
        (broken("library", "libpython3.9.so.1.0", venv="/e", venv_packages_of=("3.9",)), NOTHING),
        {"venv-broken": "error"},
    ),
    Case("the base went from 3.10 to 3.12",
         (replace(VENV, version="3.12.3", venv_version="3.10.6", venv_packages_of=("3.10",)), NOTHING),
         {"venv-broken": "error"}),
    Case("a patch release of the base", (replace(VENV, version="3.11.9"), NOTHING)),
    Case("a venv that was refilled after the upgrade",
         (replace(VENV, version="3.12.3", venv_packages_of=("3.11", "3.12")), NOTHING)),
    Case("an empty venv after the upgrade", (replace(VENV, version="3.12.3", venv_packages_of=()), NOTHING)),
    *(
        Case(f"does not start: {kind}", (broken(kind, about), NOTHING), {"python-does-not-start": "error"})
        for kind, about in (
            ("absent", ""), ("dangling", "/gone"), ("denied", ""), ("foreign", "aarch64"), ("library", "libz.so.1"),
            ("stdlib", ""), ("too-old", ""), ("silent", "/e/sitecustomize.py:3"), ("hung", ""), ("stub", ""),
            ("other", ""),
        )
    ),
    Case("does not start: sitecustomize", (broken("startup", "/e/sitecustomize.py:3", "SystemExit: 4"), NOTHING),
         {"python-does-not-start": "error"}),
    Case("a start-up file prints", (PLAIN, replace(FINE, startup=("welcome",))), {"python-startup-noise": "note"}),
    Case("a start-up file raises",
         (PLAIN, replace(FINE, startup=("Error in sitecustomize; set PYTHONVERBOSE for traceback:", "OSError: no"))),
         {"python-startup-noise": "warning"}),
    Case("without ssl", (replace(PLAIN, ssl="", ssl_error="No module named '_ssl'"), NOTHING),
         {"python-ssl-missing": "error"}),
    Case("PYTHONHOME of another Python", (PLAIN, FINE, Environment({"PYTHONHOME": "/opt/py2"})),
         {"python-home-set": "warning"}),
    Case("PYTHONHOME keeps Python from starting",
         (PLAIN, Missing("torch-import", "failed", "ended with exit status 1\nNo module named 'encodings'"),
          Environment({"PYTHONHOME": "/opt/py2"})),
         {"python-home-set": "error"}),
    Case("a trial without PYTHONHOME works",
         (PLAIN, TorchImport(error="ModuleNotFoundError", missing_module="_struct"),
          ImportAutopsy((Trial("PYTHONHOME", "/opt", "env -u PYTHONHOME python", True),)),
          Environment({"PYTHONHOME": "/opt"})),
         {"python-home-set": "error"}),
    Case("programs of the venv run its own Python", (replace(VENV, scripts_python="/e/bin/python3.11"), NOTHING)),
    Case("programs of the venv run another one", (replace(VENV, scripts_python="/old/bin/python3.11"), NOTHING),
         {"venv-moved": "warning"}),
    Case("programs of the venv run none",
         (replace(VENV, scripts_python="/old/bin/python", scripts_python_exists=False), NOTHING),
         {"venv-moved": "error"}),
    Case("PYTHONHOME of this Python", (PLAIN, FINE, Environment({"PYTHONHOME": "/usr"}))),
    Case("PATH finds the active venv", (replace(VENV, on_path="/e/bin/python"), Environment({"VIRTUAL_ENV": "/e"}))),
    Case("PATH finds another Python",
         (replace(VENV, on_path="/usr/bin/python"), Environment({"VIRTUAL_ENV": "/e"})),
         {"environment-not-on-path": "note"}),
    Case("another Python was asked for",
         (replace(PLAIN, on_path="/e/bin/python"), Environment({"VIRTUAL_ENV": "/e"}))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_an_active_venv_that_was_removed_is_left() -> None:
    (finding,) = case("the venv that is active was removed").assert_holds(FILE)
    assert finding.command == "unset VIRTUAL_ENV"
    assert finding.words.title and "the active venv /e holds no Python" in finding.words.title.say(
        "en", finding.evidence
    )
    another = Case("", (broken("absent"), Environment({"VIRTUAL_ENV": "/e2"})), {"python-does-not-start": "error"})
    (finding,) = another.assert_holds(FILE)
    assert finding.command is None, "another venv is active, and --python named this one"


def test_the_venv_is_put_on_a_python_of_the_version_of_its_packages() -> None:
    (finding,) = case("the base lost its library").assert_holds(FILE)
    assert finding.command == "rm /e/bin/python* && python3.9 -m venv --upgrade /e"
    (finding,) = case("the base went from 3.10 to 3.12").assert_holds(FILE)
    assert finding.command == "rm /e/bin/python* && python3.10 -m venv --upgrade /e"


@pytest.mark.parametrize(
    ("python", "line"),
    [
        (PLAIN, "3.11.7 (cp311)"),
        (VENV, "3.11.7 (cp311) in the venv /e"),
        (replace(PLAIN, conda="/c"), "3.11.7 (cp311) in the conda environment /c"),
        (broken("other"), "/e/bin/python does not start"),
    ],
)
def test_summary(python: Python, line: str) -> None:
    (told,) = summaries.summarise([topic_file(FILE)], {"here": {Python: python}})
    assert told.text and told.text.say("en", told.values) == line
    assert told.text.say("zh", told.values)


def test_pyenv_and_conda_build_or_install_python_again() -> None:
    lost = {"python-ssl-missing": "error"}
    pyenv = replace(PLAIN, base_prefix="/home/u/.pyenv/versions/3.11.7", ssl_error="gone")
    (finding,) = Case("", (pyenv,), lost).assert_holds(FILE)
    assert finding.command == "pyenv install --force 3.11.7"
    (finding,) = Case("", (replace(PLAIN, conda="/c/envs/t", ssl_error="gone"),), lost).assert_holds(FILE)
    assert finding.command and finding.command.startswith("conda install -p /c/envs/t")
