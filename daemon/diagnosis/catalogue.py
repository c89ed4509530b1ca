"""Every cause as data, from this host outwards."""

from types import MappingProxyType

from daemon.diagnosis import (
    catalogue_connector,
    catalogue_host,
    catalogue_resolver,
    catalogue_resource,
    catalogue_twingate,
)
from daemon.diagnosis.kind import Kind

_ALL: tuple[Kind, ...] = (
    *catalogue_host.KINDS,
    *catalogue_resolver.KINDS,
    *catalogue_twingate.KINDS,
    *catalogue_connector.KINDS,
    *catalogue_resource.KINDS,
)
KINDS = MappingProxyType({kind.code: kind for kind in _ALL})
"""Every cause code and what is said of it."""
