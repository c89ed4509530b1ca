"""What a client would like: the format and encoding of an answer. Source: RFC 9110, section 12.5."""

from dataclasses import dataclass

MAX_RANGES = 32  # Prometheus sends five; a header made to be expensive is read no further


@dataclass(frozen=True, slots=True)
class _Range:
    value: str
    parameters: dict[str, str]
    quality: float


def wants_openmetrics(accept: str) -> bool:
    """Tell whether OpenMetrics 1.0 is named and wanted no less than the plain text format.

    `*/*` alone means that anything will do: then the older format, which every reader knows. A client that accepts
    neither gets that too: refusing a scrape would only hide what is wrong.
    """
    openmetrics = plain = wildcard = 0.0
    for found in _ranges(accept):
        if found.value == "application/openmetrics-text" and found.parameters.get("version", "1.0.0") == "1.0.0":
            openmetrics = max(openmetrics, found.quality)
        elif found.value in ("text/plain", "text/*") and found.parameters.get("version", "0.0.4") == "0.0.4":
            plain = max(plain, found.quality)
        elif found.value == "*/*":
            wildcard = max(wildcard, found.quality)
    return openmetrics > 0 and openmetrics >= (plain or wildcard)


def wants_gzip(accept_encoding: str) -> bool:
    """Tell whether the client accepts gzip."""
    qualities = {found.value: found.quality for found in _ranges(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _ranges(header: str) -> list[_Range]:
    found = []
    for part in header.split(",")[:MAX_RANGES]:
        value, *rest = (piece.strip() for piece in part.split(";"))
        parameters = {}
        for piece in rest:
            key, _, text = piece.partition("=")
            parameters[key.strip().lower()] = text.strip().strip('"')
        found.append(_Range(value.lower(), parameters, _quality(parameters.pop("q", "1"))))
    return found


def _quality(text: str) -> float:
    """Return the weight, 0 to 1; what is no number is not wanted."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
