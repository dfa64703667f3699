"""How often `envdoctor fix pip-mirror` does what it says, by the real pip: over made-up sets of configuration files.

    python -m tests.bench.pip_configs [--count 10000] [--seed 0] [--pips FOLDER] [--keep-going]

Each set has files at every level with the oddities of ten years, environment variables, files this user may not write,
links. The plan is applied and undone by the real journal, what a user without rights is told to do by hand is done by
hand, and pip itself says what takes effect. FOLDER holds further pip wheels. Ends with status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envdoctor import decode, load
from envdoctor import plan as plans
from envdoctor.edits import ini
from envdoctor.errors import UsageError
from envdoctor.facts.pip import PipConfig, PipEffective, PipOptions
from envdoctor.facts.pip_rules import is_plain, trusts
from envdoctor.journal import Journal
from envdoctor.patient import pip_config
from envdoctor.permission import LocalFiles, settled
from envdoctor.remedy import Fix, Plan
from tests import CHECKS
from tests.patient.real_pip import Pip, Tree, wheels

HOSTS = [
    "https://a.example/simple", "https://b.example/simple/", "http://c.example/simple", "http://mirrors.aliyun.com/pypi/simple/",
    "https://mirrors.aliyun.com/pypi/simple", "https://pypi.tuna.tsinghua.edu.cn/simple/", "http://pypi.douban.com/simple",
    "https://ada:s3cret@nexus.corp.example/repository/pypi/simple", "https://x.example/simple # inline", "",
    "\n    https://below.example/simple", "file:///srv/simple",
]  # fmt: skip
LISTS = [
    "a.example", "mirrors.aliyun.com", "mirrors.aliyun.com pypi.tuna.tsinghua.edu.cn", "\n    a.example\n    c.example",
    "c.example:80\n\t; a comment\n    mirrors.aliyun.com", "pypi.tuna.tsinghua.edu.cn", "https://a.example", "",
]  # fmt: skip
INDEX_KEYS = ["index-url"] * 5 + ["index_url", "INDEX_URL", "pypi-url", "--index-url", "Index-Url"]
SECTIONS = ["global"] * 8 + ["install"] * 3 + ["download", "wheel", "list", "DEFAULT", "Global", "lock"]
OTHERS = [
    "timeout = 60", "cert = /etc/ssl/certs/ca-certificates.crt", "proxy = http://proxy.example:3128", "no-index = no",
    "no-index = yes", "no-index=true", "retries: 2", "disable-pip-version-check = 1", "unknown = kept", "no-color = 0",
]  # fmt: skip
COMMENTS = ["# comment", "; another", "", "   # indented", "# 日本", "#index-url = https://old.example/simple"]
FAULTS = ["bare words", "no-index = maybe", "timeout = 3,5", "index-url = https://twice.example/simple", "[global]"]
VARIABLES = {
    "PIP_INDEX_URL": [*HOSTS[:4], ""], "PIP_PYPI_URL": HOSTS[:2], "PIP_EXTRA_INDEX_URL": HOSTS[:3],
    "PIP_NO_INDEX": ["1", "no", "0"], "PIP_TRUSTED_HOST": LISTS[:3], "PIP_FIND_LINKS": ["https://links.example/whl"],
    "PIP_index_url": HOSTS[:1],
}  # fmt: skip
ASKED: list[dict[str, Any]] = [
    {"tuna": True}, {"tuna": True}, {"aliyun": True}, {"official": True}, {"official": True},
    {"url": "https://a.example/simple"}, {"url": "http://c.example/simple"}, {"url": "https://new.example:8443/simple/"},
]  # fmt: skip
COMMANDS = ("install", "download", "wheel", "list")
KEPT = ("extra-index-url", "find-links", "cert", "proxy")


@dataclass
class Made:
    """A made-up set: contents of a `Tree`'s files by name, variables, names of files this user may not write."""

    contents: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    config_file: str | None = None
    locked: frozenset[str] = frozenset()
    linked: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def file(rng: random.Random) -> bytes:
    """The bytes of one file."""
    lines: list[str] = []
    pad = rng.choice([""] * 8 + ["  "])
    style = rng.choice([" = ", " = ", "=", ": ", " :", " =\t"])
    for section in dict.fromkeys(rng.choice(SECTIONS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))):
        lines += [rng.choice(COMMENTS)] if rng.random() < 0.2 else []
        lines.append(f"[{section}]")
        keys: set[str] = set()
        for _ in range(rng.choice([0, 1, 2, 2, 3, 4])):
            key = rng.choice([rng.choice(INDEX_KEYS)] * 3 + ["extra-index-url", "trusted-host", "find-links", "?", "#"])
            if key == "#":
                lines.append(rng.choice(COMMENTS))
                continue
            line = rng.choice(OTHERS) if key == "?" else ""
            name = pip_config.normal_key(key if line == "" else line.replace("=", ":").partition(":")[0].strip())
            if name in keys:
                continue
            keys.add(name)
            values = LISTS if key == "trusted-host" else HOSTS
            lines += f"{pad}{line or key + style + rng.choice(values)}".split("\n")
    if rng.random() < 0.08:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(FAULTS))
    if rng.random() < 0.02:
        lines = [line for line in lines if not line.startswith("[")]
    end = rng.choice(["\n"] * 5 + ["\r\n", "\r\n", "\r"])
    data = end.join(lines).encode() + (end.encode() if rng.random() < 0.8 else b"")
    damage = rng.random()
    if damage < 0.02:
        return b"\xef\xbb\xbf" + data
    if damage < 0.03:
        return data + end.encode() + b"# caf\xe9" + end.encode()
    if damage < 0.035:
        return "\ufeff".encode("utf-16-le") + data.decode().encode("utf-16-le")
    return data


def made(rng: random.Random) -> Made:
    """One set of everything."""
    names = [name for name in ("xdg", "xdg2", "legacy", "user", "site", "extra") if rng.random() < 0.4]
    found = Made({name: file(rng) for name in names}, options=rng.choice(ASKED))
    for name, values in VARIABLES.items():
        if rng.random() < 0.05:
            found.variables[name] = rng.choice(values)
    found.config_file = rng.choice(
        [None] * 8 + [os.devnull, "", "extra", "extra", "user", "xdg", "site", "/none/pip.conf"]
    )
    likely = {"xdg": 0.7, "xdg2": 0.7, "legacy": 0.05, "user": 0.07, "site": 0.15, "extra": 0.15}
    found.locked = frozenset(name for name, chance in likely.items() if rng.random() < chance)
    if "user" in names and rng.random() < 0.1:
        found.linked = rng.choice(["legacy", "dotfiles"])
    return found


class Rights(LocalFiles):
    """This machine's files for a user who may not write some of them, nor anything outside the tree."""

    def __init__(self, locked: set[str]) -> None:
        super().__init__(locked=locked)

    def writable(self, path: str) -> bool:
        return path not in self._locked and not path.startswith("/etc/") and super().writable(path)


@functools.cache
def the_fix() -> Fix:
    """The fix under test, as the program loads it."""
    fix = load.load([CHECKS]).fixes["pip-mirror"]
    assert isinstance(fix, Fix)
    return fix


class Bench:
    """One pip, one tree, one journal."""

    def __init__(self, pip: Pip, top: Path) -> None:
        self.pip, self.top = pip, top
        self.tree = Tree(top / "tree")
        self.journal = Journal(top / "state")
        self.default = str(self._ask({**self.tree.environ, "PIP_CONFIG_FILE": os.devnull})["install"]["index-url"])

    def _ask(self, environ: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self.pip.ask(environ, self.tree.prefix)["pip"]
        return answer

    def _plan(self, environ: dict[str, str], files: Rights, options: dict[str, Any]) -> Plan:
        fix = the_fix()
        effective = PipEffective(source="pip", version=self.pip.version, default_index=self.default)
        return fix(self._config(environ), effective, files, None, None, **options)

    def _config(self, environ: dict[str, str]) -> PipConfig:
        found = pip_config.configuration(environ, str(self.tree.prefix), environ["HOME"], self.pip.version)
        fact = decode.fact("pip-config", found)
        assert isinstance(fact, PipConfig), fact
        return fact

    def _against(self, plan: Plan, environ: dict[str, str], answer: dict[str, Any]) -> list[str]:
        """What the fix itself says against its effect, from pip's answer."""
        verify = the_fix().verify
        assert verify is not None
        options = tuple(
            PipOptions(name, told["index-url"], trusted_hosts=tuple(told["trusted-host"]), no_index=told["no-index"])
            for name, told in answer.items()
            if name != "error"
        )
        effective = PipEffective("pip", self.pip.version, str(answer.get("error", "")), self.default, commands=options)
        return [reason.say("en") for reason in verify(plan, self._config(environ), effective)]

    def lay_out(self, given: Made) -> tuple[dict[str, str], Rights]:
        """Write a set to the disk; its environment and the rights over it."""
        for path in (*self.tree.files.values(), self.top / "dotfiles"):
            path.unlink(missing_ok=True)
        self.tree.write(given.contents)
        if given.linked == "dotfiles":
            self.tree.files["user"].rename(self.top / "dotfiles")
            self.tree.files["user"].symlink_to(self.top / "dotfiles")
        elif given.linked == "legacy":
            self.tree.files["legacy"].unlink(missing_ok=True)
            self.tree.files["legacy"].symlink_to(self.tree.files["user"])
        environ = {**self.tree.environ, **given.variables}
        if given.config_file is not None:
            environ["PIP_CONFIG_FILE"] = str(self.tree.files.get(given.config_file, given.config_file))
        return environ, Rights({str(self.tree.files[name]) for name in given.locked})

    def snapshot(self) -> dict[str, tuple[bytes, bool]]:
        """Every file of the tree: bytes, and whether it is a link."""
        found = (path for path in sorted(self.top.joinpath("tree").rglob("*")) if path.is_file() or path.is_symlink())
        return {str(path): (path.read_bytes(), path.is_symlink()) for path in found}

    def run(self, given: Made) -> str:
        """Mend, look, mend again, undo. Gives what kind of set it was. Raises AssertionError for anything wrong."""
        environ, files = self.lay_out(given)
        before, was = self.snapshot(), self._ask(environ)
        try:
            raw = self._plan(environ, files, given.options)
        except UsageError:
            # A new section would bring the rest of [DEFAULT] into effect in every file there is.
            assert any(b"[DEFAULT]" in data for data in given.contents.values()), "refused without a reason"
            return "refused"
        plan = settled(raw, files)
        entry = plans.apply(plan, the_fix(), self.journal).entry if plan.changes else None
        left = [edit for edit in raw.edits if edit.changes and not files.writable(edit.path)]
        assert {edit.path for edit in left}.isdisjoint(edit.path for edit in plan.edits)
        kept = {edit.path: Path(edit.path).read_bytes() if Path(edit.path).exists() else None for edit in left}
        for edit in left:
            Path(edit.path).write_bytes(edit.after or b"")
        try:
            kind = self._look(given, environ, was, raw)
            if not (raw.by_hand and not raw.edits):
                again = self._plan(environ, files, given.options)
                assert not again.changes, f"a second run changes {again.edits}"
        finally:
            for path, data in kept.items():
                Path(path).unlink() if data is None else Path(path).write_bytes(data)
            if entry is not None:
                plans.undo(entry, self.journal)
                self.journal.forget(entry)
        assert self.snapshot() == before, "undo left something behind"
        return kind + (", by hand" if left else "")

    def _look(self, given: Made, environ: dict[str, str], was: dict[str, Any], plan: Plan) -> str:
        answer = self._ask(environ)
        against = self._against(plan, environ, answer)
        if plan.by_hand and not plan.edits:
            assert "error" in was and "error" in answer, "refused what pip can read"
            return "refused"
        blocked = {
            name: value for name, value in given.variables.items()
            if value and name.upper() in ("PIP_INDEX_URL", "PIP_PYPI_URL", "PIP_NO_INDEX") and value not in ("no", "0")
        }  # fmt: skip
        url = str(plan.wants["url"])
        if given.config_file == os.devnull and not given.options.get("official"):
            assert blocked or all(told["index-url"] == self.default for told in answer.values()), "a file was read"
            assert against or set(blocked.values()) == {url}, "no word about PIP_CONFIG_FILE"
            return "switched off"
        assert "error" not in answer, answer
        right = all(
            told["index-url"].rstrip("/") == url.rstrip("/") and not told["no-index"] for told in answer.values()
        )
        if is_plain(url):
            trusted = all(trusts(url, tuple(told["trusted-host"])) for told in answer.values())
            assert trusted or "PIP_TRUSTED_HOST" in given.variables, "a plain index that pip leaves out"
            right = right and trusted
        elif not given.options.get("url"):
            hidden = any(trusts(url, tuple(told["trusted-host"])) for told in answer.values())
            assert not hidden or "PIP_TRUSTED_HOST" in given.variables, "certificates are not checked"
        assert right is (not against), f"verify says {against}, pip says {answer}"
        if not right:
            trusted_by_variable = is_plain(url) and "PIP_TRUSTED_HOST" in given.variables
            assert blocked or trusted_by_variable, f"not in effect: {answer}"
            assert any(f"unset {name}" in reason for name in given.variables for reason in against), against
        if "error" not in was:
            for name in KEPT:
                assert all(answer[command][name] == was[command][name] for command in COMMANDS), f"{name} has changed"
        return "in effect" if right else "a variable wins"


def pips(folder: str = "") -> dict[str, Pip]:
    """The pips at hand by version: this environment's, the one Python brings, and the wheels of a folder."""
    found: dict[str, Pip] = {}
    for wheel in [*wheels(), *(str(path) for path in sorted(Path(folder).glob("pip-*.whl")) if folder)]:
        pip = Pip(wheel)
        if pip.version in found:
            pip.close()
        else:
            found[pip.version] = pip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pips", default="", metavar="FOLDER")
    parser.add_argument("--only", type=int, default=None, metavar="NUMBER", help="this one, and say how it is made")
    told = parser.parse_args()
    counted: Counter[str] = Counter()
    failures = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as top:
        known = pips(told.pips)
        benches = [Bench(pip, Path(top) / version) for version, pip in known.items()]
        for number in range(told.count) if told.only is None else [told.only]:
            sys.stdout.flush()
            given = made(random.Random(f"{told.seed}-{number}"))
            bench = benches[number % len(benches)]
            try:
                counted[bench.run(given)] += 1
            except (AssertionError, UsageError, ini.Unfit) as error:
                failures += 1
                print(f"{number} (pip {bench.pip.version}): {type(error).__name__}: {str(error)[:600]}")
                if told.only is not None:
                    print(given)
                    raise
        for pip in known.values():
            pip.close()
    print(f"{told.count} sets, pips {' '.join(known)}, {time.monotonic() - begun:.0f} s: " + ", ".join(
        f"{count} {kind}" for kind, count in counted.most_common()))  # fmt: skip
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
