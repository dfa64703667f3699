"""Two sides side by side, for people: problems of one side first, then what differs, the likeliest reason first."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.compared import GROUPS
from envdoctor.difference import Comparison, Difference, Letter, OneSided, Share, Side
from envdoctor.model import Language, Severity, Text
from envdoctor.redact import Redactor
from envdoctor.render import Style, clean, line
from envdoctor.render.places import folded
from envdoctor.render.text import COLOURS, Page, pad
from envdoctor.render.words import SEVERITIES, sentence, title

WIDEST = 44  # cells of the first column; longer values stand below each other
LONGEST = 80  # of the second
NAMED = 4  # nodes behind a value
MOST_NAMES = 6  # of what is not shown
WORDS = {
    "": Text("none", "无"),
    "yes": Text("yes", "是"),
    "no": Text("no", "否"),
    "works": Text("works", "正常"),
    "hangs": Text("hangs", "卡住"),
    "crashes": Text("crashes", "崩溃"),
    "denied": Text("not permitted", "没有权限"),
    "unlimited": Text("unlimited", "不限"),
    "(empty)": Text("(empty)", "（空）"),
    "(secret)": Text("(secret)", "（保密）"),
}
UNSET = Text("not set", "未设置")


def render(told: Comparison, style: Style, redactor: Redactor) -> str:
    page = Page(style)
    if style.verbosity >= 0:
        for letter, side in (("A", told.a), ("B", told.b)):
            page.line((f"{letter}  ", "bold"), (_heading(side, style, redactor), ""), indent=3)
    _problems(page, told, style, redactor)
    _differences(page, told, style, redactor)
    if style.verbosity >= 0:
        _rest(page, told, style)
        page.line(("", ""))
        page.line((_tally(told, style.language), "bold"))
    return page.text()


def _heading(side: Side, style: Style, redactor: Redactor) -> str:
    names = [line(redactor.text(snapshot.node.name)) for snapshot in side.snapshots]
    taken = sorted(snapshot.taken_at for snapshot in side.snapshots if snapshot.taken_at)
    when = "" if side.of_text or not taken else taken[0] if taken[0] == taken[-1] else f"{taken[0]} - {taken[-1]}"
    nodes = Text("{n} nodes, {names}", "{n} 个节点，{names}").say(
        style.language, {"n": len(names), "names": folded(names)}
    )
    parts = [nodes if len(names) > 1 else names[0] if not side.of_text else "", line(when)]
    told = Text(", ", "，").say(style.language).join(part for part in parts if part)
    shown = Text("{name}  ({told})", "{name}（{told}）") if told else Text("{name}", "{name}")
    return line(shown.say(style.language, {"name": redactor.text(side.name), "told": told}))


def _problems(page: Page, told: Comparison, style: Style, redactor: Redactor) -> None:
    """What only one side has, each with what follows from it."""
    shown = [one for one in told.problems if one.finding.severity is not Severity.NOTE or style.verbosity >= 1]
    heads: dict[tuple[str, str], list[OneSided]] = {}
    for one in shown:
        cause = (one.side, one.finding.because_of or "")
        known = next((chain for chain in heads.values() if cause in [(c.side, c.finding.code) for c in chain]), None)
        if known is not None and style.verbosity < 1:
            known.append(one)
        else:
            heads[one.side, one.finding.code] = [one]
    for first, *others in heads.values():
        page.line(("", ""))
        _problem(page, first, others, told, style, redactor)


def _problem(
    page: Page, one: OneSided, others: Sequence[OneSided], told: Comparison, style: Style, redactor: Redactor
) -> None:
    language, finding = style.language, one.finding
    own, other = (told.a, told.b) if one.side == "a" else (told.b, told.a)
    colour = COLOURS[finding.severity.value] if finding.severity is not Severity.NOTE else "cyan"
    where = Text("only in {side}", "仅 {side}")
    if one.milder is not None:
        where = Text("worse in {side}", "{side} 更严重")
    elif one.others:
        where = Text("mostly in {side}", "多见于 {side}")
    counts = Text("", "")
    if one.others:
        counts = Text(
            " ({n} of {of} {of:node|nodes}, {m} of {all} in {other})", "（{n}/{of} 个节点，{other} 为 {m}/{all}）"
        )
    elif len(own.snapshots) > 1:
        counts = Text(" ({n} of {of} nodes)", "（{n}/{of} 个节点）")
    values = {
        "n": len(one.nodes), "of": len(own.snapshots), "m": len(one.others), "all": len(other.snapshots),
        "other": "B" if one.side == "a" else "A",
    }  # fmt: skip
    colon = Text(": ", "：").say(language)
    page.line(
        (where.say(language, {"side": one.side.upper()}) + counts.say(language, values) + colon, "bold"),
        (f"{SEVERITIES[finding.severity].say(language)}[{finding.code}]", f"bold {colour}"),
        (f"{colon}{title(finding, language, redactor)}", ""),
        indent=2,
    )
    if finding.command:
        for number, each in enumerate(clean(redactor.text(finding.command)).splitlines()):
            label = pad(Text("fix", "修复").say(language) if not number else "", 6)
            page.line((f"  {label}", "dim"), (each, "cyan"), indent=None)
    else:
        help_text = sentence(finding.words.help, finding, language, redactor)
        if help_text:
            page.line(("  " + pad(Text("fix", "修复").say(language), 6), "dim"), (help_text, ""), indent=8)
    for number, thus in enumerate(others):
        label = pad(Text("thus", "从而").say(language) if not number else "", 6)
        page.line(
            (f"  {label}", "dim"),
            (f"{title(thus.finding, language, redactor)} [{thus.finding.code}]", ""),
            indent=8,
        )


def _differences(page: Page, told: Comparison, style: Style, redactor: Redactor) -> None:
    shown = [one for one in told.differences if not one.folded]
    if style.verbosity >= 1:
        order = [group.name for group in GROUPS]
        shown = sorted(told.differences, key=lambda one: order.index(one.group.name))
    several = len(told.a.snapshots) > 1 or len(told.b.snapshots) > 1
    cells = {
        one.key: (_cell(one, one.a, several, style, redactor), _cell(one, one.b, several, style, redactor))
        for one in shown
    }
    short = [pair for pair in cells.values() if _fits(*pair)]
    first = max((_cells(pair[0]) for pair in short), default=0) + 2
    labels = max((_cells(_label(one, style, redactor)) for one in shown), default=0) + 2
    labels = min(labels, WIDEST)
    if short and style.verbosity >= 0:
        page.line(("", ""))
        page.line((pad("", labels + 2) + pad("A", first) + "B", "bold"), indent=None)
    group = ""
    for one in shown:
        if one.group.name != group:
            group = one.group.name
            page.line((one.group.title.say(style.language), "bold"), ("  " + one.group.why.say(style.language), "dim"))
        a, b = cells[one.key]
        name = "  " + pad(_label(one, style, redactor), labels)
        look = "dim" if one.folded else ""
        if _fits(a, b):
            page.line((name, look), (pad(a, first), look), (b, look), indent=labels + 2)
        else:
            page.line((name.rstrip(), look))
            page.line(("    A  ", "bold"), (a, look), indent=7)
            page.line(("    B  ", "bold"), (b, look), indent=7)


def _fits(a: str, b: str) -> bool:
    return _cells(a) <= WIDEST and _cells(b) <= LONGEST


def _label(one: Difference, style: Style, redactor: Redactor) -> str:
    return line(redactor.text(one.called(style.language)))


def _cell(one: Difference, shares: Sequence[Share], several: bool, style: Style, redactor: Redactor) -> str:
    """The values of a side; of several, each with its nodes."""
    said = [(_value(one, share.value, style.language, redactor), share) for share in shares]
    if len(said) == 1 or not several:
        return said[0][0]
    parts = []
    for value, share in said:
        nodes = folded(line(redactor.text(node)) for node in share.nodes)
        few = len(share.nodes) <= NAMED or share is not said[0][1]
        parts.append(f"{value} [{nodes}]" if few else f"{value} ({len(share.nodes)})")
    return "; ".join(parts)


def _value(one: Difference, value: str, language: Language, redactor: Redactor) -> str:
    if not value and one.group.name == "variables":
        return UNSET.say(language)
    word = WORDS.get(value)
    return word.say(language) if word else line(redactor.text(value))


def _rest(page: Page, told: Comparison, style: Style) -> None:
    """What is not shown, and what could not be compared."""
    language = style.language
    rows: list[str] = []
    if style.verbosity < 1:
        details = [one for one in told.differences if one.detail and not one.follows]
        by_cause: dict[str, list[str]] = {}
        for one in told.differences:
            if one.follows:
                by_cause.setdefault(one.follows, []).append(one.name)
        for cause, names in by_cause.items():
            said = Text("{n} more follow from {cause}: {names} (-v)", "另有 {n} 项由 {cause} 引起：{names}（-v）")
            rows.append(said.say(language, {"n": len(names), "cause": cause, "names": _some(names)}))
        if details:
            said = Text("{n} more seldom matter: {names} (-v)", "另有 {n} 项通常无关紧要：{names}（-v）")
            rows.append(said.say(language, {"n": len(details), "names": _some([one.name for one in details])}))
    if told.hidden:
        said = Text(
            "hidden on both sides under hashes that differ: {names}; whether the values differ as well shows where "
            "both sides are written with one --redact-key FILE",
            "两侧都已隐藏，且哈希不同：{names}；要知道值本身是否不同，请用同一个 --redact-key FILE 写两侧的快照",
        )
        rows.append(said.say(language, {"names": _some([one.name for one in told.hidden], style.verbosity >= 1)}))
    sides: tuple[tuple[Letter, str], ...] = (("a", "A"), ("b", "B"))
    for letter, name in sides:
        keys = told.unknown.get(letter, ())
        if keys:
            said = Text("not compared, because {side} does not tell: {names}", "未比较，因为 {side} 没有提供：{names}")
            groups = list(dict.fromkeys(key.partition(".")[0] for key in keys))
            shown = list(keys) if style.verbosity >= 1 or len(keys) <= MOST_NAMES else groups
            rows.append(said.say(language, {"side": name, "names": _some(shown, style.verbosity >= 1)}))
    for letter, name in sides:
        other = "B" if letter == "a" else "A"
        codes = _serious(told, letter, style)
        if codes:
            said = Text(
                "problems of {other} that {side} does not tell enough to be examined for: {names}",
                "{other} 有以下问题，而 {side} 提供的信息不足以判断：{names}",
            )
            rows.append(said.say(language, {"side": name, "other": other, "names": _some(codes, True)}))
    if rows:
        page.line(("", ""))
    for row in rows:
        page.line((line(row), "dim"), indent=2)


def _serious(told: Comparison, letter: Letter, style: Style) -> list[str]:
    """Codes for which a side could not be examined; of notes only with -v."""
    findings = (told.b if letter == "a" else told.a).findings
    worth = {one.code for one in findings if one.severity is not Severity.NOTE or style.verbosity >= 1}
    return [code for code in told.unjudged.get(letter, ()) if code in worth]


def _some(names: Sequence[str], every: bool = False) -> str:
    shown = names if every else names[:MOST_NAMES]
    return ", ".join(shown) + (", ..." if len(shown) < len(names) else "")


def _tally(told: Comparison, language: Language) -> str:
    if told.same:
        if told.hidden or any(told.unknown.values()):
            return Text("no difference in what both tell", "双方都提供的内容没有差异").say(language)
        return Text("no difference that training could see", "没有训练能察觉的差异").say(language)
    serious = [one for one in told.problems if one.finding.severity is not Severity.NOTE]
    values = {
        "n": len(told.differences),
        "p": sum(1 for one in serious if not one.others and one.milder is None),
        "worse": sum(1 for one in serious if one.others or one.milder is not None),
    }
    said = Text("{n} {n:difference|differences}", "{n} 处差异")
    problems = Text("; {p} {p:problem|problems} on one side only", "；{p} 个问题只在一侧出现")
    worse = Text("; {worse} {worse:problem|problems} worse on one side", "；{worse} 个问题在一侧更严重")
    parts = [said, *([problems] if values["p"] else []), *([worse] if values["worse"] else [])]
    return "".join(part.say(language, values) for part in parts)


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
