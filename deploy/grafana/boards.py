"""All dashboards that are shipped."""

from deploy.grafana.connector import CONNECTOR
from deploy.grafana.fleet import FLEET
from deploy.grafana.prober import PROBER

BOARDS = (CONNECTOR, FLEET, PROBER)
