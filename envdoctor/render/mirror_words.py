"""What `bench mirrors` says of a site and of a run, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from envdoctor.model import Language, Scalar, Text

if TYPE_CHECKING:
    from envdoctor.bench.mirrors import MirrorResult, Survey
    from envdoctor.bench.sites import Patient

# Why a result is not usable; see `envdoctor.bench.mirrors.MirrorResult.reasons`.
REASONS = {
    "no-name": Text("its name does not resolve", "域名无法解析"),
    "refused": Text("refuses the connection", "拒绝连接"),
    "reset": Text("breaks the connection off", "连接被中断"),
    "timeout": Text("does not answer in time", "没有及时应答"),
    "no-route": Text("no route leads there", "没有可达的路由"),
    "tls": Text("its certificate does not verify: {detail}", "证书校验失败：{detail}"),
    "bad-bundle": Text("pip's certificates cannot be loaded: {detail}", "pip 的证书无法加载：{detail}"),
    "proxy": Text("the proxy does not let through: {detail}", "代理不放行：{detail}"),
    "not-http": Text("what answers is no web server", "应答的不是 Web 服务器"),
    "redirects": Text("redirects in a circle or away from http", "重定向成环，或指向非 http 地址"),
    "too-long": Text("its page of torch never ends", "torch 页面没有尽头"),
    "unreadable": Text("its page cannot be unpacked", "页面无法解压"),
    "failed": Text("could not be asked: {detail}", "无法访问：{detail}"),
    "blocked": Text(
        "refuses pip by its User-Agent (HTTP {status}), and answers a shorter one",
        "按 User-Agent 拒绝 pip（HTTP {status}），较短的则放行",
    ),
    "status": Text("answers with HTTP {status}", "返回 HTTP {status}"),
    "not-an-index": Text("answers with a page that is no package index", "返回的页面不是软件包索引"),
    "no-torch": Text("lists no torch", "没有列出 torch"),
    "no-file": Text("the wheel it lists cannot be had: {detail}", "所列的 wheel 无法下载：{detail}"),
    "slow": Text("did not deliver its page in time", "未能及时送达页面"),
    "no-wheel": Text("has no wheel of torch for this Python", "没有适合该 Python 的 torch wheel"),
    "stale": Text("is behind: {newest} is out", "已落后：{newest} 已发布"),
    "elsewhere": Text("its files lie on {files}", "文件位于 {files}"),
    "plain-http": Text("plain http: pip wants trusted-host for it", "明文 http：pip 需要 trusted-host 才会使用"),
}
REDIRECTED = Text("leads on to {page}", "转到 {page}")
SKIPPED = {
    "cannot-win": Text("not measured: it could not be the fastest", "未测速：不可能是最快的"),
    "no-time": Text("not measured: the time was up", "未测速：时间已到"),
}


def why(result: MirrorResult, newest: str, language: Language) -> str:
    """Why a result is not usable, or not measured, in words; empty where there is nothing to say."""
    values: dict[str, Scalar] = {
        "detail": result.detail or "-", "status": result.status, "newest": newest, "files": result.files_host,
    }  # fmt: skip
    said = [REASONS[reason].say(language, values) for reason in result.reasons]
    if result.page_host and result.page_host != result.site.host:
        said.append(REDIRECTED.say(language, {"page": result.page_host}))
    if result.skipped:
        said.append(SKIPPED[result.skipped].say(language))
    return ("；" if language == "zh" else "; ").join(said)


def duration(seconds: float, language: Language) -> str:
    """A time for people: "48 s", "2 min 45 s", "1 h 5 min"."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    units = ("小时", "分", "秒") if language == "zh" else ("h", "min", "s")
    if hours >= 100:
        parts = [(hours, units[0])]
    elif hours:
        parts = [(hours, units[0]), (minutes, units[1])]
    elif minutes:
        parts = [(minutes, units[1]), (rest, units[2])]
    else:
        parts = [(rest, units[2])]
    return " ".join(f"{number} {unit}" for number, unit in parts)


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 0.95e9 else f"{count / 1e6:.0f} MB"


def shown(survey: Survey) -> tuple[list[MirrorResult], list[MirrorResult]]:
    """The results for the table, and those of clouds' inner hosts that do not exist here."""
    absent = [
        result for result in survey.results
        if result.site.intranet and not result.site.in_effect and result.reasons[:1] in (("no-name",), ("timeout",))
    ]  # fmt: skip
    return [result for result in survey.results if result not in absent], absent


def notes(survey: Survey, of: Patient, absent: list[MirrorResult], language: Language) -> list[str]:
    """What a reader must know to trust the table."""
    found = []
    if of.effective is None:
        found.append(
            Text(
                "the target's pip could not be asked: the official index is left out, pip's settings are not honoured",
                "无法询问目标环境的 pip：未包含官方索引，也未采用 pip 的设置",
            ).say(language)
        )
    elif not of.official:
        found.append(
            Text(
                "pip itself did not answer: its settings are read from its files, the official index is left out",
                "pip 自身没有应答：其设置取自配置文件，未包含官方索引",
            ).say(language)
        )
    proxies = sorted({result.proxy for result in survey.results if result.proxy})
    if proxies:
        found.append(Text("through the proxy {proxy}", "经由代理 {proxy}").say(language, {"proxy": ", ".join(proxies)}))
    if absent:
        clouds = ", ".join(sorted({result.site.intranet for result in absent}))
        found.append(
            Text("the inner hosts of {clouds} do not exist here", "此处不存在 {clouds} 的内网主机").say(
                language, {"clouds": clouds}
            )
        )
    return found


def conclusion(survey: Survey, language: Language) -> tuple[str, str]:
    """The last words of a run, and the one command that follows from it; "" for none."""
    best, now = survey.fastest, survey.in_effect
    if best is None or best.expected_s is None:
        limited = next((result for result in survey.results if result.state == "limited"), None)
        if limited is not None:
            said = Text(
                "no index here is fully usable; the best with a catch is {name}",
                "没有完全可用的索引；{name} 可用但有缺陷",
            )
            return said.say(language, {"name": limited.site.name}), ""
        common = _common_reason(survey)
        said = Text(
            "none of these indexes is usable from here: {why}",
            "从此处无法使用以上任何索引：{why}",
        )
        return said.say(language, {"why": common.say(language) if common else "-"}), ""
    if best.site.in_effect:
        said = Text("{name}, the index pip asks now, is the fastest", "pip 目前所用的 {name} 就是最快的")
        return said.say(language, {"name": best.site.name}), ""
    if survey.keep and now is not None:
        said = Text(
            "{name}, the index pip asks now, is as good as the fastest", "pip 目前所用的 {name} 与最快的不相上下"
        )
        return said.say(language, {"name": now.site.name}), ""
    values = {"name": best.site.name, "expected": duration(best.expected_s, language)}
    if now is not None and now.state != "unusable" and now.expected_s is not None:
        said = Text(
            "{name} is the fastest: about {expected} instead of {now}; to use it:",
            "{name} 最快：约 {expected}，而目前需要 {now}；改用它：",
        )
        return said.say(language, {**values, "now": duration(now.expected_s, language)}), best.site.fix
    said = Text("{name} is the fastest: about {expected}; to use it:", "{name} 最快：约 {expected}；改用它：")
    return said.say(language, values), best.site.fix


def _common_reason(survey: Survey) -> Text | None:
    """What stands against most of the sites, in a few words."""
    counted = Counter(result.reasons[0] for result in survey.results if result.reasons)
    if not counted:
        return Text("no site was asked", "没有访问任何站点")
    worst, count = counted.most_common(1)[0]
    general = {
        "no-name": Text("names do not resolve (is there a network?)", "域名无法解析（有网络吗？）"),
        "no-route": Text("there is no network", "没有网络"),
        "timeout": Text(
            "nothing answers (a firewall drops packets, or a proxy is needed)", "没有应答（防火墙丢弃报文，或需要代理）"
        ),
        "refused": Text("connections are refused (is a proxy needed?)", "连接被拒绝（是否需要代理？）"),
        "proxy": Text("the proxy does not let through", "代理不放行"),
        "tls": Text(
            "certificates do not verify (a company's proxy opens TLS?)", "证书校验失败（企业代理解密了 TLS？）"
        ),
        "bad-bundle": Text("the certificates that pip is told to use cannot be loaded", "pip 被指定使用的证书无法加载"),
    }
    if worst in general:
        return general[worst] if count * 2 > len(survey.results) else Text("see above", "见上表")
    return Text("see above", "见上表")
