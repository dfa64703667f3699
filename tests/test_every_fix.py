"""What holds for every fix: words in both languages, documented options, codes that exist, findings that lead to it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envdoctor import engine, load, mending
from envdoctor.cli import fix as cli
from envdoctor.cli import fix_options
from envdoctor.facts.asked import Asked
from envdoctor.facts.index import AskedPlaces
from envdoctor.model import Finding, Text
from envdoctor.patient.sections import SECTIONS
from envdoctor.remedy import Files, Fix, Plan
from envdoctor.testing import checks_of as checks_of_file
from envdoctor.testing import findings
from tests import CHECKS

LOADED = load.load([CHECKS])
FIXES = [pytest.param(fix, id=fix.name) for fix in LOADED.fixes.values()]
KINDS = (bool, str, int, tuple[str, ...])
# What --help of the verb explains and typer takes before a fix sees it.
COMMON = {name for name in inspect.signature(cli.fix).parameters if name not in ("context", "name", "show_list")} | {
    "list", "help", "output", "color",
}  # fmt: skip

NETWORK = {
    problem.code for check in LOADED.checks for problem in check.problems
    if {mending._names().get(need.fact) for need in engine.needs(check.judge)}
    & {section.name for section in SECTIONS if section.network}
}  # fmt: skip


def assert_both_languages(text: Text) -> None:
    assert text.en.strip() and text.zh.strip()
    assert re.search("[\u4e00-\u9fff]", text.zh), f"no Chinese in {text.zh!r}"
    assert not re.search("[\u4e00-\u9fff]", text.en), f"Chinese in {text.en!r}"
    assert not text.en.endswith(".") and not text.zh.endswith("。")


@pytest.mark.parametrize("fix", FIXES)
def test_speaks_both_languages(fix: Fix) -> None:
    assert_both_languages(fix.about)
    for option in fix.options.values():
        assert_both_languages(option.help)


@pytest.mark.parametrize("fix", FIXES)
def test_names_codes_that_exist(fix: Fix) -> None:
    assert load.CODE.fullmatch(fix.name)
    assert fix.name not in LOADED.problems, "a fix and a code of one name could not be told apart"
    unknown = {*fix.mends, *fix.watches} - set(LOADED.problems)
    assert not unknown
    assert not set(fix.mends) & set(fix.watches), "what it mends is watched anyway"


@pytest.mark.parametrize("fix", FIXES)
def test_documents_each_option_once(fix: Fix) -> None:
    parameters = mending.parameters(fix)
    assert set(parameters) == set(fix.options)
    assert not set(parameters) & COMMON, "the verb has an option of that name"
    for name, one in parameters.items():
        assert one.annotation in KINDS, f"{name} is {one.annotation}"
        assert one.default is not inspect.Parameter.empty, f"{name} has no default"
        assert isinstance(one.default, tuple if one.annotation == tuple[str, ...] else one.annotation)


@pytest.mark.parametrize("fix", FIXES)
def test_asks_for_facts_that_can_be_had(fix: Fix) -> None:
    observable = {section.name for section in SECTIONS}
    own: list[Callable[..., Any]] = [one for one in (fix.make, fix.asks, fix.verify) if one is not None]
    for function in own:
        for need in engine.needs(function):
            known = mending._names().get(need.fact) or re.sub(r"\B([A-Z])", r"-\1", need.fact.__name__).lower()
            measured = {option.measures for option in fix.options.values()}
            assert need.fact in (Files, Plan, Asked, AskedPlaces) or known in {*observable, *measured}, need
    assert fix.verify is None or engine.needs(fix.verify)[0].fact is Plan
    for name in (one.__name__ for one in own if one is not fix.verify):
        assert name  # a lambda would have no place in a traceback
    assert fix.asks is None or any(need.fact is AskedPlaces for need in engine.needs(fix.make))


@pytest.mark.parametrize("fix", FIXES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_its_help_shows_every_option(fix: Fix, language: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fix_options.show_help(fix, language)
    told = capsys.readouterr().out
    for name, option in fix.options.items():
        flag = option.metavar if option.argument else f"--{name.replace('_', '-')}"
        assert flag in told
    assert fix.about.say(language)[:20] in told


def found_by_cases() -> Iterator[tuple[str, Finding]]:
    """Every finding of every case of every check file that an automatic fix is to mend."""
    for file in LOADED.files:
        if not file.problems:
            continue
        module = importlib.import_module(f"tests.checks.test_{Path(file.path).stem}")
        for case in module.CASES:
            for finding in findings(checks_of_file(file), *case.facts, nodes=case.nodes):
                if finding.fix:
                    yield f"{file.path}: {case.about}", finding


def test_findings_lead_to_fixes_that_mend_them() -> None:
    seen: set[str] = set()
    for where, finding in found_by_cases():
        name, *arguments = finding.fix
        assert name in LOADED.fixes, f"{where}: {finding.code} is mended by {name!r}, which is no fix"
        fix = LOADED.fixes[name]
        # What only the network shows cannot be judged again without it.
        mends = finding.code in fix.mends or finding.code in NETWORK
        assert mends, f"{where}: {name} does not say that it mends {finding.code}"
        assert set(fix_options.parse(fix, arguments)) == set(mending.parameters(fix))
        seen.add(name)
    assert len(seen) > 3, "the cases show what fixes are for"
