"""Twingate's own status page, so that nobody debugs an outage of theirs as if it were at home.

What must hold: the page (`provider.status_url`, Statuspage's `summary.json`) shows the components that carry user
traffic as operational, and no unresolved incident that touches them: the groups and components of the Controller and
of the Relay infrastructure. Admin Console, Admin API, Analytics and Homepage do not matter here: Twingate states that
an Admin Console outage has no effect on end-user connectivity.

ok: nothing that matters is affected; what else is, is told in words and facts.
warning: `unhealthy`: such a component is not operational (maintenance too), an unresolved incident touches one or does
not say what it touches, or the page's indicator is not "none" and nothing on the page says why. A provider's finding is
shown beside our own and never worsens the exit code of `healthctl check`.
unknown: the page can't be had, with the reason of that failure (`http_status`: not 200; `malformed_answer`: not a
summary). The page being away says nothing about the service.
skipped: `not_probeable`: not asked, because `provider.enabled` is `never`, or `on_failure` and nothing
between this host and Twingate fails now.

Measured: `http_seconds`, from the request to the head of the answer.

Can't see: an incident before Twingate writes about it. The certificate's dates are not judged (the host's clock may be
what is wrong); at most 2 addresses of the page are asked, one after the other, each within the time-out; the answer may
have at most 1 MiB. Source: Twingate documentation, "Maintenance events and service status"; Statuspage API v2.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.errors import NetError
from checks.net.http import HttpResponse, open_http
from checks.net.seat import Context
from checks.net.url import Url, parse_url

CRITICAL_REASONS: frozenset[Reason] = frozenset()
MAX_BODY_BYTES = 1 << 20  # a real summary has some 20 KiB; its history is elsewhere
MAX_ADDRESSES = 2  # the page stands behind a content network: the second address is as good as the eighth
MAX_TOLD = 5  # incidents in the facts; more at once are read on the page itself
MAX_SUMMARY = 120  # one line; the facts have all of it
_MATTERS = ("controller", "relay")  # in the name of a component or of its group
_OPERATIONAL = "operational"
_OVER = frozenset({"resolved", "postmortem", "completed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """The status page, and when to ask for it. `target` names its row: the page's host."""

    status_url: str
    target: str
    enabled: Literal["never", "on_failure", "always"] = "on_failure"
    ca_file: str | None = None
    timeout_s: float = 5.0


class _Overall(msgspec.Struct, frozen=True):
    """The page's own conclusion: none, minor, major, critical, or what they may add."""

    indicator: str
    description: str = ""


class _Component(msgspec.Struct, frozen=True):
    id: str
    name: str
    status: str = _OPERATIONAL
    group_id: str | None = None


class _Incident(msgspec.Struct, frozen=True):
    name: str
    status: str = ""
    impact: str = ""
    started_at: str | None = None
    shortlink: str | None = None
    components: tuple[_Component, ...] = ()


class _Summary(msgspec.Struct, frozen=True):
    """`summary.json`, as far as it is used; anything else in it is ignored."""

    status: _Overall
    components: tuple[_Component, ...] = ()
    incidents: tuple[_Incident, ...] = ()


_DECODER = msgspec.json.Decoder(_Summary)


async def probe(spec: ProviderSpec, context: Context) -> Rows:
    """Ask the status page once, if it is to be asked at all."""
    if spec.enabled == "never":
        return {spec.target: _not_asked("provider.enabled is never")}
    if spec.enabled == "on_failure" and not context.trouble:
        return {spec.target: _not_asked("nothing between this host and Twingate fails")}
    url = parse_url(spec.status_url)
    try:
        answer = await _ask(spec, context, url)
        page = _read(answer)
    except NetError as error:
        return {spec.target: _not_had(url, error)}
    return {spec.target: _judge(url, page, answer.received_at - answer.sent_at)}


async def _ask(spec: ProviderSpec, context: Context, url: Url) -> HttpResponse:
    resolution = await context.seat.resolver.resolve(url.endpoint.host)
    failure = NetError(resolution.reason or Reason.NO_ADDRESS, resolution.evidence or "the name has no address")
    for address in resolution.addresses[:MAX_ADDRESSES]:
        try:
            connection = await open_http(
                context, spec.status_url, address, ca_file=spec.ca_file, timeout_s=spec.timeout_s
            )
            try:
                return await connection.request(
                    "GET", url.target, host=url.host_header, timeout_s=spec.timeout_s, max_body=MAX_BODY_BYTES
                )
            finally:
                connection.close()
        except NetError as error:
            failure = error
    raise failure


def _read(answer: HttpResponse) -> _Summary:
    if answer.status != 200:
        raise NetError(Reason.HTTP_STATUS, f"it answers with HTTP {answer.status}")
    try:
        return _DECODER.decode(answer.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NetError(Reason.MALFORMED_ANSWER, f"it is not a Statuspage summary: {error}") from error


def _judge(url: Url, page: _Summary, seconds: float) -> Outcome:
    groups = {component.id: component.name for component in page.components}
    carrying = {c.id for c in page.components if _matters(c, groups)}
    affected = [c for c in page.components if c.status != _OPERATIONAL]
    incidents = [i for i in page.incidents if i.status not in _OVER]
    touched = [c.name for c in affected if c.id in carrying]
    serious = [i.name for i in incidents if not i.components or any(_matters(c, groups) for c in i.components)]
    unexplained = page.status.indicator != "none" and not affected and not incidents
    facts: dict[str, Json] = {
        "indicator": page.status.indicator,
        "description": page.status.description,
        "affected_components": {c.name: c.status for c in affected[:MAX_TOLD]},
        "incidents": tuple(_told(i) for i in incidents[:MAX_TOLD]),
    }
    host, elsewhere = url.endpoint.host, [c.name for c in affected] or [i.name for i in incidents]
    if not (touched or serious or unexplained):
        quiet = f"{host}: no incident"
        if elsewhere:
            quiet = f"{host}: an incident, but not with user connections: {', '.join(elsewhere)}"
        return Outcome(status=Status.OK, summary=_cut(quiet), measurements={"http_seconds": seconds}, facts=facts)
    what = serious[0] if serious else ", ".join(touched)
    return Outcome(
        status=Status.WARNING,
        reason=Reason.UNHEALTHY,
        summary=_cut(f"{host}: {what or page.status.description or page.status.indicator}"),
        action=f"Twingate reports trouble of its own. Read {_site(url)} before looking for the fault here.",
        measurements={"http_seconds": seconds},
        facts=facts,
    )


def _matters(component: _Component, groups: Mapping[str, str]) -> bool:
    """Tell whether user traffic depends on a component, by its name or that of its group."""
    group = groups.get(component.group_id or "", "")
    return any(word in name.casefold() for word in _MATTERS for name in (component.name, group))


def _told(incident: _Incident) -> Json:
    return {
        "name": incident.name,
        "status": incident.status,
        "impact": incident.impact,
        "started_at": incident.started_at,
        "link": incident.shortlink,
        "components": tuple(component.name for component in incident.components[:MAX_TOLD]),
    }


def _not_asked(why: str) -> Outcome:
    return Outcome(
        status=Status.SKIPPED,
        reason=Reason.NOT_PROBEABLE,
        summary=f"not asked: {why}",
        action="Set provider.enabled to always to have it asked in every round.",
    )


def _not_had(url: Url, error: NetError) -> Outcome:
    return Outcome(
        status=Status.UNKNOWN,
        reason=error.reason,
        summary=_cut(f"{url.endpoint.host} can't be read: {error.evidence}"),
        action=f"This says nothing about the service. Repeat: curl -sv --noproxy '*' {shlex.quote(str(url))}",
        facts={"evidence": error.evidence},
    )


def _site(url: Url) -> str:
    return f"{url.scheme}://{url.host_header}/"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"
