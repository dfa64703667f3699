"""`envdoctor snapshot`: everything that was observed, to judge elsewhere or later with `check --from`."""

from __future__ import annotations

import json as json_module

from envdoctor.cli import options
from envdoctor.cli.options import (
    KeyOption,
    OfflineOption,
    OutputOption,
    PortOption,
    PythonOption,
    QuickOption,
    QuietOption,
    TimeoutOption,
)


def snapshot(
    python: PythonOption = "",
    output: OutputOption = None,
    quick: QuickOption = False,
    offline: OfflineOption = False,
    port: PortOption = 0,
    quiet: QuietOption = False,
    timeout: TimeoutOption = 60.0,
    redact_key: KeyOption = None,
) -> int:
    """Write down everything that was observed, without judging it. Secrets and user names are replaced by hashes."""
    from envdoctor.cli.examine import Question
    from envdoctor.cli.progress import Progress
    from envdoctor.snapshot import to_json
    from envdoctor.transport.target import choose

    options.refuse(output)
    redactor = options.redactor(redact_key)
    question = Question((), python, quick, offline, port, timeout, quiet)
    with Progress("en", timeout, quiet) as progress:
        taken = question.observe(choose(python), progress.record)
    document = to_json(taken)
    redactor.learn(document)
    options.write(json_module.dumps(redactor.value(document), indent=1) + "\n", output)
    return 0
