"""Facts that only an option of a fix asks for, because having them costs time and traffic."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from envdoctor.errors import UsageError
from envdoctor.render import Style

if TYPE_CHECKING:
    from envdoctor.bench.mirrors import MirrorResult
    from envdoctor.facts.mirror_speeds import MirrorSpeed


def measure(name: str, known: Mapping[type, object], style: Style, quiet: bool) -> object:
    """Measure a fact.

    Args:
        name: of the fact, as `Option.measures` has it.
        known: the facts observed so far.

    Raises:
        UsageError: nothing measures a fact of that name.
    """
    if name != "mirror-speeds":
        raise UsageError(f"nothing measures {name!r}", f"没有可测量 {name!r} 的方法")
    from envdoctor import facts
    from envdoctor.bench import sites
    from envdoctor.facts.host import Host
    from envdoctor.facts.mirror_speeds import MirrorSpeeds
    from envdoctor.render.mirror_bar import Bar

    with Bar(style.language, wanted=not quiet) as bar:
        from envdoctor.bench import mirrors

        # A fix is for this machine, of which no more needs to be known for its wheels.
        system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
        here = Host(system=system, machine=platform.machine())
        sections = {section: known.get(facts.kind(section)) for section in sites.SECTIONS}
        of = sites.patient({**sections, "host": sections["host"] or here})
        survey = mirrors.measure(of, sites.sites(of), on_progress=bar.step)
    return MirrorSpeeds(
        best=_speed(survey.fastest), in_effect=_speed(survey.in_effect), keep=survey.keep, asked=len(survey.results)
    )


def _speed(result: MirrorResult | None) -> MirrorSpeed | None:
    from envdoctor.facts.mirror_speeds import MirrorSpeed

    if result is None:
        return None
    return MirrorSpeed(
        result.site.name, result.site.url, result.expected_s, result.latency_s, result.bytes_per_s, result.newest
    )
