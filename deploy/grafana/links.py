"""How one dashboard leads to the others: their ids, and what is handed on."""

CONNECTOR, FLEET, PROBER = "connector-health-connector", "connector-health-fleet", "connector-health-prober"
TIME = "${__url_time_range}"

_SOURCE = "?var-datasource=${datasource}"
_NETWORK = "&${remote_network:queryparam}"
_ONE = "&${connector:queryparam}"

TO_CONNECTOR = f"/d/{CONNECTOR}{_SOURCE}{_NETWORK}"
"""Without a Connector: the first one is shown, and another can be chosen."""
TO_FLEET = f"/d/{FLEET}{_SOURCE}{_NETWORK}"
TO_PROBER = f"/d/{PROBER}{_SOURCE}{_NETWORK}"
TO_ITS_PROBER = f"{TO_PROBER}{_ONE}"

# From a cell of a table: what stands in it is chosen there.
CELL_CONNECTOR = f"/d/{CONNECTOR}{_SOURCE}&var-connector=${{__value.raw:percentencode}}&{TIME}"
CELL_NETWORK = f"/d/{FLEET}{_SOURCE}&var-remote_network=${{__value.raw:percentencode}}&{TIME}"
