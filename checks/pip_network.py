"""Do certificates and proxies let pip through to its indexes?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.host import Host
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.network_settings import NetworkSettings
from envdoctor.facts.pip import PipConfig, host_of
from envdoctor.facts.pip_rules import unset
from envdoctor.facts.python import Python, name_of
from envdoctor.model import Scalar

TOPIC = Topic("pip", 308, Text("certificates and proxies between pip and its indexes", "pip 与索引之间的证书和代理"))


def evidence_of(probe: IndexProbe) -> dict[str, Scalar]:
    return {"host": host_of(probe.url), "url": probe.url, "option": probe.option, "detail": probe.detail or "-"}


PIP_SSL = Problem(
    code="pip-ssl",
    severity=Severity.ERROR,
    title=Text("the certificate of {host} does not verify", "{host} 的证书校验失败"),
    why=Text("pip refuses to talk to the index", "pip 拒绝与该索引通信"),
    seen=Text("{url}: {detail}", "访问 {url} 时：{detail}"),
    confirm="openssl s_client -connect {host}:443 -servername {host} </dev/null",
    caused_by=("python-ssl-missing",),
    situations={
        "authority": Situation(
            title=Text(
                "the certificate of {host} comes from an authority this Python does not know",
                "{host} 的证书由该 Python 不认识的机构签发",
            ),
            help=Text(
                "a company's proxy that opens TLS signs with its own authority: give pip the bundle that holds it",
                "解密 TLS 的企业代理会用自己的机构签发证书：请让 pip 使用包含该机构的证书文件",
            ),
        ),
        "expired": Situation(
            title=Text("the certificate of {host} is not valid today", "{host} 的证书今天无效"),
            look="date",
            help=Text("either it has expired, or this machine's clock is wrong", "要么证书已过期，要么本机时钟有误"),
        ),
        "name": Situation(
            title=Text("the certificate of {host} is for another name", "{host} 的证书属于另一个名称"),
            look="openssl s_client -connect {host}:443 -servername {host} </dev/null",
            help=Text("a portal or a wrong address answers in its place", "应答的可能是认证门户或错误的地址"),
        ),
        "bundle": Situation(
            title=Text(
                "the certificate bundle pip is told to use cannot be loaded", "pip 被指定使用的证书文件无法加载"
            ),
            seen=Text("{bundle} at {place}: {detail}", "{place} 处的 {bundle}：{detail}"),
        ),
    },
)

# OpenSSL's verdicts (x509_vfy.h): 18 and 19 self-signed, 20 and 21 unknown issuer; 9 and 10 dates; 62 and 64 names.
VERDICTS = {
    18: "authority",
    19: "authority",
    20: "authority",
    21: "authority",
    9: "expired",
    10: "expired",
    62: "name",
    64: "name",
}
# What requests, inside pip, lets win over what pip is told (psf/requests#3829).
BY_VARIABLE = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
BUNDLES = {"debian": "/etc/ssl/certs/ca-certificates.crt", "red": "/etc/pki/tls/certs/ca-bundle.crt"}


@check(PIP_SSL)
def pip_ssl(probes: IndexProbes, host: Host | None, python: Python | None) -> Iterable[Finding]:
    """A certificate that does not verify."""
    for probe in probes.indexes:
        if probe.outcome == "tls":
            situation = VERDICTS.get(probe.verify_code or 0)
            finding = PIP_SSL.found(situation, **evidence_of(probe))
            if situation == "authority":
                red = bool(
                    host and host.distribution.lower().startswith(("rhel", "rocky", "centos", "alma", "fedora", "red"))
                )
                bundle = BUNDLES["red" if red else "debian"]
                finding = finding.mended_by(f"{name_of(python)} -m pip config --user set global.cert {bundle}")
            yield finding if probe.option == "index-url" else finding.at(Severity.WARNING)


@check(PIP_SSL)
def pip_bundle(
    settings: NetworkSettings, config: PipConfig, probes: IndexProbes | None, python: Python | None
) -> Iterable[Finding]:
    """The bundle in effect is gone, empty or could not be loaded; the variables come before pip's own setting."""
    cert = config.winner("cert")
    named = [bundle.name for bundle in settings.bundles]
    variable = next((name for name in BY_VARIABLE if name in named), "")
    place = variable or (cert.place if cert else "")
    bundle = next((bundle for bundle in settings.bundles if bundle.name == place), None)
    failed = next((probe for probe in probes.indexes if probe.outcome == "bad-bundle"), None) if probes else None
    if bundle is None or (bundle.exists and bundle.certificates and not failed):
        return
    detail = failed.detail if failed else "no such file" if not bundle.exists else "holds no certificate"
    finding = PIP_SSL.found("bundle", bundle=bundle.path, place=place, detail=detail)
    mending = unset(config, cert, name_of(python)) if cert and not variable else f"unset {place}"
    yield finding.mended_by(mending)


PIP_PROXY = Problem(
    code="pip-proxy",
    severity=Severity.ERROR,
    title=Text("the proxy pip goes through does not work", "pip 所用的代理不可用"),
    why=Text("no index can be reached through it", "无法通过它访问任何索引"),
    seen=Text("{proxy} for {url}: {detail}", "{proxy} 用于 {url}：{detail}"),
    look="env -u http_proxy -u https_proxy -u HTTPS_PROXY -u ALL_PROXY python -m pip index versions torch",
    help=Text(
        "this tries without the proxy; where it is needed, correct its address",
        "此命令不经代理尝试；若确需代理，请更正其地址",
    ),
    situations={
        "login": Situation(
            title=Text("the proxy asks for a login", "代理要求登录"),
            help=Text("its address needs user:password@ in front of the host", "其地址中主机名前需要 user:password@"),
        ),
    },
)


@check(PIP_PROXY)
def pip_proxy(probes: IndexProbes) -> Iterable[Finding]:
    """A proxy that is not there, refuses the tunnel, or wants a login."""
    for probe in probes.indexes:
        if probe.outcome == "proxy":
            login = probe.proxy_status == 407
            finding = PIP_PROXY.found("login" if login else None, **evidence_of(probe), proxy=probe.proxy)
            yield finding if probe.option == "index-url" else finding.at(Severity.WARNING)
