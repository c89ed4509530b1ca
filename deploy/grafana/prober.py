"""The dashboard *Prober*: what the daemons cost, how late they are, and whether their verdicts can be trusted."""

from deploy.grafana import links, prober_cost, prober_trust, style
from deploy.grafana.board import Board, Mark, chosen_by, jobs, runbooks, source
from deploy.grafana.promql import NETWORKS, OURS, each

PROBER = Board(
    uid=links.PROBER,
    file="prober.json",
    title="Connector Health / Prober",
    about="The daemons themselves: whether their verdicts can be trusted, how late they are, what they cost.",
    variables=(
        source(),
        chosen_by("remote_network", "Remote Network", "connector_health_info", several=True),
        chosen_by("connector", "Connector", f"connector_health_info{{{NETWORKS}}}", several=True),
        jobs(),
        runbooks(),
    ),
    marks=(
        Mark(
            name="Daemon started",
            expr=f"1000 * {each(f'process_start_time_seconds{{{OURS}}}')}",
            color=style.PURPLE,
            text="{{connector}}",
            is_moment=True,
        ),
        Mark(
            name="Configuration loaded",
            expr=f"1000 * {each('connector_health_config_last_reload_success_timestamp_seconds')}",
            color=style.BLUE,
            text="{{connector}}",
            is_moment=True,
        ),
    ),
    rows=(*prober_trust.ROWS, *prober_cost.ROWS),
    links={"One Connector": links.TO_CONNECTOR, "Fleet": links.TO_FLEET},
)
