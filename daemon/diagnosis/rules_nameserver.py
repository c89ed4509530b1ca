"""Nameservers: silent, answering without use, or saying something else than the others."""

from collections.abc import Iterator, Mapping

from checks.model import CheckName, Reason, Status
from checks.net.answers import AnswerClass
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.reading import DNS, Reading, matrix_of

_USELESS = frozenset({Reason.SERVFAIL, Reason.QUERY_REFUSED})  # valid replies that settle nothing
_SILENCE = frozenset({Reason.TIMEOUT, Reason.MALFORMED_ANSWER})
_GIVES_NOTHING = frozenset({AnswerClass.TIMEOUT, AnswerClass.ERROR})
_SAYS_NOTHING = frozenset({AnswerClass.ADDRESS, AnswerClass.UNASKED})  # of whether it differs
_UNRESOLVED_CHECKS = (CheckName.TCP, CheckName.CONTROL_PLANE, CheckName.RELAY)


def nameservers(case: Case) -> Iterator[None]:
    """NameserverDown, NameserverFailing, NameserversDisagree, RebindProtection, and what fails because of them."""
    blame: dict[str, str] = {}  # nameserver → the cause of its fault: its own, or that of the way to it
    _silent(case, blame)
    yield from _failing(case, blame)
    yield from _explain_names(case, blame)
    yield from _disagreements(case, blame)


def _silent(case: Case, blame: dict[str, str]) -> None:
    rows = case.of(CheckName.RESOLVER)
    silent = [r for r in rows if (r.bad or r.warns) and r.outcome.status is not Status.OK and not _replies(r)]
    answered = any(_replies(r) for r in rows)
    for reading in silent:
        target = reading.result.target
        elsewhere = case.cause_of(reading.id)
        if elsewhere is not None:
            blame[target] = elsewhere
            continue
        share = (
            "Another nameserver answers, so only some look-ups fail." if answered else "No other one answers either."
        )
        if reading.outcome.facts.get("seen_from_host") == "ok":
            share += " From this host it answers: only the Connector's network does not reach it."
        values = {"observed": reading.outcome.summary, "share": share if len(rows) > 1 else "It is the only one."}
        found = case.add("NameserverDown", target, values | _dig(reading), evidence=[reading.id])
        found.severity = "warning" if answered else "critical"
        found.labels = {"nameserver": target}
        blame[target] = found.id


def _replies(reading: Reading) -> bool:
    """Tell whether a nameserver's last verdict stood on a valid reply."""
    outcome = reading.outcome
    return outcome.status is Status.OK or "rcode" in outcome.facts or outcome.reason in _USELESS


def _failing(case: Case, blame: dict[str, str]) -> Iterator[None]:
    suspects = [r for r in case.still_open(CheckName.RESOLVER) if r.warns and r.reason in _USELESS]
    if not suspects:
        return
    useful: set[str] = set()  # nameservers that gave an address for some name
    for count, row_id in enumerate(case.scene.rows):
        if count % BREATH == 0:
            yield
        reading = case.reading(row_id) if row_id.startswith("dns:") else None
        if reading is not None and reading.parent is None:
            cells = matrix_of(reading.outcome).items()
            useful.update(by for by, cell in cells if cell.get("class") == AnswerClass.ADDRESS)
    for reading in suspects:
        target = reading.result.target
        if target not in useful:
            values = {"observed": reading.outcome.summary, **_dig(reading)}
            found = case.add("NameserverFailing", target, values, evidence=[reading.id])
            found.labels = {"nameserver": target}
            blame[target] = found.id


def _explain_names(case: Case, blame: Mapping[str, str]) -> Iterator[None]:
    """Explain names, and whatever resolves names for itself, where only blamed nameservers failed."""
    if not blame:
        return
    everyone = [r.result.target for r in case.of(CheckName.RESOLVER)]
    all_blamed = next((blame[t] for t in everyone if t in blame), None) if all(t in blame for t in everyone) else None
    for count, reading in enumerate(tuple(case.open.values())):
        if count % BREATH == 0:
            yield
        cause = None
        if reading.check is DNS and reading.bad:
            if "matrix" in reading.outcome.facts:
                cause = _culprit(blame, reading)
            elif _plain(reading):
                cause = all_blamed
        elif reading.check in _UNRESOLVED_CHECKS and reading.unresolved and _plain(reading):
            cause = all_blamed
        if cause is not None:
            case.explain(case.found[cause], (reading.id,))


def _plain(reading: Reading) -> bool:
    """Tell whether a failed look-up got no answer of use from anybody, whatever the name."""
    return reading.reason in _SILENCE or reading.reason in _USELESS


def _culprit(blame: Mapping[str, str], reading: Reading) -> str | None:
    """Return the cause behind the first of the nameservers asked, if each of them is to blame for its own silence."""
    if reading.good:
        return None
    cells = matrix_of(reading.outcome)
    for by, cell in cells.items():
        if by not in blame or cell["class"] not in _GIVES_NOTHING:
            return None
    return blame[next(iter(cells))] if cells else None


def _disagreements(case: Case, blame: Mapping[str, str]) -> Iterator[None]:
    for count, (row_id, reading) in enumerate(sorted(case.disagreeing.items())):
        if count % BREATH == 0:
            yield
        cells = matrix_of(reading.outcome)
        differing = [by for by, cell in cells.items() if cell.get("class") not in _SAYS_NOTHING]
        unblamed = [by for by in differing if by not in blame]
        if differing and not unblamed:
            case.explain(case.found[blame[differing[0]]], (row_id,))
            continue
        values = {"observed": reading.outcome.summary}
        for by in unblamed:
            if reading.reason is Reason.REBIND_PROTECTED:
                if cells[by].get("class") == AnswerClass.NO_ADDRESS:
                    _differs(case, "RebindProtection", by, values, reading)
            elif reading.reason is Reason.RESOLVERS_DISAGREE:
                _differs(case, "NameserversDisagree", by, values, reading)


def _differs(case: Case, code: str, by: str, values: Mapping[str, object], reading: Reading) -> None:
    known = f"{code}:{by}" in case.found
    name = f"{reading.result.target} A"
    found = case.add(code, by, {} if known else {**values, **_server(by), "question": name}, evidence=[reading.id])
    found.severity = "warning"
    found.labels = {"nameserver": by}


def _dig(reading: Reading) -> dict[str, object]:
    question = reading.outcome.facts.get("question")
    asked = question if isinstance(question, str) else ". NS"
    return {**_server(reading.result.target), "question": asked}


def _server(target: str) -> dict[str, object]:
    host, colon, port = target.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return {"server": target, "dig_port": ""}
    return {"server": host.strip("[]"), "dig_port": f" -p {port}"}
