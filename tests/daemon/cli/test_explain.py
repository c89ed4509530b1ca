import re
from pathlib import Path

import pytest

from checks.model import CheckName, Reason
from daemon.config.load import parse_config
from daemon.config.problems import ConfigError
from daemon.diagnosis.catalogue import KINDS
from daemon.explain import topics
from daemon.explain.alerts import ALERTS, DECIDED, Alert
from daemon.explain.markdown import reasons_page
from daemon.explain.reasons import CHAPTERS, REASONS
from tests.support.cli import healthctl

ROOT = Path(__file__).parents[3]
CONTRACT_ALERTS = {
    "ConnectorClockSkew": {"critical": 120, "warning": 900},
    "ConnectorClockUnverified": {"info": 3600},
    "ConnectorHostNetworkDown": {"critical": 60},
    "ConnectorControlPlaneUnreachable": {"critical": 120},
    "ConnectorTLSIntercepted": {"warning": 300},
    "ConnectorRelaysUnreachable": {"critical": 120},
    "ConnectorRelaysDegraded": {"info": 900},
    "ConnectorDirectPathImpossible": {"info": 1800},
    "ConnectorNameserverDown": {"critical": 60, "warning": 60},
    "ConnectorNameserversDisagree": {"warning": 300},
    "ConnectorDNSLookupErrors": {"resource": 60},
    "ConnectorUnableToConnect": {"resource": 60},
    "ConnectorDown": {"critical": 120},
    "ConnectorRestarting": {"warning": 0},
    "ConnectorTokenInvalid": {"critical": 60},
    "ConnectorFileDescriptorsLow": {"warning": 300},
    "ConnectorHealthDown": {"warning": 300},
    "ConnectorHealthStarved": {"warning": 900},
    "ConnectorHealthConfigStale": {"warning": 900},
    "ConnectorHealthNotificationsFailing": {"warning": 900},
    "ConnectorInventoryStale": {"warning": 900},
    "ConnectorHealthWatchdog": {"none": 0},
}
PROMETHEUS_ONLY = {
    "ConnectorHealthDown", "RemoteNetworkDown", "RemoteNetworkRedundancyLost", "FleetControlPlaneUnreachable",
    "FleetResourceDown", "ConnectorErrorBudgetBurn",
}  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_page(reason: Reason) -> None:
    """Each says what was observed, what a user meets, what to do, and a command."""
    page = REASONS[reason]
    for text in (page.meaning, page.impact, page.fix, *page.fixes.values()):
        assert re.fullmatch(r"[A-Z`].*[.)]", text), text
        assert text.count("`") % 2 == 0
    assert page.commands
    printed = topics.reason_text(reason).splitlines()
    assert all(f"    {command}" in printed for command in page.commands)


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.NXDOMAIN, Reason.OFFSET_EXCEEDED, Reason.TOKEN_GONE])
def test_platform_fixes_can_be_copied(reason: Reason) -> None:
    """Where the fix differs, each platform has its own, and no command in it is broken over two lines."""
    text, fixes = topics.reason_text(reason), REASONS[reason].fixes
    assert {"Docker", "Kubernetes"} <= set(fixes)
    for platform, fix in fixes.items():
        assert f"  - {platform}: " in text
        assert all(command in text for command in re.findall(r"`[^`]+`", fix))


@pytest.mark.parametrize("word", ["half_open", "half-open", "HalfOpen"])
def test_half_open_has_a_page(word: str) -> None:
    """It is no check and no reason, but the word stands in configuration and rows."""
    page = topics.find(word)
    assert page is not None
    assert page.startswith("half_open (method)\n\nHalf-open probes: ")
    assert "half_open" in topics.overview()


def test_no_reason_stands_in_two_chapters() -> None:
    """The chapters share out the closed list."""
    assert sum(len(pages) for pages in CHAPTERS.values()) == len(Reason) == len(REASONS)


@pytest.mark.parametrize("check", CheckName)
def test_every_check_has_a_page(check: CheckName) -> None:
    """Each check's module explains what must hold."""
    text = topics.find(check)
    assert text is not None
    assert len(text) > 200


def test_alerts_are_the_contracts() -> None:
    """Names, severities and waiting times are those of the contract."""
    tiers = {a.name: {t.severity: t.after_s for t in a.tiers} for a in ALERTS.values()}
    assert {name: tiers[name] for name in CONTRACT_ALERTS} == CONTRACT_ALERTS
    assert set(tiers) - set(CONTRACT_ALERTS) == PROMETHEUS_ONLY - {"ConnectorHealthDown"}
    assert {a.name for a in ALERTS.values() if a.carrier == "prometheus"} == PROMETHEUS_ONLY
    assert {a.name for a in ALERTS.values() if a.carrier == "push"} == {"ConnectorHealthWatchdog"}
    assert set(ALERTS) - DECIDED == PROMETHEUS_ONLY


def test_the_delay_of_a_decided_alert_only_can_be_set() -> None:
    """`alerting.after` takes the alerts that the daemon decides, and says where the others have theirs."""
    for name in ALERTS:
        text = f"alerting: {{after: {{{name}: 1m}}}}".encode()
        if name in DECIDED:
            assert parse_config(text, "config.yaml").config.alerting.after == {name: 60}
        else:
            with pytest.raises(ConfigError, match="decided by the Prometheus rules"):
                parse_config(text, "config.yaml")


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda a: a.name)
def test_every_alert_has_a_page(alert: Alert) -> None:
    """Each says when it fires, how severe it is, and what to do; what it refers to exists."""
    text = topics.alert_text(alert)
    assert text.startswith(f"{alert.name} (alert)\n\nFires when ")
    assert "\n\nEnds " in text
    assert f"\n\nRunbook: docs/runbooks/{alert.name}.md\n" in text
    for word in re.findall(r"healthctl explain (\w+)", " ".join(text.split())):
        assert topics.find(word), word
    for word in re.findall(r"--only (\w+)", text):
        assert word in list(CheckName)


@pytest.mark.parametrize("code", KINDS)
def test_every_cause_has_a_page(code: str) -> None:
    """Each says what it means, what to do, who carries it; no field of a template is left in it."""
    text = topics.find(code)
    assert text is not None
    page = text[text.index(f"{code} (cause)\n") :]
    assert "{" not in page.replace("{{", "")
    assert "\n\nWhat to do: " in page
    alert = KINDS[code].alert
    assert (f"docs/runbooks/{alert}.md" in page) if alert else ("No alert carries it" in page)
    for word in re.findall(r"healthctl explain (\w+)", " ".join(page.split())):
        assert topics.find(word), word


def test_a_name_shared_by_alert_and_cause_has_both_pages() -> None:
    """`ConnectorDown` is an alert, and the cause that it carries."""
    text = topics.find("ConnectorDown")
    assert text is not None
    assert text.startswith("ConnectorDown (alert)\n")
    assert "\nConnectorDown (cause)\n" in text


def test_reasons_page_is_current() -> None:
    """docs/reasons.md is what the data says; otherwise: python -m daemon.explain.markdown > docs/reasons.md."""
    assert (ROOT / "docs" / "reasons.md").read_text() == reasons_page()


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("refused", "refused (reason)"),
        ("REFUSED", "refused (reason)"),
        ("control-plane", "control_plane (check)"),
        ("connectorclockskew", "ConnectorClockSkew (alert)"),
        ("definition:Orders DB", "definition (check)"),
        ("NameserverDown:10.0.0.2", "NameserverDown (cause)"),
        ("zone-failing", "ZoneFailing (cause)"),
        ("tls_intercepted", "tls_intercepted (reason)"),
        ("TLSIntercepted", "TLSIntercepted (cause)"),
    ],
)
def test_words_are_found_however_they_are_written(word: str, title: str) -> None:
    """Case and hyphens do not matter, and a row's id leads to its check."""
    text = topics.find(word)
    assert text is not None
    assert text.startswith(f"{title}\n")


def test_without_argument_everything_is_listed() -> None:
    """`healthctl explain` lists every word that has a page, and ends with 0."""
    done = healthctl("explain")
    assert done.returncode == 0
    listed = set(done.stdout.split())
    assert listed.issuperset([*CheckName, *Reason, *ALERTS, *KINDS])


def test_several_pages_at_once() -> None:
    """The words of a table's last line can be copied as they are."""
    done = healthctl("explain", "refused", "nxdomain")
    assert done.returncode == 0
    assert done.stdout.startswith("refused (reason)\n")
    assert "\nnxdomain (reason)\n" in done.stdout


def test_an_unknown_word_names_the_nearest() -> None:
    """Exit code 3, nothing on standard output, and a suggestion."""
    done = healthctl("explain", "refusd\x1b[2J")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        "healthctl: unknown check, reason, alert or cause 'refusd\\x1b[2J': did you mean 'refused'"
    )
