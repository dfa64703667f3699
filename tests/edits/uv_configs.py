"""Generated configurations of uv, and what must hold when `uv-mirror` has changed one: the real uv is asked."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from envdoctor import decode, plan
from envdoctor.facts.pip import PipEffective
from envdoctor.facts.uv import COMMANDS, UvConfig, UvEffective, default_index
from envdoctor.journal import Journal
from envdoctor.patient import uv_config, uv_effective
from envdoctor.patient.sections import Ask, NotHere
from envdoctor.permission import LocalFiles, settled
from envdoctor.remedy import Plan
from envdoctor.testing import topic_file
from tests import CHECKS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OFFICIAL = "https://official.example/simple"
CORP = "https://nexus.corp.example/simple"
PYTORCH = "https://download.pytorch.org/whl/cu126"
ALIYUN = "https://mirrors.aliyun.com/pypi/simple"
TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
URLS = (ALIYUN, TUNA, OFFICIAL, CORP, PYTORCH, "https://me:p%40ss@nexus.corp.example/simple")
FIX = next(fix for fix in topic_file(CHECKS / "uv_mirror.py").fixes if fix.name == "uv-mirror")
__all__ = ["FIX", "Machine", "assert_holds", "machines"]


@dataclass(frozen=True)
class Machine:
    """Files of uv's, variables, and what is asked of the fix."""

    user: bytes | None
    project: tuple[str, bytes] | None
    system: bytes | None
    chosen: bytes | None
    environ: dict[str, str]
    options: dict[str, Any]


@st.composite
def strings(draw: st.DrawFn, value: str) -> str:
    return draw(st.sampled_from([f'"{value}"', f"'{value}'", f'"""{value}"""', f"'''{value}'''"]))


blanks = st.sampled_from(["", " ", "\t"])
names = st.sampled_from(["", "", "corp", "torch", "tuna"])
comments = st.sampled_from(["", "  # url = 'not this'", " #[[index]]", "\t# 注释", " # default = true"])


@st.composite
def pairs_of_index(draw: st.DrawFn) -> list[tuple[str, str]]:
    url, name = draw(st.sampled_from(URLS)), draw(names)
    told = [("url", draw(strings(url)))]
    if name:
        told.append(("name", draw(strings(name))))
    if name and draw(st.integers(0, 3)) == 0:
        told.append(("explicit", "true"))
    if draw(st.booleans()):
        told.append(("default", draw(st.sampled_from(["true", "true", "false"]))))
    return draw(st.permutations(told))


@st.composite
def values_of_uv(draw: st.DrawFn, top: str) -> str:
    """Settings that have nothing to do with indexes, and an index-url at times."""
    lines = []
    if draw(st.integers(0, 2)) == 0:
        key = draw(st.sampled_from(["index-url", '"index-url"', "'index-url'"]))
        gap = draw(blanks)
        lines.append(f"{key}{gap}={gap}{draw(strings(draw(st.sampled_from(URLS))))}{draw(comments)}")
    lines += draw(
        st.lists(
            st.sampled_from(
                [
                    "compile-bytecode = true # index-url = 'x'",
                    'prerelease = "allow"',
                    'no-build-package = [ # packages\n    "a", # ]\n    "b",\n]',
                    'extra-index-url = ["https://extra.example/simple",\n  # one\n]',
                    "find-links = ['https://files.example/wheels']",
                    "# [[index]]",
                    "",
                ]
            ),
            unique=True,
            max_size=4,
        )
    )
    return "\n".join(draw(st.permutations(lines)))


@st.composite
def documents(draw: st.DrawFn, top: str = "") -> str:
    """A uv.toml, or with top "tool.uv" the part of a pyproject.toml."""
    dotted = f"{top}." if top else ""
    listed = draw(st.lists(pairs_of_index(), max_size=3, unique_by=lambda told: dict(told).get("name", str(told))))
    pip = draw(st.sampled_from(["", "", "index", "other"]))
    pip_values = {
        "": [],
        "index": [f"index-url = {draw(strings(draw(st.sampled_from(URLS))))}"],
        "other": ["annotation-style = 'line'"],
    }[pip]
    head = draw(values_of_uv(top))
    blocks = []
    inline = draw(st.booleans())
    if inline and listed:
        between = draw(st.sampled_from([", ", ",\n    ", " , # next\n\t"]))
        gap = draw(blanks)
        entries = ["{" + gap + ", ".join(f"{k}={gap}{v}" for k, v in told) + gap + "}" for told in listed]
        last = draw(st.sampled_from(["", ",", ", # last\n"]))
        head += f"\nindex = [{gap}{between.join(entries)}{last}]{draw(comments)}"
    else:
        for told in listed:
            lines = [f"{k} = {v}{draw(comments)}" for k, v in told]
            spaced = draw(blanks)
            blocks.append(f"[[{spaced}{dotted}index{spaced}]]{draw(comments)}\n" + "\n".join(lines))
    if pip_values:
        if draw(st.booleans()):
            head += "\npip." + pip_values[0]
        else:
            blocks.append(f"[{dotted}pip]\n" + "\n".join(pip_values))
    blocks = draw(st.permutations(blocks)) if blocks else []
    joint = draw(st.sampled_from(["\n", "\n\n", "\n\n# a comment between\n"]))
    header = f"[{top}]\n" if top else draw(st.sampled_from(["", "# uv\n", "\n\n"]))
    return header + head + "\n" + joint.join(blocks)


@st.composite
def files(draw: st.DrawFn, kind: str = "uv.toml") -> bytes:
    if kind == "uv.toml":
        text = draw(documents())
    else:
        before = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.8"\n'
        before += draw(st.sampled_from(["", 'description = """\n[[tool.uv.index]]\nurl = "no"\n"""\n']))
        after = draw(
            st.sampled_from(["", "\n[tool.black]\nline-length = 100\n", '\n["odd".key]\nx = { y = [1, 2] }\n'])
        )
        text = before + draw(documents("tool.uv")) + after
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    bom = draw(st.integers(0, 9)) == 0 and kind == "uv.toml"
    return (b"\xef\xbb\xbf" if bom else b"") + text.encode()


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    kind = draw(st.sampled_from(["", "uv.toml", "pyproject.toml"]))
    environ: dict[str, str] = {}
    for name, odds in (("UV_DEFAULT_INDEX", 9), ("UV_INDEX_URL", 7), ("UV_INDEX", 5)):
        if draw(st.integers(0, odds)) == 0:
            value = draw(st.sampled_from(URLS))
            named = name != "UV_INDEX_URL" and draw(st.booleans())
            environ[name] = f"corp={value}" if named else value
    if draw(st.integers(0, 15)) == 0:
        environ["UV_NO_CONFIG"] = "1"
    option: dict[str, Any] = draw(
        st.sampled_from([{"aliyun": True}, {"tuna": True}, {"url": CORP}, {"official": True}])
    )
    return Machine(
        user=draw(st.none() | files()),
        project=(kind, draw(files(kind))) if kind else None,
        system=draw(st.none() | st.none() | files()),
        chosen=draw(st.none() | st.none() | st.none() | files()),
        environ=environ,
        options={**option, "replace": draw(st.booleans())},
    )


@contextlib.contextmanager
def laid_out(machine: Machine) -> Iterator[tuple[Path, dict[str, str]]]:
    """The machine's files in a folder of their own, its variables, and the working directory in the project."""
    kept, folder = dict(os.environ), os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve()
        places = {"home/.config/uv/uv.toml": machine.user, "xdg/uv/uv.toml": machine.system,
                  "chosen.toml": machine.chosen}  # fmt: skip
        if machine.project:
            places[f"home/code/{machine.project[0]}"] = machine.project[1]
        (top / "home/code/src").mkdir(parents=True)
        for path, content in places.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                (top / path).write_bytes(content)
        environ = {"HOME": str(top / "home"), "XDG_CONFIG_DIRS": str(top / "xdg"), "PATH": "/usr/bin:/bin",
                   "XDG_STATE_HOME": str(top / "state"), "UV_OFFLINE": "1", **machine.environ}  # fmt: skip
        if machine.chosen is not None:
            environ["UV_CONFIG_FILE"] = str(top / "chosen.toml")
        try:
            os.environ.clear()
            os.environ.update(environ)
            os.chdir(top / "home/code/src")
            yield top, environ
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(kept)


def observed() -> UvConfig:
    try:
        told = uv_config.uv_config(Ask({}))
    except NotHere:
        told = {"user_file": uv_config.user_file(os.environ), "no_config": uv_config.no_config(os.environ)}
    found = decode.fact("uv-config", json.loads(json.dumps(told)))
    assert isinstance(found, UvConfig)
    return found


def asked(program: str) -> UvEffective:
    found = decode.fact("uv-effective", uv_effective.ask_uv(program, 20.0))
    assert isinstance(found, UvEffective)
    return found


def bare(url: str) -> str:
    """A URL as newer uv shows it, which masks the password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}".rstrip("/")


def tree(top: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in sorted(top.rglob("*"))
        if path.is_file() and "state" not in path.relative_to(top).parts[:1]
    }


def others(path: str, content: bytes | None) -> Any:
    """What a file says apart from the default index, empty tables left out."""
    value = tomllib.loads((content or b"").decode().removeprefix("\ufeff"))
    holder = value.get("tool", {}).get("uv", {}) if path.endswith("pyproject.toml") else value
    holder.pop("index-url", None)
    holder.get("pip", {}).pop("index-url", None)
    holder["index"] = [one for one in holder.get("index", []) if not one.get("default") or one.get("explicit")]
    return pruned(value)


def pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: kept for key, part in value.items() if (kept := pruned(part)) not in ({}, [])}
    return value


def made(config: UvConfig, said: UvEffective, options: dict[str, Any]) -> Plan:
    pip = PipEffective(default_index=OFFICIAL)
    return settled(FIX(config, said, pip, LocalFiles(), None, None, **options), LocalFiles())


def assert_holds(machine: Machine, program: str) -> str:
    """Whatever a machine looks like: our reading is uv's; afterwards uv takes what was asked for or we say why not;
    nothing else has changed; a second run changes nothing; and undo brings every byte back. Gives what became of it."""
    with laid_out(machine) as (top, _):
        before = tree(top)
        config, said = observed(), asked(program)
        assert not said.error, said.error
        for command in COMMANDS:
            read = default_index(config.indexes, command)
            assert bare(read.url if read else "") == bare(said.default(command) or "")
        proposed = made(config, said, machine.options)
        journal = Journal(top / "state")
        applied = plan.apply(proposed, FIX, journal) if proposed.changes else None
        now_config, now = observed(), asked(program)
        assert not now.error, now.error
        wanted = {bare(str(proposed.wants["url"]))}
        if not proposed.wants["url"]:
            wanted |= {"://", bare(OFFICIAL), ""}
        effective = all(bare(now.default(command) or "") in wanted for command in COMMANDS)
        in_the_way = bool(proposed.by_hand) or any(remark.level == "warning" and "stays as it is" in remark.said.text.en
                                                  for remark in proposed.remarks)  # fmt: skip
        assert effective or in_the_way
        assert effective != bool(list(FIX.verify(proposed, now_config, now))) if FIX.verify else False
        for path in before.keys() | tree(top).keys():
            assert others(path, before.get(path)) == others(path, tree(top).get(path)), path
        again = made(now_config, now, machine.options)
        assert not again.changes, [edit.path for edit in again.edits]
        if applied is not None:
            plan.undo(applied.entry, journal)
        assert tree(top) == before
        return "in the way" if not effective else "changed" if applied else "nothing to do"
