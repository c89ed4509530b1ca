#!/bin/sh
# Helm gives the rendered manifests on standard input and takes what comes out:
#   helm upgrade --install twingate CHART --values VALUES --post-renderer ./post-renderer.sh
# (Helm 3. Helm 4 takes post-renderers as plugins: make one whose command is this file.)
set -eu
cd "$(dirname "$0")"
trap 'rm -f all.yaml' EXIT
cat > all.yaml
kubectl kustomize .
