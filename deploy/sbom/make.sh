#!/bin/sh
# Write what a Python environment consists of as a CycloneDX 1.6 document (JSON): the SBOM of the .deb and of the image.
#
#   deploy/sbom/make.sh VENV_PYTHON OUTPUT
#
# Run it last, when what only the build needed is gone from that environment: it lists what is installed then, as its own
# metadata tells. VENV_PYTHON needs no pip. The tool that writes the list goes into an environment of its own, thrown
# away afterwards, so that it is never part of what it describes.
# SOURCE_DATE_EPOCH becomes the document's time; without it, it has none. SBOM_PYTHON: the Python (with venv) for the
# tool; the one that VENV_PYTHON was made with, unless it is set.
set -eu

if [ $# -ne 2 ] || [ ! -x "$1" ]; then
  echo "usage: $0 VENV_PYTHON OUTPUT (the interpreter of an environment in which connector-health is installed)" >&2
  exit 2
fi
python=$1
output=$2
source=$(cd "$(dirname "$0")/../.." && pwd)
name=connector-health
export PYTHONDONTWRITEBYTECODE=1 # the environment stays as it is: packages are compared byte for byte

version=$("$python" -I -c 'import sys; from importlib.metadata import version; print(version(sys.argv[1]))' "$name")
work=$(mktemp -d)
part=$(mktemp "$(dirname "$output")/.sbom.XXXXXX")
trap 'rm -rf "$work" "$part"' EXIT

"${SBOM_PYTHON:-$python}" -m venv "$work/tool"
# Wheels only: a source package would run code of its own here, and want a compiler.
"$work/tool/bin/pip" install -q --require-hashes --disable-pip-version-check --no-cache-dir --only-binary :all: \
  -r "$source/requirements/sbom.txt"

# The version stands in daemon/version.py, which the tool does not read.
sed "s/^dynamic = \[\"version\"\]\$/version = \"$version\"/" "$source/pyproject.toml" > "$work/pyproject.toml"
"$work/tool/bin/cyclonedx-py" environment "$python" --pyproject "$work/pyproject.toml" --mc-type application \
  --sv 1.6 --output-format JSON --output-reproducible --output-file "$work/sbom.json"

# Whoever reads the document must find the product by name and version: a tool that changed must not pass unseen.
"$python" -I - "$work/sbom.json" "$name" "$version" <<'CHECK'
import json
import sys

file, name, version = sys.argv[1:]
with open(file, encoding="utf-8") as text:
    document = json.load(text)
root = document["metadata"]["component"]
if (root.get("name"), root.get("version")) != (name, version) or not document.get("components"):
    sys.exit(f"{file}: expected {name} {version} and its components, got {root.get('name')} {root.get('version')}")
CHECK
cat "$work/sbom.json" > "$part"
chmod 644 "$part"
mv "$part" "$output"
