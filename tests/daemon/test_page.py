"""The status page."""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from checks.model import Event, Outcome, Reason, Status
from daemon.config.schema import Resource
from daemon.moments import ago
from daemon.report import report
from daemon.web.page import MAX_ROWS, Page
from tests.support.observed import NOW, everything
from tests.support.office import office, seen
from tests.support.pages import Checker
from tests.support.views import Stage, plain_job, tcp_job

ROOT = Path(__file__).parents[2]


def render(stage: Stage, *, refresh: bool = True) -> str:
    """Render the page of a stage."""
    view = stage.view()
    return Page().render(report(view), view.now, refresh=refresh)


def test_page_of_an_office() -> None:
    """The verdict stands first, then what needs attention, the worst first, each with what to do."""
    stage = seen(office())
    stage.see(
        "tcp:10.9.8.7:631", Status.CRITICAL, Reason.REFUSED, event=Event.UNABLE_TO_CONNECT,
        summary="10.9.8.7:631 refused the connection in 1 ms",
        action="Look at the service. Repeat it by hand on this host: nc -vz -w 5 10.9.8.7 631",
    )  # fmt: skip
    stage.at += 3 * 60
    page = Checker(render(stage))
    text = page.text
    order = ["critical", "would fail now", "Connector office-1 in Office, seen from its host.", "Needs attention",
             "Name wiki.corp.internal", "Port 10.9.8.7:631", 'Resource: Printer "2"', "Unable to connect",
             "Look at the service.", "nc -vz -w 5 10.9.8.7 631", "failing for 3 minutes",
             "Control plane old.twingate.com", "pending: not yet confirmed, for 3 minutes", "Port git.corp.internal:22",
             "warning", "Relay relay-3.twingate.com", "By check",
             "Everything", "connector-health"]  # fmt: skip
    place = 0
    for words in order:
        assert words in text[place:], f"{words!r} is not in: {text[place:]}"
        place = text.index(words, place) + len(words)


def test_nothing_needs_attention() -> None:
    """When all is well the page says so, and before the first result it does not."""
    stage = Stage([plain_job("host:network")])
    assert "Nothing is known yet" in Checker(render(stage)).text
    stage.see("host:network")
    assert "Needs attention Nothing does." in Checker(render(stage)).text


def test_everything_from_outside_is_escaped() -> None:
    """Markup in names and summaries stays text."""
    evil = '<script>alert("1")</script><img src=x onerror=alert(1)>'
    stage = Stage([tcp_job("10.0.0.1", 1, evil)], [Resource(name=evil, address="10.0.0.1")])
    stage.see("tcp:10.0.0.1:1", Status.CRITICAL, Reason.REFUSED, summary=evil, action=f"{evil} By hand: {evil}")
    page = Checker(render(stage))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "iframe", "object", "form"})
    assert page.text.count(evil) >= 4


def test_one_style_sheet_and_nothing_else() -> None:
    """The page loads nothing, and its policy admits its own style sheet by hash only."""
    page = Page()
    html = page.render(report(office().view()), 0.0)
    css = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert css
    digest = base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.policy
    assert "unsafe" not in page.policy
    assert not re.search(r"\s(style|on\w+)=|<script|<link|url\(|@import|https?://", html)


def test_tables_can_be_read_aloud() -> None:
    """Every header cell names its scope, and no row relies on colour: each status is a word."""
    page = Checker(render(seen(office())))
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    assert {"lang": "en"} in [attributes for tag, attributes in page.tags if tag == "html"]
    rows = report(seen(office()).view())["checks"]
    for status in Status:
        assert page.text.count(status) >= sum(row["status"] == status for row in rows)


def test_refresh_can_be_held() -> None:
    """The page follows by itself, and stands still for who reads it."""
    assert '<meta http-equiv="refresh" content="15">' in render(office())
    assert "http-equiv" not in render(office(), refresh=False)


def test_many_rows_are_counted_not_shown() -> None:
    """No more rows than a phone can scroll; the rest is counted, with a link."""
    size = MAX_ROWS + 37
    stage = Stage([tcp_job(f"10.0.{i // 256}.{i % 256}", 1, "A") for i in range(size)])
    for row_id in list(stage.board.jobs):
        stage.see(row_id, Status.CRITICAL, Reason.REFUSED)
    page = Checker(render(stage))
    assert sum(tag == "article" for tag, _ in page.tags) == MAX_ROWS
    assert "37 more: all of them as JSON." in page.text
    assert f"{size} rows" in page.text
    assert "37 more rows: all of them as JSON." in page.text


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast() -> None:
    """Every text colour is legible on both backgrounds, light and dark (WCAG AA: 4.5)."""
    css = (ROOT / "daemon" / "web" / "templates" / "status.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    )
    for colours in (light, light | dark):
        for name in ("text", "faint", "link", "critical", "warning", "unknown", "ok", "skipped"):
            for ground in ("page", "box"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 minute"),
        (7199, "1 hour"),
        (7200, "2 hours"),
        (180000, "2 days"),
    ],
)
def test_ago(seconds: float, text: str) -> None:
    """Durations are said as a person says them."""
    assert ago(seconds) == text


def test_templates_are_in_the_wheel(tmp_path: Path) -> None:
    """What is installed can render the page."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {"daemon/web/templates/status.html", "daemon/web/templates/status.css"} <= set(names)


def test_rows_without_a_state() -> None:
    """Fixed rows and notes, which have no verdict of their own, are shown without a misleading state."""
    skipped = Outcome(status=Status.SKIPPED, reason=Reason.NOT_PROBEABLE, summary="not probed: udp only")
    stage = Stage([plain_job("tcp:10.0.0.9", fixed=skipped), plain_job("clock:system")])
    stage.see("clock:system", Status.WARNING, Reason.OFFSET_EXCEEDED)
    text = Checker(render(stage)).text
    assert "ok for" not in text
    assert "unknown for" not in text


def test_the_connector_itself() -> None:
    """Its process, the seat, its log, what was learned and how often we were right stand in a section of their own."""
    text = Checker(Page().render(report(everything()), NOW)).text
    section = text[text.index("The Connector itself") : text.index("By check")]
    order = ["Process", "container twingate-office-1 is running for 3 d", "2 restarts while watched",
             "room for 89 more", "Seat", "confidence: exact", "Log", "last state online, 2 days ago", "gave up 10.0",
             "does not show changes of state", "TWINGATE_LOG_LEVEL=5", "Learned", "2 Relays in use (1 proven)",
             "Predicted", "recall 93 %", "precision 88 %", "disagrees", "192.0.2.9:443Relay9040 s agoproven",
             "db.corp.internal:5432*.corp.internal4039 s agoprobed"]  # fmt: skip
    place = 0
    for words in order:
        assert words in section[place:], f"{words!r} is not in: {section[place:]}"
        place = section.index(words, place) + len(words)


def test_a_second_look_stands_with_its_row() -> None:
    """What was seen from the host is told with the row that it explains: once, and as no problem of its own."""
    page = Checker(Page().render(report(everything()), NOW))
    attention = page.text[: page.text.index("The Connector itself")]
    assert "From this host: ok db.corp.internal:5432 (10.1.2.3) accepted in 1 ms" in attention
    assert sum(tag == "article" for tag, _ in page.tags) == 2
    every = page.text[page.text.index("Everything") :]
    first, second = every.index("Port db.corp.internal:5432"), every.index("Port db.corp.internal:5432, from this host")
    assert 0 < second - first < 250


def test_a_second_look_needs_no_attention_and_counts_nowhere() -> None:
    """However bad what the host saw is: the row beside which it stands decides."""
    stage = Stage([tcp_job("10.0.0.1", 1)])
    stage.see("tcp:10.0.0.1:1", second=Outcome(status=Status.CRITICAL, reason=Reason.TIMEOUT, summary="no answer"))
    page = Checker(render(stage))
    assert "Nothing does." in page.text
    assert "number critical" not in [attributes.get("class") for _, attributes in page.tags]
