"""The status page, read as a browser reads it."""

from html.parser import HTMLParser

VOID = {"meta", "br", "link"}


class Checker(HTMLParser):
    """Collects tags and text; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Match it with the one that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember what is read."""
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that a person reads, with single spaces."""
        return " ".join("".join(self.words).split())
