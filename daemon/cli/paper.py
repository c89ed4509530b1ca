"""Laying out lines: indented, folded at a terminal's width or not at all, coloured or not."""

from daemon.cli.terminal import columns, pad

_STYLES = {"bold": "1", "dim": "2", "red": "1;31", "green": "32", "yellow": "33", "magenta": "35"}


class Paper:
    """Collects lines. `width` is in columns; None never folds a line, for what is read by another program."""

    def __init__(self, width: int | None, *, colour: bool) -> None:
        self.width = width
        self._colour = colour
        self._lines: list[str] = []

    def line(self, text: str = "") -> None:
        """Add a line as it is: a command must stay in one piece to be copied."""
        self._lines.append(text)

    def paragraph(self, text: str, lead: str = "", indent: int | None = None) -> None:
        """Add text after `lead`, folded at words; the lines that follow are indented, by default as far as the lead."""
        indent = columns(lead) if indent is None else indent
        current, used, empty = lead, columns(lead), True
        for word in text.split(" "):
            more = columns(word) + (not empty)
            if self.width is not None and not empty and used + more > self.width:
                self._lines.append(current)
                current, used, empty, more = " " * indent, indent, True, columns(word)
            current += word if empty else f" {word}"
            used, empty = used + more, False
        self._lines.append(current.rstrip())

    def fits(self, *parts: str) -> bool:
        """Tell whether these parts fit on one line."""
        return self.width is None or sum(columns(part) for part in parts) <= self.width

    def paint(self, text: str, style: str) -> str:
        """Return the text in a style, if there is colour; apply it after everything is measured."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour else text

    def restyle(self, start: int, old: str, style: str) -> None:
        """Paint the first `old` of the line that was added as number `start`."""
        self._lines[start] = self._lines[start].replace(old, self.paint(old, style), 1)

    @property
    def count(self) -> int:
        """How many lines there are: the number that the next one will have."""
        return len(self._lines)

    def text(self) -> str:
        """Return all lines."""
        return "\n".join(self._lines) + "\n"


def cell(text: str, width: int) -> str:
    """Return a cell of a column: filled to `width`, or longer if the text is."""
    return pad(text, max(width, columns(text)))
