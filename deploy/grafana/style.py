"""Colours, words for values, thresholds: the same on every dashboard, and never a colour without its word."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana import promql

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#808080"
NOT_SEEN = "daemon not seen"

Words = Mapping[int, tuple[str, str]]
LEVELS: Words = {
    promql.FINE: ("fine", GREEN),
    promql.FAULT: ("fault, no alert", YELLOW),
    promql.SHADOW: ("shadow alert", PURPLE),
    promql.INFO: ("info", BLUE),
    promql.UNSEEN: (NOT_SEEN, GREY),
    promql.WARNING: ("WARNING", ORANGE),
    promql.CRITICAL: ("CRITICAL", RED),
    promql.BLAMED: ("BLAMED", RED),
}
UP: Words = {0: ("DOWN", RED), 1: ("up", GREEN)}
YES: Words = {0: ("NO", RED), 1: ("yes", GREEN)}
POSSIBLE: Words = {0: ("no: relayed", ORANGE), 1: ("yes", GREEN)}
ALARMING: Words = {0: ("no", GREEN), 1: ("YES", RED)}
SEEN_IN_LOG: Words = {0: ("not shown", GREY), 1: ("shown", GREEN)}

STATES = {
    "ok": GREEN, "failing": RED, "pending": YELLOW, "suppressed": ORANGE, "unknown": GREY,
    "never_up": "#5794F2", "maintenance": PURPLE, "not_probeable": "#B0B0B0", "disabled": "#606060",
}  # fmt: skip
"""Colours of the states of Resources."""
EVENTS = {
    "established": GREEN, "closed": GREY, "denied": PURPLE,
    "dns_lookup_error": RED, "unable_to_connect": ORANGE,
}  # fmt: skip
"""Colours of what becomes of users' connections."""

Steps = Sequence[tuple[float | None, str]]
NEUTRAL: Steps = ((None, BLUE),)
NONE_IS_FINE: Steps = ((None, GREEN), (1, RED))
NONE_IS_FINE_ELSE_LOOK: Steps = ((None, GREEN), (1, ORANGE))
CLOCK_FOR_CERTAIN: Steps = ((None, GREEN), (0.2, ORANGE), (1, RED))
"""Share of the tolerance that the clock is off by for certain. The daemon warns at 1 s of 5 s."""


def words(meanings: Words) -> list[model.ValueMapping]:
    """Return value mappings: what a number means, in a word and its colour."""
    results = {
        str(value): model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(meanings.items())
    }
    return [model.ValueMap(options=results)]


def without_value(text: str) -> model.SpecialValueMap:
    """Return the mapping of what is absent: its word in grey, where Grafana takes the lowest step's colour."""
    result = model.ValueMappingResult(text=text, color=GREY, index=len(LEVELS))
    options = model.DashboardSpecialValueMapOptions(match=model.SpecialValueMatch.NULL_AND_NAN, result=result)
    return model.SpecialValueMap(options=options)


def renamed(texts: Mapping[str, str]) -> list[model.ValueMapping]:
    """Return value mappings from one text to another."""
    results = {text: model.ValueMappingResult(text=other, index=n) for n, (text, other) in enumerate(texts.items())}
    return [model.ValueMap(options=results)]


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Return thresholds: from which value on which colour; the first has no value."""
    made = [model.Threshold(value=value, color=color) for value, color in steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)
