"""Takes a launch line apart: launcher, options, script, and what started the launcher.

Understands what shells and people write around a command: prompts, assignments, `srun` and `mpirun` in front, quotes,
redirections. What cannot be known, such as the value of a variable, stays unknown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from envdoctor.knowledge import launch_options

LONGEST = 8000  # characters of a launch line with all its continuation lines
ASSIGNMENT = re.compile(r"([A-Za-z_]\w{0,80})=(.*)", re.DOTALL)
SUBSTITUTION = re.compile(r"\$\([^()\n]{0,400}\)|`[^`\n]{0,400}`|\$\{[^{}\n]{0,200}\}|\$\(\([^()\n]{0,200}\)\)")
PUNCTUATION = frozenset(";|&<>()")
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
# LAUNCHER="torchrun ...": the script follows elsewhere.
KEPT = re.compile(
    r"\b[A-Za-z_]\w{0,80}=[\"'][^\"'\n]{0,400}\b(?:torchrun|torch\.distributed\.|accelerate launch|deepspeed)\b"
)
PYTHON = re.compile(r"(?:\S{0,300}/)?python[\d.]{0,5}(?:\.exe)?")
# What may stand in front of a command without being part of a sentence.
BEFORE = frozenset(
    (
        "export", "sudo", "nohup", "exec", "time", "env", "bash", "sh", "-c", "-lc", "-u", "-x", "+", "++", "-", "run:",
        "command:", "RUN", "CMD", "then", "do", "&&", "$", "#", ">", "%", ">>>", "!", "-W", "ignore",
    )
)  # fmt: skip
PROMPT = re.compile(r"[\w.@:~/\[\]()-]{0,120}[$#>%]|\([\w.-]{1,60}\)|\[[^\]\s]{0,100}\][$#]?")
# A prompt that a shell would take for a redirection.
ARROW_PROMPT = re.compile(r"^\s{0,8}[\w.@:~/\\-]{0,80}>\s")
OUTER = {"srun": "srun", "mpirun": "mpirun", "mpiexec": "mpirun", "mpiexec.hydra": "mpirun", "orterun": "mpirun"}


@dataclass(frozen=True)
class LaunchLine:
    """A command that starts ranks.

    Attributes:
        launcher: name in launch_options.toml.
        text: the command on one line. where: file and line it begins in.
        options: option -> value as written; "" for a flag.
        unknown: what was written as an option and is none, in order.
        script: the training script, "" where there is none; after: what follows it.
        environment: assignments in front of it.
        outer: "srun" or "mpirun" where one of them starts the launcher; outer_options: its words.
        certain: no part of it is a variable that may hold further options.
    """

    launcher: str
    text: str
    options: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    script: str = ""
    after: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    outer: str = ""
    outer_options: tuple[str, ...] = ()
    certain: bool = True

    @property
    def command(self) -> tuple[object, ...]:
        """What is started, whatever prompt or trace mark stands in front."""
        return self.launcher, self.options, self.unknown, self.script, self.after, self.environment, self.outer_options

    def number(self, option: str) -> int | None:
        """The whole number that an option is given, None for a variable or none."""
        value = self.options.get(option, "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None

    def literal(self, option: str) -> str:
        """The value of an option if it is written out, "" for a variable."""
        value = self.options.get(option, "")
        return "" if "$" in value else value


def words(text: str) -> list[str]:
    """The words of a command as a shell splits them, up to a pipe, a redirection or the next command.

    Substitutions are one word, "$_". Quotes that are not closed are taken for letters.
    """
    flat = SUBSTITUTION.sub("$_", SUBSTITUTION.sub("$_", text[:LONGEST]))
    lexer = shlex.shlex(flat, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        found = list(lexer)
    except ValueError:
        found = flat.replace('"', " ").replace("'", " ").split()
    return found


def parse(text: str) -> LaunchLine | None:
    """The launch line in a text, None where it holds none or a sentence about one."""
    if "usage:" in text[:200].lower():
        return None
    told = _spliced(words(ARROW_PROMPT.sub("", text, count=1)))
    at = next((number for number in range(len(told)) if _launcher(told, number)), None)
    if at is None:
        return None
    name, skip = _launcher(told, at) or ("", 0)
    before, rest = told[:at], told[at + skip :]
    outer_at = next((number for number, word in enumerate(before) if word.rpartition("/")[2] in OUTER), None)
    front = before if outer_at is None else before[:outer_at]
    if outer_at is None and not all(goes_before(word) for word in front):
        return None
    rest, sketched = _command(rest)
    if not any(word.startswith(("-", *DASHES)) or word.endswith(".py") for word in rest):
        return None
    kept = KEPT.search(text) is not None
    environment = {match[1]: match[2] for word in before if (match := ASSIGNMENT.fullmatch(word))}
    outer = "" if outer_at is None else OUTER[before[outer_at].rpartition("/")[2]]
    outer_options = () if outer_at is None else tuple(before[outer_at + 1 :])
    return _parsed(name, rest, environment, outer, outer_options, " ".join(text.split()), not sketched and not kept)


def _spliced(found: Sequence[str]) -> list[str]:
    """A command within quotes (`bash -c "torchrun ..."`, LAUNCHER="torchrun ...") becomes words of its own."""
    told: list[str] = []
    for word in found:
        inner = word.partition("=")[2] if ASSIGNMENT.fullmatch(word) else word
        if " " in inner and re.search(r"\b(?:torchrun|torch\.distributed\.|accelerate launch|deepspeed )", inner):
            told += words(inner)
        else:
            told.append(word)
    return told


def _launcher(told: Sequence[str], at: int) -> tuple[str, int] | None:
    """Name of the launcher that begins at a word, and how many words it takes."""
    word = told[at]
    following = told[at + 1] if at + 1 < len(told) else ""
    base = word.rpartition("/")[2]
    if base == "torchrun":
        return "torchrun", 1
    if word == "-m" and at and PYTHON.fullmatch(told[at - 1] if told[at - 1] != "-u" else "python"):
        if following == "torch.distributed.run":
            return "torchrun", 2
        if following == "torch.distributed.launch":
            return "torch.distributed.launch", 2
        if following == "accelerate.commands.launch":
            return "accelerate", 2
    if base == "accelerate" and following == "launch":
        return "accelerate", 2
    if base == "accelerate-launch":
        return "accelerate", 1
    if base == "deepspeed" and (following.startswith("-") or following.endswith(".py")):
        return "deepspeed", 1
    return None


def goes_before(word: str) -> bool:
    """Whether a word may stand in front of a command without being part of a sentence."""
    return bool(word in BEFORE or ASSIGNMENT.fullmatch(word) or PROMPT.fullmatch(word) or PYTHON.fullmatch(word))


def _command(rest: Sequence[str]) -> tuple[list[str], bool]:
    """The words up to the end of the command, and whether it is only sketched: "...", <placeholder>, [option]."""
    taken: list[str] = []
    for word in rest:
        if word and set(word) <= PUNCTUATION:
            if ">" in word and taken and taken[-1].isdigit():
                taken.pop()
            return taken, word.startswith("<")
        if word.startswith("#"):
            return taken, False
        if "..." in word or "\u2026" in word or word.startswith(("[", "{")):
            return taken, True
        taken.append(word)
    return taken, False


def _parsed(
    name: str,
    rest: Sequence[str],
    environment: dict[str, str],
    outer: str,
    outer_options: tuple[str, ...],
    text: str,
    complete: bool,
) -> LaunchLine:
    row = launch_options.launcher(name)
    options: dict[str, str] = {}
    unknown: list[str] = []
    certain, at = complete, 0
    while at < len(rest):
        word = rest[at]
        if not word.startswith(("-", *DASHES)):
            if not word.startswith("$") and word:
                break
            # A variable may hold options or be the script.
            certain = False
            at += 1
            continue
        written, equals, value = word.partition("=")
        option = _option(row, written)
        at += 1
        if not option:
            unknown.append(written)
            if not equals and at < len(rest) and not rest[at].startswith("-") and not rest[at].endswith(".py"):
                at += 1  # its value, most likely
            continue
        if option in row.flags:
            options[option] = ""
            continue
        if not written.startswith("--") and written[2:]:
            value = written[2:]
        elif not equals and at < len(rest) and not rest[at].startswith("--"):
            value = rest[at]
            at += 1
        options[option] = value
    script = rest[at] if at < len(rest) else ""
    return LaunchLine(
        name, text, options, tuple(unknown), script, tuple(rest[at + 1 :]), environment, outer, outer_options, certain
    )


def _option(row: launch_options.Launcher, written: str) -> str:
    if written.startswith("--"):
        return launch_options.known(row, written[2:])
    return row.short.get(written[1:2], "") if len(written) == 2 or written[2:].isdigit() else ""
