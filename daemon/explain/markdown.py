"""docs/reasons.md, from the same data as `healthctl explain`: `python -m daemon.explain.markdown > docs/reasons.md`."""

import sys

from checks.model import Reason
from daemon.explain.page import Page
from daemon.explain.reasons import CHAPTERS

_INTRODUCTION = """\
# Reasons

Every verdict that is not `ok` names one of these reasons: in the table and JSON of `healthctl check`, in metrics,
alerts and on the status page. The list is closed. `healthctl explain REASON` prints the same text.

Words in capitals in a command stand for the target's own values. `healthctl trace RESOURCE` looks at every link of one
Resource in order; the page of an alert is in [runbooks/](runbooks/README.md).

<!-- Generated: python -m daemon.explain.markdown > docs/reasons.md -->
"""


def reasons_page() -> str:
    """Return the whole page; each reason is a heading, so that `reasons.md#refused` can be linked to."""
    parts = [_INTRODUCTION, "| reason | what was observed |\n|---|---|"]
    for pages in CHAPTERS.values():
        parts += [f"| [`{reason}`](#{reason}) | {page.meaning.replace('|', '/')} |" for reason, page in pages.items()]
    for chapter, pages in CHAPTERS.items():
        parts.append(f"\n## {chapter}")
        parts += [_entry(reason, page) for reason, page in pages.items()]
    return "\n".join(parts) + "\n"


def _entry(reason: Reason, page: Page) -> str:
    commands = "\n".join(page.commands)
    parts = [
        f"\n### {reason}",
        f"**Meaning.** {page.meaning}",
        f"**Impact.** {page.impact}",
        f"**Diagnosis.**\n\n```sh\n{commands}\n```",
        f"**Fix.** {page.fix}",
    ]
    if page.fixes:
        parts.append("\n".join(f"- {platform}: {text}" for platform, text in page.fixes.items()))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reasons_page())
