"""What an index answered that is about to be written, in words: for a plan's title and for what to know before it."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.facts.index import IndexProbe
from envdoctor.facts.pip import host_of
from envdoctor.knowledge import mirrors
from envdoctor.knowledge.versions import numbers
from envdoctor.model import Scalar, Text
from envdoctor.remedy import Remark, said

OUTCOMES = {
    "no-name": Text("its name does not resolve", "主机名无法解析"),
    "refused": Text("it refuses the connection", "连接被拒绝"),
    "reset": Text("it breaks the connection off", "连接被重置"),
    "timeout": Text("it does not answer within 3 s", "3 秒内没有应答"),
    "no-route": Text("there is no route to it", "没有到达它的路由"),
    "proxy": Text("the proxy in between does not let it through", "中间的代理不放行"),
    "bad-bundle": Text("the certificate bundle cannot be loaded", "无法加载证书文件"),
    "not-http": Text("what answers is no HTTP", "应答的不是 HTTP 服务"),
}


def usable(probe: IndexProbe | None) -> bool:
    """It answered pip with the page of an index."""
    return probe is not None and probe.reached and probe.status == 200 and probe.page == "index"


def verified(probe: IndexProbe | None) -> bool:
    """Its certificate is known to verify."""
    return probe is not None and probe.reached and probe.url.lower().startswith("https:")


def reached(probe: IndexProbe | None) -> tuple[Text, dict[str, Scalar]]:
    """How it answered, to stand behind its name; nothing where it did not."""
    if probe is None or not usable(probe):
        return Text("", ""), {}
    steps = (probe.resolve_s, probe.connect_s, probe.tls_s, probe.first_byte_s)
    values: dict[str, Scalar] = {"ms": round(sum(step or 0.0 for step in steps) * 1000), "newest": probe.newest}
    if probe.newest:
        return Text(" (reached in {ms} ms, has torch {newest})", "（{ms} 毫秒内应答，有 torch {newest}）"), values
    return Text(" (reached in {ms} ms)", "（{ms} 毫秒内应答）"), values


def catches(probe: IndexProbe | None) -> Iterator[Remark]:
    """What stands against an index that was asked for; said as well where nothing is to be written."""
    if probe is None:
        return
    host = host_of(probe.url)
    values: dict[str, Scalar] = {
        "host": host, "status": probe.status, "detail": (probe.detail or probe.outcome).splitlines()[0]
    }  # fmt: skip
    if probe.outcome == "tls":
        yield Remark(said(
            "the certificate of {host} does not verify ({detail}): pip needs `global.cert`, the file of the authority",
            "{host} 的证书校验失败（{detail}）：pip 需要设置 `global.cert`，即该 CA 的证书文件", **values,
        ), "warning")  # fmt: skip
    elif not probe.reached:
        why = OUTCOMES.get(probe.outcome, Text("it failed", "访问失败"))
        yield Remark(said(
            f"{{host}} cannot be reached now: {why.en} ({{detail}}); nothing is installed from it until it can",
            f"目前无法访问 {{host}}：{why.zh}（{{detail}}）；恢复之前无法从该处安装", **values,
        ), "warning")  # fmt: skip
    elif probe.status_plain == 200 and probe.status != 200:
        yield Remark(said(
            "{host} refuses pip by its User-Agent (HTTP {status}) and answers others: pip installs nothing from it",
            "{host} 按 User-Agent 拒绝 pip（HTTP {status}），却应答其他客户端：pip 无法从该处安装", **values,
        ), "warning")  # fmt: skip
    elif probe.status == 404:
        yield Remark(said("{host} has no torch (HTTP 404)", "{host} 没有 torch（HTTP 404）", **values))
    elif probe.status != 200:
        yield Remark(said(
            "{host} answers with HTTP {status}; nothing is installed from it until that ends",
            "{host} 返回 HTTP {status}；恢复之前无法从该处安装", **values,
        ), "warning")  # fmt: skip
    elif probe.page != "index":
        yield Remark(said(
            "{host} answers with a page that is no package index; nothing is installed from it until that ends",
            "{host} 返回的页面不是软件包索引；恢复之前无法从该处安装", **values,
        ), "warning")  # fmt: skip
    else:
        yield from _of_the_page(probe, host)


def _of_the_page(probe: IndexProbe, host: str) -> Iterator[Remark]:
    release = mirrors.expected_release()
    if probe.whole and probe.newest and numbers(probe.newest) < numbers(release.version):
        yield Remark(said(
            "{host} is behind: its newest torch is {newest}; {expected} came out on {date}",
            "{host} 已落后：其最新的 torch 为 {newest}；{expected} 已于 {date} 发布",
            host=host, newest=probe.newest, expected=release.version, date=release.date,
        ), "warning")  # fmt: skip
    own = {mirrors.owner(host), mirrors.owner(host_of(probe.final_url or probe.url))}
    if probe.file_hosts and mirrors.owner(probe.file_hosts[0]) not in own and mirrors.pypi_mirror(probe.url):
        yield Remark(said(
            "{host} lists files that lie on {files}: downloads go there",
            "{host} 列出的文件位于 {files}：下载会走该主机", host=host, files=probe.file_hosts[0],
        ), "warning")  # fmt: skip
