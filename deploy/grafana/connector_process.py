"""Rows of *Connector* about its process, its log, and how well we predict what users meet."""

from deploy.grafana import style
from deploy.grafana.board import Row
from deploy.grafana.panels import Column, Frame, graph, grid, number, timeline
from deploy.grafana.promql import best, chosen, increase, rate, share, worst

PREDICTED = 'predicted=~"dns_lookup_error|unable_to_connect"'
ROOM = "(connector_health_connector_max_fds - connector_health_connector_open_fds) / 8"


def _predictions(matchers: str) -> str:
    return increase(f"connector_health_predictions_total{{{matchers}}}")


_PROCESS = Row(
    title="The Connector: process, log, users",
    panels=(
        timeline(
            Frame(
                title="Process and token",
                about="Process: DOWN when its container or unit is there and does not run; a gap: nobody may look. "
                "Token: DOWN when its log shows that the Controller refused it; a gap: the log has shown nothing "
                "yet.",
                height=6,
                runbook="ConnectorDown",
            ),
            {
                "runs": worst("connector_health_connector_up"),
                "token is valid": worst("connector_health_connector_token_valid"),
            },
            style.UP,
        ),
        number(
            Frame(
                title="Restarts in the time shown",
                about="How often it was started anew while we watched: each one cuts every user off.",
                width=4,
                height=6,
                runbook="ConnectorRestarting",
            ),
            {"": increase("connector_health_connector_restarts_total")},
            steps=((None, style.GREEN), (0.5, style.ORANGE), (2.5, style.RED)),
            absent="nobody looks",
            decimals=0,
        ),
        number(
            Frame(
                title="What its log shows",
                about="At its level and settings. What is not shown is missing from the graphs below: silence of a "
                "log is no sign of health. Users' connections need TWINGATE_LOG_ANALYTICS.",
                width=8,
                height=6,
            ),
            {"{{kind}}": best("connector_health_log_capability", "kind")},
            words=style.SEEN_IN_LOG,
            absent="not known",
        ),
        graph(
            Frame(
                title="File descriptors",
                about="Each Client's tunnel takes 8. When they run out new users are refused, and so is its own DNS.",
                height=8,
                runbook="ConnectorFileDescriptorsLow",
            ),
            {
                "open": best("connector_health_connector_open_fds"),
                "allowed": best("connector_health_connector_max_fds"),
                "room for tunnels": f"max({chosen(ROOM)})",
            },
            colors={"allowed": style.RED},
        ),
        graph(
            Frame(
                title="Errors in its log",
                about="Lines a second, by what they mean. `token_…`: the Controller refuses it.",
                height=8,
                runbook="ConnectorTokenInvalid",
            ),
            {"{{cause}}": rate("connector_health_connector_log_errors_total", "cause")},
            unit="cps",
        ),
        graph(
            Frame(
                title="What users met",
                about="Connections of users in its log, a second, by how they ended. `denied`: by policy, no fault.",
                height=8,
            ),
            {"{{event}}": rate("connector_health_connector_events_total", "event")},
            unit="cps",
            colors=style.EVENTS,
        ),
        graph(
            Frame(
                title="Direct or relayed",
                about="Connections that were established, a second. Relayed ones are slower; see *Direct paths* above.",
                height=8,
                runbook="ConnectorDirectPathImpossible",
            ),
            {"{{path}}": rate("connector_health_connector_connections_total", "path")},
            unit="cps",
            stacked=True,
            colors={"direct": style.GREEN, "relayed": style.ORANGE, "unknown": style.GREY},
        ),
    ),
)

_FAILED = _predictions('observed!="none"')
_PREDICTION = Row(
    title="How well it predicts",
    panels=(
        number(
            Frame(
                title="Failures that were predicted",
                about="Recall: of the failures that users met in the time shown, the share that our verdict had "
                "called failing before. Needs the Connector's log of connections.",
                width=5,
                height=8,
            ),
            {"": share(_predictions(f'{PREDICTED}, observed!="none"'), _FAILED)},
            unit="percentunit",
            steps=((None, style.RED), (0.8, style.ORANGE), (0.95, style.GREEN)),
            absent="no user failed",
            decimals=1,
        ),
        number(
            Frame(
                title="Predictions that came true",
                about="Precision: of the predicted failures that users put to the test, the share in which they "
                "failed.",
                width=5,
                height=8,
            ),
            {"": share(_predictions(f'{PREDICTED}, observed!="none"'), _predictions(PREDICTED))},
            unit="percentunit",
            steps=((None, style.RED), (0.8, style.ORANGE), (0.95, style.GREEN)),
            absent="none was tested",
            decimals=1,
        ),
        grid(
            Frame(
                title="Predicted against met",
                about="Users' connections in the time shown, one a target and minute. Rows with different words are "
                "our mistakes; predicted `unknown` is what we could not tell.",
                width=14,
                height=8,
            ),
            {"users": f"round({increase('connector_health_predictions_total', 'predicted', 'observed')}) > 0"},
            {
                "predicted": Column(),
                "observed": Column(rename="users met"),
                "users": Column(rename="connections"),
            },
            sort="connections",
            empty="no connection in its log",
        ),
    ),
)

ROWS = (_PROCESS, _PREDICTION)
