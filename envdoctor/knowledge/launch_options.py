"""Options that the launchers of distributed training take: launch_options.toml."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass, field

from envdoctor import knowledge


@dataclass(frozen=True)
class Launcher:
    """One launcher's grammar. Names have no leading dashes, and dashes where an underscore may stand.

    Attributes:
        spelling: "either" where every option is defined with dashes and with underscores, "underscore" where only so,
            "dash" where only with dashes.
        abbreviates: argparse's default, by which a prefix of an option that fits no other is understood.
        flags, values: options without and with a value.
        families: prefixes of options that come and go with versions: they are not judged.
        numbers: options whose value is a whole number.
        short: one-letter options -> the long one.
        like: launcher whose options are taken as well.
    """

    name: str
    title: str
    spelling: str
    abbreviates: bool
    flags: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    short: dict[str, str] = field(default_factory=dict)
    like: str = ""


@dataclass(frozen=True)
class Synonym:
    """Options of different launchers for one thing."""

    words: tuple[str, ...]


@functools.cache
def launcher(name: str) -> Launcher:
    """The grammar of a launcher. Raises KeyError for one that is not known."""
    known: dict[str, Launcher] = {row.name: row for row in knowledge.rows("launch_options", "launcher", Launcher)}
    row = known[name]
    if not row.like:
        return row
    base = known[row.like]
    return Launcher(
        row.name, row.title, row.spelling, row.abbreviates,
        base.flags + row.flags, base.values + row.values, row.families, base.numbers, base.short,
    )  # fmt: skip


@functools.cache
def _synonyms() -> tuple[Synonym, ...]:
    return knowledge.rows("launch_options", "synonym", Synonym)


@functools.cache
def _strings(name: str) -> dict[str, str]:
    """What the launcher's parser defines (without leading dashes) -> the option."""
    row = launcher(name)
    options = row.flags + row.values
    told = {option.replace("-", "_"): option for option in options}
    if row.spelling == "dash":
        return {option: option for option in options}
    return told if row.spelling == "underscore" else {**told, **{option: option for option in options}}


def known(row: Launcher, written: str) -> str:
    """The option that the launcher understands by what was written (without leading dashes); "" for none.

    One of a family that changes with versions is its own name. A prefix is understood where it fits one of the parser's
    strings only: `--nproc` fits --nproc-per-node and --nproc_per_node, which argparse calls ambiguous.
    """
    strings = _strings(row.name)
    if written in strings:
        return strings[written]
    name = written.replace("_", "-")
    if row.families and name.startswith(row.families):
        return name
    if row.abbreviates and len(written) > 1:
        fitting = [option for string, option in strings.items() if string.startswith(written)]
        if len(fitting) == 1:
            return fitting[0]
    return ""


def meant(row: Launcher, written: str) -> str:
    """The option of the launcher that was probably meant, "" where none is near."""
    name = written.replace("_", "-").lower()
    options = row.flags + row.values
    if name in options:
        return name
    starting = [option for option in options if option.startswith(name)]
    if len(name) > 1 and len(starting) == 1:
        return starting[0]
    for synonym in _synonyms():
        if name in synonym.words:
            found = next((word for word in synonym.words if word in options), "")
            if found:
                return found
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.72)
    return near[0] if near else ""


def spelt(row: Launcher, option: str) -> str:
    """The option as the launcher writes it."""
    dashes = row.name.startswith("torch") or row.spelling == "dash"
    return "--" + (option if dashes else option.replace("-", "_"))
