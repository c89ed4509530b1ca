"""What a page of the product documentation consists of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The documentation of one reason.

    `meaning`: what was observed. `impact`: what a user meets. `advice`: what to do. `commands`: how to look by hand;
    words in capitals stand for the target's own values.
    """

    meaning: str
    impact: str
    advice: str
    commands: tuple[str, ...] = ()
