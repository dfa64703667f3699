"""The command with which another user's file is edited by hand, where writing the whole file would show its secrets.

Only the lines that change are named: a credential elsewhere in the file appears on no screen, and stays what it is.
"""

from __future__ import annotations

import difflib
import re
import shlex

from envdoctor.edits.ini import text_of

SECRET = re.compile(rb"://[^/?#\s]*@")


def command(path: str, before: bytes | None, after: bytes | None) -> str:
    """`sudo sed` for the lines that change, or an editor at the first of them; "" for a file without credentials."""
    old, new = (before or b"").splitlines(keepends=True), (after or b"").splitlines(keepends=True)
    if not SECRET.search(before or b"") and not SECRET.search(after or b""):
        return ""
    changes = [code for code in difflib.SequenceMatcher(None, old, new, False).get_opcodes() if code[0] != "equal"]
    if not changes:
        return ""
    told = [line for _, _, _, first, last in changes for line in new[first:last]]
    plain = all(line.endswith(b"\n") and text_of(line)[:-1].isprintable() for line in told)
    # What ends with a backslash goes on in the next line of a script.
    plain = plain and not any(line.endswith(b"\\\n") for line in told)
    if not old or not plain or any(SECRET.search(line) for line in told) or not old[-1].endswith(b"\n"):
        return f"sudo vi +{changes[0][1] + 1} {shlex.quote(path)}"
    words = ["sudo", "sed", "-i"]
    for _, first, _, begins, ends in changes:
        for line in new[begins:ends]:
            # A lone backslash is an empty line to sed; nothing at all would be an error.
            text = text_of(line)[:-1].replace("\\", "\\\\") or "\\"
            words += ["-e", f"{first}a\\{text}" if first else f"1i\\{text}"]
    for _, first, last, _, _ in changes:
        if last > first:
            words += ["-e", f"{first + 1},{last}d" if last > first + 1 else f"{last}d"]
    return shlex.join([*words, path])
