"""Where a Chinese sentence has half-width punctuation that its Chinese neighbours call for in full width.

Code is left as it is: what stands between backticks, a call such as `torch.cuda.is_available()`, a place such as
`{file}:{line}`, an address such as `{host}:{port}`, and what stands between two Latin words.
"""

from __future__ import annotations

import re

PAIR = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"  # brackets, and such within them
CODE = re.compile(
    r"`[^`]*`"
    rf"|(?:\w*[._][\w.]*|getaddrinfo|access|statvfs|int|Trainer|\$){PAIR}"  # a call
    r"|\[::\]:\ue001|\ue000:(?:\ue001|PORT)|[\w.]+:\ue001"  # a place or an address
    r"|\w+://"
)
NUMBERS = ("line", "port", "other_port")  # holes that stand behind the colon of a place or an address
HOLE, NUMBER, WORD = "\ue000", "\ue001", "\ue002"
HAN = f"[\u4e00-\u9fff\u3001-\u301f\uff00-\uffef{HOLE}{NUMBER}{WORD}]"
WIDE = {",": "，", ";": "；", ":": "：", "(": "（", ")": "）", "?": "？", "!": "！"}


def bare(sentence: str) -> str:
    """The sentence, letter by letter the same in length, with its holes and its code hidden behind private letters."""

    def hole(found: re.Match[str]) -> str:
        mark = NUMBER if found[1] in NUMBERS else HOLE
        return mark * len(found[0])

    held = re.sub(r"\{\{|\}\}", "xx", sentence)
    held = re.sub(r"\{(\w*)[^{}]*\}", hole, held)
    # A hole is one letter to what follows, and keeps its length.
    short = re.sub(rf"({HOLE}|{NUMBER})\1*", r"\1", held)
    lengths = [len(found[0]) for found in re.finditer(rf"({HOLE}|{NUMBER})\1*|.", held, re.DOTALL)]
    hidden = CODE.sub(lambda found: WORD * len(found[0]), short)
    return "".join(letter * length for letter, length in zip(hidden, lengths, strict=True))


def half_width(sentence: str) -> list[int]:
    """The places in the sentence of punctuation that should be of full width."""
    held = bare(sentence)
    found = {one.start() for one in re.finditer(rf"[,;:?!](?={HAN})|(?<={HAN})[,;:?!]|[,;:?!](?= {HAN})", held)}
    # Brackets are of full width throughout a Chinese sentence, so that both of a pair are.
    found |= {place for place, letter in enumerate(held) if letter in "()"}
    return sorted(found)
