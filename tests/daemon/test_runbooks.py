import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from checks.model import CheckName, Reason
from daemon.alert import LABELS
from daemon.cli.group import cli
from daemon.config.describe import KEYS
from daemon.diagnosis.catalogue import KINDS
from daemon.explain import topics
from daemon.explain.alerts import ALERTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FOLDER = DOCS / "runbooks"
RUNBOOKS = {file.stem: file.read_text() for file in sorted(FOLDER.glob("*.md")) if file.stem != "README"}
INDEX = (FOLDER / "README.md").read_text()
PAGES = [
    *(page for top in ("docs", "deploy", "helm") for page in sorted((ROOT / top).rglob("*.md"))),
    *sorted(ROOT.glob("*.md")),
]
RULES = sorted((ROOT / "deploy" / "prometheus").glob("*.rules.yml"))
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Fix", "When it is not that", "How it ends"]
PLATFORMS = ("Docker", "systemd", "Kubernetes", "AWS", "Azure", "Google Cloud")
MAX_LINES = 90
CHECKS_BY_NAME = frozenset(str(check) for check in CheckName)
METRICS = set(
    re.findall(r"^# TYPE (\S+)", (Path(__file__).parent / "data" / "metrics.golden.txt").read_text(), re.MULTILINE)
)
OF_THE_CHART = frozenset(
    {
        "connector.accessToken",
        "connector.refreshToken",
        "connector.dnsServer",
        "resources.limits.memory",
        "resources.requests.cpu",
    }
)  # of Twingate's Helm chart, and of Kubernetes
FOREIGN = frozenset(
    {
        "alert_active", "bearer_file", "errors_total", "dropped_total", "group_wait", "keep_firing_for", "network_mode",
        "password_file", "ping_group_range", "remote_network", "runbook_url", "target_seconds_total",
        "check_failures_total", "scheduler_missed_total", "event_loop_lag_seconds", "external_labels",
        "expected_issuers", "ca_file", "max_over_time",
    }
)  # fmt: skip
"""Words with an underscore that are no reason: labels, keys without their section, metrics without their prefix."""


def _rules() -> Iterator[tuple[str, str]]:
    """Yield each alert of the shipped rules with its `runbook_url`."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield rule["alert"], rule["annotations"]["runbook_url"]


def _spans(text: str) -> list[str]:
    """Return what stands between back quotes, and the lines of code blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)] + "\n".join(blocks).splitlines()


def _commands(text: str) -> list[list[str]]:
    """Return every `healthctl …` that a page tells to type, as words."""
    found = []
    for span in _spans(text):
        for part in re.split(r"&&|;|\|(?!\|)|\s#", span):
            words = part.split()
            if words[:1] == ["healthctl"] and "…" not in part:
                found.append(shlex.split(part)[1:])
    return found


def _parse(args: list[str]) -> None:
    """Let the command line read these words, down to the last command, and run nothing."""
    command: click.Command = cli
    context = click.Context(cli, info_name="healthctl")
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(args)
        if not rest:
            context.fail("a command is missing")
        found_name, found, args = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, info_name=found_name, parent=context)
    command.make_context(context.info_name, args, parent=context.parent)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """The pages, the alerts that are explained, and those of the shipped rules are the same set."""
    assert set(RUNBOOKS) == set(ALERTS)
    assert RULES
    for alert, url in _rules():
        assert alert in RUNBOOKS
        assert url == f"docs/runbooks/{alert}.md"


@pytest.mark.parametrize("name", RUNBOOKS)
def test_sections_stand_in_order(name: str) -> None:
    """Who is woken finds the same sections on each page, and in the first line whether users are affected."""
    lines = RUNBOOKS[name].splitlines()
    assert lines[0] == f"# {name}"
    assert lines[2].startswith("**Users:")
    assert lines[2].endswith("**")
    assert [line[3:] for line in lines if line.startswith("## ")] == SECTIONS
    assert len(lines) <= MAX_LINES
    sections = dict(zip(SECTIONS, re.split(r"^## .*\n", RUNBOOKS[name], flags=re.MULTILINE)[1:], strict=True))
    assert all(text.strip() for text in sections.values())
    assert "`" in sections["Diagnosis"]
    assert "healthctl " in sections["Diagnosis"]
    assert "(../alerts.md)" in sections["How it ends"]
    missing = [platform for platform in PLATFORMS if platform not in sections["Fix"]]
    assert not missing


@pytest.mark.parametrize("name", RUNBOOKS)
def test_severity_and_delay_are_those_of_the_alert(name: str) -> None:
    """The line of the severity names each severity of the alert, and how long it waits."""
    line = RUNBOOKS[name].splitlines()[4]
    assert line.startswith("Severity: ")
    for tier in ALERTS[name].tiers:
        assert ("Resource" if tier.severity == "resource" else tier.severity) in line
        minutes = round(tier.after_s / 60)
        waits = f"{minutes // 60} h" if minutes and minutes % 60 == 0 else f"{minutes} min"
        assert (waits if minutes else ("push" if ALERTS[name].carrier == "push" else "at once")) in line


@pytest.mark.parametrize("page", [*RUNBOOKS, "alerts", "diagnosis", "trace", "reasons"])
def test_commands_can_be_typed(page: str) -> None:
    """Every `healthctl …` is read by our own command line: commands, options and values exist."""
    text = RUNBOOKS.get(page) or (DOCS / f"{page}.md").read_text()
    for args in _commands(text):
        if args[:1] == ["explain"]:
            words = [word for word in args[1:] if not word.isupper()]  # those in capitals stand for a value
            assert all(topics.find(word) for word in words), args
        if "--only" in args:
            checks = args[args.index("--only") + 1].split(",")
            assert set(checks) <= set(CHECKS_BY_NAME), args
        try:
            _parse(args)
        except click.MissingParameter:
            assert len(args) == 1, args  # a command that is only named
        except click.UsageError as error:
            pytest.fail(f"{' '.join(args)}: {error.format_message()}")


@pytest.mark.parametrize("name", [*RUNBOOKS, "README"])
def test_names_exist(name: str) -> None:
    """Every alert, reason, metric and key of the configuration that a runbook names is there."""
    text = RUNBOOKS.get(name, INDEX)
    for word in re.findall(r"\b(?:Connector|RemoteNetwork|Fleet)[A-Z]\w+", text):
        assert word in ALERTS or word in KINDS, word
    for word in re.findall(r"connector_health_\w+", text):
        assert word in METRICS or any(word == f"{metric}_total" for metric in METRICS), word
    words = {str(reason) for reason in Reason} | CHECKS_BY_NAME | set(LABELS) | FOREIGN
    leaves = {key.rpartition(".")[2] for key in KEYS}
    for span in _spans(text):
        if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", span) and not span.startswith("connector_health_"):
            assert span in words or span in leaves, span
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", span) and f"{span.partition('.')[0]}." in {f"{k}." for k in KEYS}:
            assert span in KEYS or span in OF_THE_CHART, span


def test_the_index_lists_every_alert() -> None:
    """The table has a row for each alert, with its severities and a link to its page."""
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (.*?) \|", INDEX, re.MULTILINE))
    assert set(rows) == set(ALERTS)
    for name, severities in rows.items():
        for tier in ALERTS[name].tiers:
            assert ("the Resource's" if tier.severity == "resource" else tier.severity) in severities


def test_every_cause_stands_in_the_table() -> None:
    """docs/diagnosis.md has each cause with the alert that carries it, and no other."""
    rows = re.findall(r"^\| (`\w+`.*?) \|.*\| (\S+) \|$", (DOCS / "diagnosis.md").read_text(), re.MULTILINE)
    told: dict[str, set[str | None]] = {}
    for causes, alert in rows:
        for code in re.findall(r"`(\w+)`", causes):
            told.setdefault(code, set()).add(None if alert == "—" else alert)
    assert set(told) == set(KINDS)
    for code, alerts in told.items():
        assert KINDS[code].alert in alerts
        assert alerts - {None} <= set(ALERTS)


def _anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file of the tree, and every anchor to a heading in it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file), target
