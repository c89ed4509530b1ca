"""What the exchanges with the addresses of a control-plane endpoint amount to: status, reason, measurements, facts."""

import shlex
from collections.abc import Sequence

from checks.control_plane_text import STARVED, action, answer_text, failure_text
from checks.model import Json, Outcome, Reason, Status
from checks.net.exchange import Exchange, Phase, iso
from checks.net.seat import Resolution
from checks.net.tcp import BEST_EVIDENCE
from checks.net.tls import TlsFacts
from checks.net.url import Url

MAX_SUMMARY = 120  # one line; names and issuers may be long, and the facts have all of it
_IGNORANCE = frozenset({Reason.PROBER_STARVED, Reason.PERMISSION_DENIED, Reason.NOT_FOUND})
_DATES = frozenset({Reason.TLS_EXPIRED, Reason.TLS_NOT_YET_VALID})
_VERDICT_ON_CHAIN = _DATES | {Reason.TLS_UNTRUSTED, Reason.TLS_INTERCEPTED, Reason.TLS_NAME_MISMATCH}
_USABLE = 0  # ranks of an exchange: the lower one is the better
_ANSWERED = 1
_FAILED = 2
_FURTHEST = {Phase.HTTP: 0, Phase.TLS: 1, Phase.CONNECT: 2}
_EVIDENCE = {reason: rank for rank, reason in enumerate(BEST_EVIDENCE)}


def judge_unresolved(url: Url, resolution: Resolution) -> Outcome:
    """Return the row of an endpoint whose name has no address."""
    reason = resolution.reason or Reason.NO_ADDRESS
    host = url.endpoint.host
    ignorant = reason in _IGNORANCE
    return Outcome(
        status=Status.UNKNOWN if ignorant else Status.CRITICAL,
        reason=reason,
        summary=f"{host} does not resolve: {resolution.evidence or reason}",
        action=STARVED if ignorant else f"Make this host's nameservers resolve it. Repeat: dig {shlex.quote(host)} A",
        facts={"url": str(url), "addresses": ()},
    )


def judge(
    url: Url, resolution: Resolution, exchanges: Sequence[Exchange], *, clock_off: bool
) -> tuple[Outcome, Exchange]:
    """Return the row of an endpoint whose addresses were asked, and the exchange that decided.

    One usable address is enough. Where there is none, the one that came furthest decides, for it tells most; but if
    any was not judged for a reason of our own, none of the others can prove that nothing answers.
    """
    best = min(exchanges, key=_rank)
    if _rank(best)[0] == _FAILED:
        best = next((e for e in exchanges if e.error and e.error.reason in _IGNORANCE), best)
    only_v6 = not url.endpoint.literal and all(":" in e.address for e in exchanges)
    failed = sum(_rank(e)[0] != _USABLE for e in exchanges)
    asked = len(exchanges)
    if best.error is None:
        status, reason = _verdict_on_answer(best, only_v6=only_v6)
        summary = answer_text(url, best, failed=failed, asked=asked, reason=reason)
    else:
        status, reason = _verdict_on_failure(best.error.reason, best.phase, clock_off=clock_off, only_v6=only_v6)
        summary = failure_text(url, best, asked=asked, status=status, reason=reason)
    return Outcome(
        status=status,
        reason=reason,
        summary=summary if len(summary) <= MAX_SUMMARY else summary[: MAX_SUMMARY - 1] + "…",
        action=action(url, best, reason) if reason else "",
        measurements=_measurements(url, resolution, best),
        facts=_facts(url, exchanges, best),
    ), best


def _rank(exchange: Exchange) -> tuple[int, int, int]:
    """Order exchanges: usable, answered but not usable, failed; the failed ones by how much they tell."""
    if exchange.answer is not None:
        return (_USABLE if exchange.answer.status < 500 else _ANSWERED, 0, 0)
    reason = _failure(exchange)
    if reason is Reason.HTTP_STATUS:
        return (_ANSWERED, 1, 0)
    return (_FAILED, _FURTHEST[exchange.phase], _EVIDENCE.get(reason, len(_EVIDENCE)))


def _failure(exchange: Exchange) -> Reason:
    return exchange.error.reason if exchange.error else Reason.HTTP_STATUS


def _verdict_on_answer(best: Exchange, *, only_v6: bool) -> tuple[Status, Reason | None]:
    if _rank(best)[0] != _USABLE:
        return Status.WARNING, Reason.HTTP_STATUS
    return (Status.WARNING, Reason.NO_IPV4) if only_v6 else (Status.OK, None)


def _verdict_on_failure(reason: Reason, phase: Phase, *, clock_off: bool, only_v6: bool) -> tuple[Status, Reason]:
    if reason in _IGNORANCE:
        return Status.UNKNOWN, reason
    if reason is Reason.HTTP_STATUS:
        return Status.WARNING, reason
    if reason in _DATES and clock_off:
        return Status.SKIPPED, Reason.DEPENDENCY_FAILED
    if only_v6 and phase is Phase.CONNECT:
        return Status.CRITICAL, Reason.NO_IPV4
    return Status.CRITICAL, reason


def _measurements(url: Url, resolution: Resolution, best: Exchange) -> dict[str, float]:
    found = {} if url.endpoint.literal else {"resolve_seconds": resolution.seconds}
    found |= {f"{phase}_seconds": seconds for phase, seconds in best.seconds.items()}
    if best.certificate and best.certificate.chain:
        found["certificate_not_after_timestamp_seconds"] = best.certificate.chain[0].not_after
    return found


def _facts(url: Url, exchanges: Sequence[Exchange], best: Exchange) -> dict[str, Json]:
    asked = tuple(exchange.address for exchange in exchanges)
    facts: dict[str, Json] = {"url": str(url), "address": best.address, "addresses": asked}
    failed: dict[str, Json] = {e.address: str(_failure(e)) for e in exchanges if _rank(e)[0] != _USABLE}
    if failed:
        facts["failed_addresses"] = failed
    if best.certificate:
        facts |= _certificate_facts(best.certificate)
    if best.certificate or (best.error and best.error.reason in _VERDICT_ON_CHAIN):
        facts["tls_intercepted"] = best.error is not None and best.error.reason is Reason.TLS_INTERCEPTED
    if best.error:
        facts |= {"failed_phase": str(best.phase), "evidence": best.error.evidence}
    if best.answer:
        facts["http_status"] = best.answer.status
        if location := best.answer.header("location"):
            facts["redirects_to"] = location
    return facts


def _certificate_facts(shown: TlsFacts) -> dict[str, Json]:
    facts: dict[str, Json] = {"protocol": shown.protocol}
    if shown.chain:
        leaf = shown.chain[0]
        facts |= {
            "subject": leaf.subject,
            "issuer": leaf.issuer,
            "names": leaf.names,
            "not_before": iso(leaf.not_before),
            "not_after": iso(leaf.not_after),
            "sha256": leaf.sha256,
            "chain_issuers": tuple(certificate.issuer for certificate in shown.chain),
        }
    return facts
