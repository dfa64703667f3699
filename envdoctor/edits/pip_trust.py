"""trusted-host after a change of the index: what a plain address needs, and what nothing needs any more.

`trusted-host` turns the check of certificates off, for https too, so that none may be left that hides a new index.
"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor.edits.pip_levels import COMMANDS, MOST, Levels, Written
from envdoctor.facts.pip_rules import trusts


def _words(won: Written | None) -> tuple[str, ...]:
    return tuple(won.value.split()) if won else ()


def trust(levels: Levels, url: str) -> None:
    """Have every command trust the host of a plain http address, which pip leaves out otherwise."""
    entry = url.split("/")[2].rpartition("@")[2]

    def trusted(won: Written | None) -> bool:
        return trusts(url, _words(won))

    for _ in range(MOST):
        won = next((won for command in COMMANDS if not trusted(won := levels.winner("trusted-host", command))), None)
        if won is None or not won.own:
            break
        levels.extend(won, entry)
    levels.make("trusted-host", lambda won: " ".join((*_words(won), entry)), trusted)


def sources(levels: Levels) -> set[str]:
    """Every address that a command takes packages from besides its index."""
    found: set[str] = set()
    for command in COMMANDS:
        for option in ("extra-index-url", "find-links"):
            found.update(_words(levels.winner(option, command)))
    return found


def distrust(levels: Levels, new: str, old: Iterable[str]) -> tuple[str, ...]:
    """Take away the trusted hosts that hide the new index's certificate, and those that only the old one needed.

    Args:
        new: an https address that is to be verified, empty for none.
        old: the indexes that are no longer asked.

    Returns:
        the entries that were taken away.
    """
    needed = sources(levels)

    def hides(entry: str) -> bool:
        return bool(new) and trusts(new, (entry,))

    def idle(entry: str) -> bool:
        return any(trusts(url, (entry,)) for url in old) and not any(trusts(url, (entry,)) for url in needed)

    gone: list[str] = []
    for _ in range(MOST):
        for command in COMMANDS:
            won = levels.winner("trusted-host", command)
            # What only the old index needed does no harm: it is no reason to ask for another's rights.
            words = [word for word in _words(won) if hides(word) or (idle(word) and won is not None and won.own)]
            if won is not None and words:
                levels.remove(won, words)
                gone += words
                break
        else:
            break
    return tuple(dict.fromkeys(gone))
