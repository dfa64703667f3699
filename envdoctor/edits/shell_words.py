"""Words and statements of the shells that people log in with: a value quoted so that the shell reads it back whole."""

from __future__ import annotations

import re

# Names of shells -> whose language they speak. zsh and bash read everything that is written here for either.
LANGUAGES = {
    "bash": "bash", "zsh": "bash", "fish": "fish", "sh": "sh", "dash": "sh", "ash": "sh", "ksh": "sh", "mksh": "sh",
    "csh": "csh", "tcsh": "csh",
}  # fmt: skip
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLAIN = re.compile(r"[A-Za-z0-9_@%+,./:-]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class CannotSay(ValueError):
    """A value that a line of this shell cannot hold; the message says why, `zh` in Chinese."""

    def __init__(self, message: str, zh: str) -> None:
        super().__init__(message)
        self.zh = zh


def quoted(value: str, shell: str) -> str:
    """One word of a shell that stands for exactly these characters.

    Args:
        shell: a key of `LANGUAGES`.

    Raises:
        CannotSay: NUL, which no variable can hold, or a control character in a shell without a notation for it.
    """
    language = LANGUAGES[shell]
    if PLAIN.fullmatch(value):
        return value
    if "\0" in value:
        raise CannotSay("a variable cannot hold the character NUL", "变量不能包含 NUL 字符")
    if language == "fish":
        return _fish(value)
    if CONTROL.search(value):
        if language != "bash":
            raise CannotSay(
                f"{shell} has no notation for a line break or another control character in one line",
                f"{shell} 无法在一行中写出换行符等控制字符",
            )
        inner = value.replace("\\", "\\\\").replace("'", "\\'")
        return "$'" + CONTROL.sub(lambda found: f"\\{ord(found.group()):03o}", inner) + "'"
    inner = value.replace("'", "'\\''")
    # csh looks for its history even between single quotes.
    return "'" + (inner.replace("!", "\\!") if language == "csh" else inner) + "'"


def _fish(value: str) -> str:
    inner = value.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + CONTROL.sub(lambda found: f"'\\x{ord(found.group()):02x}'", inner) + "'"


def setting(name: str, value: str, shell: str) -> str:
    """The statement that gives a variable a value, for this shell and all it starts. Raises CannotSay."""
    word = quoted(value, shell)
    return {"fish": f"set -gx {name} {word}", "csh": f"setenv {name} {word}"}.get(
        LANGUAGES[shell], f"export {name}={word}"
    )


def unsetting(name: str, shell: str) -> str:
    """The statement that takes a variable away."""
    return {"fish": f"set -e {name}", "csh": f"unsetenv {name}"}.get(LANGUAGES[shell], f"unset {name}")


def first_on(name: str, folder: str, shell: str) -> str:
    """The statement that puts a folder first on a list such as PATH; a second time it changes nothing.

    Raises CannotSay for a folder with a colon, which such a list cannot hold, and in csh.
    """
    if ":" in folder:
        raise CannotSay(
            f"{folder} has a colon in its name, which {name} cannot hold", f"{folder} 的名称含有冒号，{name} 无法容纳"
        )
    word = quoted(folder, shell)
    if LANGUAGES[shell] == "fish":
        return f'test "${name}[1]" = {word}; or set -gx {name} {word} ${name}'
    if LANGUAGES[shell] == "csh":
        return f'setenv {name} {word}":${name}"'
    return f'case ":${{{name}-}}:" in :{word}:*) ;; *) export {name}={word}"${{{name}:+:${name}}}" ;; esac'


def first_here(name: str, folder: str, shell: str) -> str:
    """What to say in a shell that runs already to put a folder first on a list. Raises CannotSay as `first_on` does."""
    first_on(name, folder, shell)
    word = quoted(folder, shell)
    return {"fish": f"set -gx {name} {word} ${name}", "csh": f'setenv {name} {word}":${name}"'}.get(
        LANGUAGES[shell], f'export {name}={word}:"${name}"'
    )


def without(name: str, folder: str, shell: str) -> str:
    """The statement that takes a folder out of a list such as LD_LIBRARY_PATH, wherever it stands in it.

    Raises CannotSay in csh.
    """
    word = quoted(folder, shell)
    if LANGUAGES[shell] == "fish":
        return f"while set -l at (contains -i -- {word} ${name}); set -e {name}[$at]; end"
    if LANGUAGES[shell] == "csh":
        raise CannotSay(
            f"{shell} cannot take a folder out of {name} in one line", f"{shell} 无法用一行命令从 {name} 中移除目录"
        )
    return (
        f'if [ -n "${{{name}-}}" ]; then {name}=":${name}:"; while case "${name}" in *:{word}:*) ;; *) false ;; esac; '
        f"do {name}=${{{name}%%:{word}:*}}:${{{name}#*:{word}:}}; done; {name}=${{{name}#:}}; "
        f'export {name}="${{{name}%:}}"; fi'
    )
