"""The alerts that look at several Connectors at once, as data: only Prometheus sees them all."""

from daemon.explain.page import Alert, one_tier

FLEET = (
    Alert(
        name="RemoteNetworkDown",
        when="a Remote Network has several Connectors, and none is known to serve users",
        tiers=one_tier("critical", 0),
        carrier="prometheus",
        advice="Look at what they all stand on: the Connectors' hosts, their network, their way to Twingate",
    ),
    Alert(
        name="RemoteNetworkRedundancyLost",
        when="a Remote Network has several Connectors, and only one is known to serve users",
        tiers=one_tier("warning", 5),
        carrier="prometheus",
        advice="Bring the others back before the last one fails: look at their own alerts",
    ),
    Alert(
        name="FleetControlPlaneUnreachable",
        when="at least three Connectors in two Remote Networks or more, and half of all that are seen, can't reach the "
        "control plane",
        tiers=one_tier("critical", 0),
        carrier="prometheus",
        advice="Look at Twingate's status page first: healthctl check --only provider",
    ),
    Alert(
        name="FleetResourceDown",
        when="a Remote Network has several Connectors, and every one that serves finds the same Resource down",
        tiers=one_tier("resource", 0),
        carrier="prometheus",
        advice="The Resource is at fault, not one Connector's way to it: healthctl explain ConnectorUnableToConnect",
    ),
    Alert(
        name="ConnectorErrorBudgetBurn",
        when="the Resources of a Connector were failing for a larger share of the time than 99.9 % allow",
        tiers=one_tier("info", 5),
        carrier="prometheus",
        advice="Find the Resource that comes and goes: healthctl status",
        ends="when the short window (5 min to 6 h) is good again",
    ),
)
