"""Which start-up file a variable belongs into, so that every new shell of the user's has it.

bash reads ~/.bashrc when it is interactive and when sshd starts it for a command; a login shell reads the first of
~/.bash_profile, ~/.bash_login and ~/.profile instead, which usually reads ~/.bashrc in turn. Distributions begin
~/.bashrc with a line that leaves it in shells that are not interactive: what stands below does not reach
`ssh host command`. zsh reads .zshenv always, and .zshrc only when it is interactive; fish reads conf.d always.
(bash(1) INVOCATION, zsh(1) STARTUP/SHUTDOWN FILES, fish "Configuration files".)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envdoctor.edits import shell_words
from envdoctor.edits.shell_block import END
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.remedy import Files

LOGIN_FILES = (".bash_profile", ".bash_login", ".profile")
# Files of the user's own that a shell reads, by its name; zsh's lie in ZDOTDIR.
READ = {
    "bash": (*LOGIN_FILES, ".bashrc"),
    "zsh": (".zshenv", ".zprofile", ".zshrc", ".zlogin"),
    "sh": (".profile",),
}
# The line that leaves a start-up file where the shell is not interactive, or the `case` or `if` it begins with.
ASKS_WHETHER_INTERACTIVE = re.compile(
    rb"^\s*(?:case\s+[\"']?\$\{?-\}?[\"']?\s+in|(?:if\s+)?!?\s*(?:\[\[?|test)\s[^#]*(?:\$\{?-\}?|\$\{?PS1|(?<=\s)-t\s*[012]|(?<=\s)-o\s+interactive)"
    rb"|(?:if\s+)?!?\s*tty\s+-s)"
)
LEAVES = re.compile(rb"(?:^|[\s;&|)])(?:return|exit)\b")
MOST_LINES_OF_A_GUARD = 6


@dataclass(frozen=True)
class Place:
    """Where a block goes: the file, whose language it is in, and the line it must stand before, from 0."""

    path: str
    shell: str
    before: int | None = None


def user_shell(shell: ShellFiles) -> str:
    """The shell whose files are to be changed: what SHELL names if its language is known, else the login shell."""
    names = [name for name in (shell.shell, shell.login_shell) if name]
    return next((name for name in names if name in shell_words.LANGUAGES), names[0] if names else "sh")


def only_login(shell: ShellFiles) -> bool:
    """Whether the user's shell reads its start-up file as a login shell only: dash and ksh read ~/.profile."""
    return shell_words.LANGUAGES.get(user_shell(shell)) == "sh"


def guard(content: bytes | None) -> int | None:
    """Number of the line, from 0, where a file is left by shells that are not interactive; None where it is not.

    The comment above it belongs to it.
    """
    lines = (content or b"").split(b"\n")
    for number, line in enumerate(lines):
        if not ASKS_WHETHER_INTERACTIVE.match(line):
            continue
        block = re.match(rb"^\s*(case|if)\b", line)
        span = lines[number : number + MOST_LINES_OF_A_GUARD] if block else [line]
        for later in span:
            if LEAVES.search(later.partition(b"#")[0]):
                while number and lines[number - 1].startswith(b"# ") and lines[number - 1].strip() != END:
                    number -= 1
                return number
            if re.search(rb"(?:^|[\s;])(?:esac|fi)\b", later):
                break
    return None


def places(shell: ShellFiles, files: Files, interactive: bool = False) -> tuple[Place, ...]:
    """The files to write, such that new shells of every kind read one of them; empty for a shell without a known file.

    Args:
        interactive: it is for interactive shells only, as what `conda init` sets up.

    Raises:
        OSError: one of them cannot be read.
    """
    kind, home = user_shell(shell), shell.home
    if kind == "zsh":
        folder = zsh_folder(shell, files)
        if interactive:
            return (Place(f"{folder}/.zshrc", kind),)
        path = _zshenv(shell, files)
        return (Place(path, kind, guard(files.read(path))),)
    if kind == "fish":
        return (Place(f"{shell.config_home or home + '/.config'}/fish/conf.d/envdoctor.fish", kind),)
    if kind == "bash":
        return _places_of_bash(home, files, interactive)
    return (Place(f"{home}/.profile", "sh"),) if only_login(shell) else ()


def _places_of_bash(home: str, files: Files, interactive: bool) -> tuple[Place, ...]:
    bashrc = f"{home}/.bashrc"
    found = [Place(bashrc, "bash", None if interactive else guard(files.read(bashrc)))]
    login = next((f"{home}/{name}" for name in LOGIN_FILES if files.read(f"{home}/{name}") is not None), None)
    content = (files.read(login) if login else None) or b""
    if not re.search(rb"^[^#\n]*\.bashrc", content, re.M):
        path = login or f"{home}/.profile"
        if files.resolve(path) == files.resolve(bashrc):
            return tuple(found)  # one file under two names, as in many a repository of dotfiles
        found.append(Place(path, "sh" if path.endswith("/.profile") else "bash", guard(content)))
    return tuple(found)


def zsh_folder(shell: ShellFiles, files: Files) -> str:
    """Where zsh looks for .zshrc."""
    found = re.search(
        rb"^\s*(?:export\s+)?ZDOTDIR=[\"']?([^\s\"';#]+)", files.read(f"{shell.home}/.zshenv") or b"", re.M
    )
    if found is None:
        return shell.zdotdir or shell.home
    told = found.group(1).decode("utf-8", "surrogateescape")
    config = shell.config_home or f"{shell.home}/.config"
    for name, value in (("HOME", shell.home), ("XDG_CONFIG_HOME", config)):
        told = re.sub(rf"\$({name}\b|\{{{name}(:-[^}}]*)?\}})", lambda _, value=value: value, told)
    told = re.sub(r"^~(?=/|$)", lambda _: shell.home, told)
    return told if told.startswith("/") and "$" not in told else shell.zdotdir or shell.home


def _zshenv(shell: ShellFiles, files: Files) -> str:
    """ZDOTDIR moves .zshenv too, unless it is ~/.zshenv that sets it."""
    own = files.read(f"{shell.home}/.zshenv") or b""
    moved = shell.zdotdir and not re.search(rb"^[^#\n]*\bZDOTDIR=", own, re.M)
    return f"{shell.zdotdir if moved else shell.home}/.zshenv"


def read_by(kind: str, shell: ShellFiles, files: Files) -> list[str]:
    """The user's own start-up files that a shell reads."""
    if kind == "fish":
        return [file.path for file in shell.files if file.shell == "fish" and not file.path.endswith("/envdoctor.fish")]
    if kind == "zsh":
        folders = dict.fromkeys((shell.home, zsh_folder(shell, files)))
        return [f"{folder}/{name}" for folder in folders for name in READ["zsh"]]
    return [f"{shell.home}/{name}" for name in READ.get(kind, READ["sh"])]
