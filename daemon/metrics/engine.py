"""How the engine itself is doing: scheduler, event loop, configuration."""

from daemon.counters import BUCKETS_S
from daemon.metrics.exposition import Family
from daemon.metrics.families import counter, gauge, histogram
from daemon.view import View


def engine_families(view: View) -> list[Family]:
    """Return what the engine says of itself."""
    engine = view.engine
    lag = histogram("scheduler_lag_seconds", "How late jobs start after their due time.")
    lag.add_histogram(BUCKETS_S, engine.scheduler_lag.counts, engine.scheduler_lag.total)
    in_flight = gauge("scheduler_in_flight", "Probes under way now.")
    in_flight.add(engine.in_flight)
    missed = counter("scheduler_missed", "Due times that were skipped because the run before was not finished.")
    missed.add(engine.missed)
    starved = gauge(
        "starved", "1 while this process lacks CPU time, or this host room for connections: verdicts are unknown then."
    )
    starved.add(engine.starved)
    loop = gauge("event_loop_lag_seconds", "The largest delay of the event loop in the last 60 s.")
    loop.add(engine.event_loop_lag_s)
    reload = gauge("config_last_reload_successful", "1 if the last (re)load of the configuration succeeded.")
    reload.add(engine.reload_ok)
    reloaded = gauge(
        "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded, in Unix time."
    )
    reloaded.add(engine.reloaded_at)
    return [lag, in_flight, missed, starved, loop, reload, reloaded]
