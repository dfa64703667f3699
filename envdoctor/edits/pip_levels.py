"""pip's files as they would be read after an edit: every level, which value wins, and where a new one takes effect.

What wins is worked out by the rules of `envdoctor.patient.pip_config`, on the bytes as they would be. Environment
variables are left out of it, unless asked for: no file beats them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from envdoctor.edits import ini, ini_faults, line_command
from envdoctor.facts.pip import LISTS, PipConfig
from envdoctor.patient import pip_config
from envdoctor.patient.ini import Fault, Item
from envdoctor.remedy import EditFile, Files

# The commands that ask an index; those a pip does not have read a section that nobody writes.
COMMANDS = ("install", "download", "wheel", "list", "index", "lock")
MOST = 60  # edits of one plan
NOWHERE = ("/dev/null", "nul")


@dataclass(eq=False)
class Sheet:
    """A file under edit.

    Attributes:
        path: as pip names it first.
        data: as it would be; `before` as it is. None where there is no file.
        own: this user may replace it.
        usable: pip reads it, or would after the edit.
        faults: that were mended in `data`.
        hopeless: the fault for which no sure remedy is known.
        shared: it is the machine's, for all its users.
    """

    path: str
    before: bytes | None
    data: bytes | None
    own: bool
    usable: bool = True
    faults: tuple[Fault, ...] = ()
    hopeless: Fault | None = None
    shared: bool = False
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """A value that wins: in which level of which file, or in which variable."""

    place: str
    key: str
    value: str
    section: str
    level: str
    variable: str = ""
    sheet: Sheet | None = None
    item: Item | None = None

    @property
    def own(self) -> bool:
        return self.sheet is not None and self.sheet.own and self.sheet.usable


Right = Callable[[Written | None], bool]


class Levels:
    """All levels of pip's configuration, to be changed one value at a time.

    Args:
        config: where pip looks, and what the environment says.
        files: the bytes.
    """

    def __init__(self, config: PipConfig, files: Files) -> None:
        self.config = config
        self._pip = pip_config.numbers(config.pip_version)
        newest = not self._pip or self._pip >= (26, 3)
        self._normal: Callable[[str], str] = pip_config.normal_key if newest else str.lower
        self._sheets: dict[str, Sheet] = {}
        self.nowhere = (config.config_file_variable or "").lower() in NOWHERE
        places = [(file.level, file.path) for file in config.files]
        if self.nowhere:
            # No file is read; what is written for the day the variable is gone goes where `pip config` would put it.
            places = [("user", config.user_file)] if config.user_file else []
        self._places = [(level, path, self._sheet(path, files)) for level, path in places]
        for level, _, sheet in self._places:
            sheet.shared = sheet.shared or level == "global"

    def _sheet(self, path: str, files: Files) -> Sheet:
        place = files.resolve(path)
        if place not in self._sheets:
            self._sheets[place] = self._read(path, files)
        return self._sheets[place]

    def _read(self, path: str, files: Files) -> Sheet:
        told = self.config.file(path)
        unusable = told is not None and bool(told.hidden or (told.fault and not told.fatal))
        try:
            data = None if unusable else files.read(path)
        except OSError:
            unusable, data = True, None
        sheet = Sheet(path, data, data, files.writable(path) and not unusable, usable=not unusable)
        # pip leaves empty files of any encoding alone, and so does this.
        if data:
            self._mend(sheet, told.detail if told is not None and told.fault == "not-decodable" else "")
        return sheet

    def _mend(self, sheet: Sheet, undecodable: str) -> None:
        assert sheet.data is not None
        # "byte 0xe9 is not utf-8": the encoding is the target's, which only it knows.
        encoding = undecodable.rpartition(" ")[2] if undecodable else "latin-1"
        try:
            sheet.data.decode()
            encoding = encoding if undecodable else "utf-8"
        except UnicodeDecodeError:
            pass
        try:
            sheet.data, sheet.faults = ini_faults.mended(sheet.data, LISTS, encoding, self._normal)
            sheet.items = ini.options(sheet.data, self._normal)
        except Fault as fault:
            sheet.hopeless, sheet.usable = fault, False

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """The files, each once."""
        return tuple(self._sheets.values())

    def edits(self, mode: int = 0o644) -> tuple[EditFile, ...]:
        """What is different from the disk."""
        return tuple(
            EditFile(s.path, s.before, s.data, mode, "" if s.own else line_command.command(s.path, s.before, s.data))
            for s in self.sheets
            if s.data != s.before
        )

    def _values(self, variables: bool) -> tuple[list[dict[str, Any]], list[tuple[str, Sheet | None, Item | None]]]:
        values: list[dict[str, Any]] = []
        origins: list[tuple[str, Sheet | None, Item | None]] = []
        for level, path, sheet in self._places:
            for item in sheet.items if sheet.usable else ():
                key = pip_config.normal_key(item.key)
                values.append({"key": key, "value": item.value, "section": item.section, "file": path})
                origins.append((level, sheet, item))
        for one in self.config.values if variables else ():
            if one.variable:
                values.append({"key": one.key, "value": one.value, "section": ":env:", "file": ""})
                origins.append((one.variable, None, None))
        return values, origins

    def winner(self, option: str, command: str = "install", variables: bool = False) -> Written | None:
        """What a command would take for an option; None where nothing is written."""
        values, origins = self._values(variables)
        number = dict(pip_config.candidates(values, command, self._pip)).get(option)
        return None if number is None else self._written(values[number], origins[number])

    @staticmethod
    def _written(value: dict[str, Any], origin: tuple[str, Sheet | None, Item | None]) -> Written:
        where, sheet, item = origin
        plain = (value["key"], value["value"], value["section"])
        if sheet is None or item is None:
            return Written(where, *plain, level="env-var", variable=where)
        return Written(f"{value['file']}:{item.line}", *plain, level=where, sheet=sheet, item=item)

    def refused(self) -> Written | None:
        """The first value in a file at which pip would end, `no-index = maybe` for example."""
        values, origins = self._values(False)
        for command in COMMANDS[:4]:
            for option, number in pip_config.candidates(values, command, self._pip):
                if pip_config.refused(option, values[number]["value"]):
                    return self._written(values[number], origins[number])
        return None

    def make(self, option: str, value: Callable[[Written | None], str], right: Right) -> None:
        """Make every command take a value, where it stands now or, if this user may not write there, where it beats it.

        Args:
            value: what is to be written in the place of what a command takes.
            right: whether what a command takes is good as it is.
        """
        for _ in range(MOST):
            wrong = [(command, won) for command in COMMANDS if not right(won := self.winner(option, command))]
            if not wrong:
                return
            command, won = wrong[0]
            new = value(won)
            if won is not None and won.own:
                self.replace(won, new)
            elif not self._override(option, command, won, new, right):
                raise ini.Unfit(f"no file is known in which {option} takes effect for `pip {command}`")

    def drop(self, option: str, right: Right) -> bool:
        """Take away what this user wrote for an option until what is left is right; nothing where that cannot be."""
        kept = [(sheet, sheet.data, sheet.items) for sheet in self.sheets]
        for _ in range(MOST):
            left = [won for command in COMMANDS if (won := self.winner(option, command)) and not right(won)]
            own = next((won for won in left if won.own), None)
            if own is not None:
                self.remove(own)
            elif not left:
                return True
            else:
                break
        for sheet, data, items in kept:
            sheet.data, sheet.items = data, items
        return False

    def replace(self, won: Written, value: str) -> None:
        """Write another value where one stands."""
        assert won.sheet is not None and won.sheet.data is not None and won.item is not None
        self._edit(won.sheet, ini.replaced(won.sheet.data, won.item, value, self._normal))

    def remove(self, won: Written, words: Iterable[str] = ()) -> None:
        """Take a value away, or only some words of a list."""
        assert won.sheet is not None and won.sheet.data is not None and won.item is not None
        gone = list(words)
        data = won.sheet.data
        after = (
            ini.without_words(data, won.item, gone, self._normal)
            if gone
            else ini.removed(data, won.item, self._normal)
        )  # fmt: skip
        self._edit(won.sheet, after)

    def extend(self, won: Written, word: str) -> None:
        """Add a word to a list."""
        assert won.sheet is not None and won.sheet.data is not None and won.item is not None
        self._edit(won.sheet, ini.with_word(won.sheet.data, won.item, word, self._normal))

    def comment(self, won: Written) -> None:
        """Make a comment of a value."""
        assert won.sheet is not None and won.sheet.data is not None and won.item is not None
        self._edit(won.sheet, ini.commented(won.sheet.data, won.item.line, won.item.last_line))

    def bases(self) -> list[Sheet]:
        """The files in which a new value may stand, the best first: the user's, PIP_CONFIG_FILE's, the venv's."""
        levels: dict[str, list[Sheet]] = {}
        for level, _, sheet in self._places:
            levels.setdefault(level, []).append(sheet)
        # Of the user's files the one that is there, the stronger of two; where none is, the one pip would make.
        own = levels.get("user", [])[::-1]
        user = [sheet for sheet in own if sheet.data is not None] + [sheet for sheet in own if sheet.data is None]
        bases = [*user, *levels.get("env", ()), *levels.get("site", ())]
        return [sheet for sheet in bases if sheet.usable and not self._switches(sheet)]

    def _switches(self, sheet: Sheet) -> bool:
        """Whether making the file would keep pip from reading the user's, because PIP_CONFIG_FILE names it."""
        named = any(level == "env" and one is sheet for level, _, one in self._places)
        return named and sheet.data is None

    def _override(self, option: str, command: str, won: Written | None, value: str, right: Right) -> bool:
        """Write a value where it beats what a command takes, best without another's rights."""
        section, key = (won.section, won.key) if won else ("global", option)
        bases = [sheet for sheet in self.bases() if sheet.own]
        # What this user may not write is planned all the same: it becomes a command to paste.
        others = [won.sheet] if won and won.sheet else [*self.bases(), *self.sheets[::-1]]
        others = [sheet for sheet in others if sheet not in bases and sheet.usable and not self._switches(sheet)]
        for base in [*bases, *others]:
            kept = (base.data, base.items)
            try:
                self._put(base, section, key, value)
            except ini.Unfit:
                continue
            if right(self.winner(option, command)):
                return True
            base.data, base.items = kept
        return False

    def _put(self, sheet: Sheet, section: str, key: str, value: str) -> None:
        spelled = [i for i in sheet.items if i.section == section and pip_config.normal_key(i.key) == key]
        # Older pips take "index-url" and "index_url" of one section, and the last of them counts.
        twin = max(spelled, key=lambda item: item.line, default=None)
        if twin is not None and sheet.data is not None:
            self._edit(sheet, ini.replaced(sheet.data, twin, value, self._normal))
            return
        end = b"\r\n" if sheet.path.lower().endswith(".ini") else b"\n"
        self._edit(sheet, ini.added(sheet.data or b"", section, key, value, self._normal, end))

    def _edit(self, sheet: Sheet, data: bytes) -> None:
        sheet.data, sheet.items = data, ini.options(data, self._normal)
