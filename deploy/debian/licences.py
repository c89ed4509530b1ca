"""Print the package's copyright file: its head, and a paragraph for each other distribution of this environment.

    licences.py HEAD [DISTRIBUTION…]        those that are named are left out: they will not be shipped

Source: Debian's machine-readable copyright format 1.0; Python's core metadata (License-File).
"""
# ruff: noqa: INP001 - a script beside the product, not a part of its packages

import importlib.metadata
import re
import sys
from pathlib import Path

from deploy.sbom.licences import licence_of, normalised

OURS = "connector-health"
_LICENCE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE)[^/]*$", re.IGNORECASE)
_HOLDER = re.compile(r"^\W*copyright\b(?:\s*(?:\(c\)|©|,|:))*\s*(?P<who>(?:\d{4}|The ).*)$", re.IGNORECASE)
# Texts that every Debian has: they are named instead of repeated, as Debian's policy asks. The first line that tells.
_COMMON = {
    "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION": "Apache-2.0",
    "GNU LESSER GENERAL PUBLIC LICENSE": "LGPL-2.1",
}


def paragraph(one: importlib.metadata.Distribution) -> str:
    """Return what one distribution says of its authors and its licence."""
    texts = [file.read_text() or "" for file in one.files or () if _LICENCE_FILE.search(str(file))]
    tops = sorted({file.parts[0] + "/*" * (len(file.parts) > 1) for file in one.files or () if file.parts[0] != ".."})
    site = str(one.locate_file("")).strip("/")
    holders = [holder for text in texts for holder in _holders(text)]
    licence = re.sub(r"\b(AND|OR|WITH)\b", lambda word: word[0].lower(), licence_of(one))
    body = "\n\n".join(_common(text) or text.strip() for text in texts) or licence
    return "\n".join([
        "Files: " + "\n ".join(f"{site}/{top}" for top in tops),
        "Copyright: " + "\n ".join(dict.fromkeys(holders or [f"The authors of {one.metadata['Name']}"])),
        f"License: {licence}",
        *(f" {line.rstrip()}" if line.strip() else " ." for line in body.expandtabs().splitlines()),
        f"Comment: {one.metadata['Name']} {one.version}",
        "",
    ])  # fmt: skip


def _common(text: str) -> str:
    """Return where the text of a licence is on every Debian, or nothing."""
    names = (name for words, name in _COMMON.items() if words in " ".join(text.split()))
    return next((f"The full text is in /usr/share/common-licenses/{name}." for name in names), "")


def _holders(text: str) -> list[str]:
    """Return who claims the copyright beside a licence's text: not that of the text itself."""
    found = [match["who"].strip() for line in text.splitlines() if (match := _HOLDER.match(line.strip()))]
    return [who for who in found if "Free Software Foundation" not in who]


def main() -> None:
    """Write the file to standard output."""
    head, *without = sys.argv[1:]
    found = {normalised(one.metadata["Name"]): one for one in importlib.metadata.distributions()}
    others = [paragraph(one) for name, one in sorted(found.items()) if name not in {OURS, *without}]
    sys.stdout.write("\n".join([Path(head).read_text(encoding="utf-8"), *others]))


if __name__ == "__main__":
    main()
