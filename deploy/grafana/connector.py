"""The dashboard *Connector*: is it this one, which link, since when; then each link by itself."""

from deploy.grafana import connector_links, connector_now, connector_process, connector_resources, links
from deploy.grafana.board import Board, Mark, chosen_by, jobs, runbooks, source
from deploy.grafana.promql import NETWORKS, OURS, chosen
from deploy.grafana.style import BLUE, ORANGE, PURPLE, RED

STARTED = f"process_start_time_seconds{{{OURS}}}"
RELOADED = "connector_health_config_last_reload_success_timestamp_seconds"

MARKS = (
    Mark(
        name="Connector restarted",
        expr=chosen("increase(connector_health_connector_restarts_total[2m]) > 0"),
        color=RED,
        text="the Connector was started anew",
    ),
    Mark(
        name="Daemon started",
        expr=f"1000 * ({chosen(STARTED)})",
        color=PURPLE,
        text="the daemon that watches it was started: its counters begin at 0",
        is_moment=True,
    ),
    Mark(
        name="Configuration loaded",
        expr=f"1000 * ({chosen(RELOADED)})",
        color=BLUE,
        text="the daemon loaded its configuration: Resources may be others now",
        is_moment=True,
    ),
    Mark(
        name="Reload failed",
        expr=chosen("1 - connector_health_config_last_reload_successful > 0"),
        color=ORANGE,
        text="the file has a mistake; the daemon goes on with the one before: healthctl config check",
    ),
)

CONNECTOR = Board(
    uid=links.CONNECTOR,
    file="connector.json",
    title="Connector Health / Connector",
    about="One Connector: whether users are served, which link of the chain is to blame, and since when.",
    variables=(
        source(),
        chosen_by("remote_network", "Remote Network", "connector_health_info", several=True),
        chosen_by("connector", "Connector", f"connector_health_info{{{NETWORKS}}}", several=False),
        jobs(),
        runbooks(),
    ),
    marks=MARKS,
    rows=(*connector_now.ROWS, *connector_resources.ROWS, *connector_links.ROWS, *connector_process.ROWS),
    links={"Fleet": links.TO_FLEET, "Its daemon": links.TO_ITS_PROBER},
)
