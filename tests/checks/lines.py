"""What a check file says of its topic in one line, of several nodes."""

from __future__ import annotations

from pathlib import Path

from envdoctor import summaries
from envdoctor.model import Language
from envdoctor.testing import Nodes, facts_by_type, topic_file


def line_of(file: Path, nodes: Nodes, language: Language = "en") -> str:
    """The line; empty for none."""
    given = {name: facts_by_type(facts) for name, facts in nodes.items()}
    (told,) = summaries.summarise([topic_file(file)], given)
    return told.text.say(language, told.values) if told.text else ""
