"""`make chart`: bring into the chart what has its source elsewhere, and never is edited there.

Rules and dashboards are copied as they are. The part of values.schema.json that says what `config` may hold is made
from the daemon's own types, so that Helm refuses a mistake in it before anything is installed.
"""  # noqa: INP001 - a script, not a package

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.config.json_schema import json_schema

REPOSITORY = Path(__file__).parents[1]
CHART = REPOSITORY / "helm/connector-health"
SOURCES = {
    "files/rules": ("deploy/prometheus", "*.rules.yml"),
    "files/dashboards": ("deploy/grafana", "*.json"),
}
"""Folder of the chart: the folder that it is copied from, and which files of it."""

_LOOKAHEAD = re.compile(r"\^\(\?!(?P<never>.*)\)(?P<always>\[.*\$)")


def build(chart: Path) -> None:
    """Copy the files, and write the schema anew."""
    for folder, sources in copied().items():
        target = chart / folder
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for source in sources:
            shutil.copyfile(source, target / source.name)
    schema = chart / "values.schema.json"
    schema.write_text(with_config(schema.read_text()))


def copied() -> dict[str, list[Path]]:
    """Return for each folder of the chart the files that belong in it."""
    return {folder: sorted((REPOSITORY / where).glob(names)) for folder, (where, names) in SOURCES.items()}


def with_config(text: str) -> str:
    """Return the schema of the values, with what `config` may hold as it is today."""
    schema = json.loads(text)
    config = _for_helm(json_schema())
    del config["$schema"]  # one dialect in one file; it uses nothing that draft 7 has not
    # The chart adds what the mode asks for, and a part may leave out what another has: nothing is required at the top.
    schema["definitions"]["config"] = config
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _for_helm(schema: Any) -> Any:  # noqa: ANN401 - any node of a JSON document
    """Rewrite what Helm's regular expressions (Go's) do not know: "not followed by" becomes a second rule."""
    if isinstance(schema, list):
        return [_for_helm(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return dict(_entries(schema))


def _entries(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key == "pattern" and isinstance(value, str) and (found := _LOOKAHEAD.fullmatch(value)):
            yield "pattern", f"^{found['always']}"
            yield "not", {"pattern": f"^({found['never']})"}
        else:
            yield key, _for_helm(value)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else CHART)
