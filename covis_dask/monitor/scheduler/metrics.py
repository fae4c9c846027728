"""The state as Prometheus metrics."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from covis_dask.batches.status import STATES
from covis_dask.monitor.scheduler.state import SchedulerState

__all__ = ["metrics"]

_BATCH = ("batch",)


class _Collector:
    """Reads the state whenever somebody scrapes."""

    def __init__(self, state: SchedulerState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, labelled by batch."""
        batches = self._state.batches
        runs = GaugeMetricFamily(
            "covis_runs", "Runs of a batch by mode and state", labels=("batch", "mode", "state")
        )
        expected = GaugeMetricFamily("covis_runs_expected", "Runs selected", labels=("batch", "mode"))
        stages = CounterMetricFamily("covis_stage_seconds", "Worker seconds spent", labels=("batch", "stage"))
        kinds = GaugeMetricFamily(
            "covis_runs_by_kind", "Runs that did not become a product", labels=("batch", "kind")
        )
        gauge, counter = GaugeMetricFamily, CounterMetricFamily
        simple: dict[str, CounterMetricFamily | GaugeMetricFamily] = {
            "running": gauge("covis_runs_running", "Runs on the cluster", labels=_BATCH),
            "retrying": gauge("covis_runs_retrying", "Runs waiting to be tried again", labels=_BATCH),
            "bytes_in": counter("covis_read_bytes", "Bytes of raw archives read", labels=_BATCH),
            "bytes_out": counter("covis_written_bytes", "Bytes of products written", labels=_BATCH),
            "eta": gauge("covis_eta_seconds", "Time to go, where it is known", labels=_BATCH),
        }
        for name, status in batches.items():
            for family, mode in status.modes.items():
                expected.add_metric((name, family), mode.expected)
                for state in STATES:
                    runs.add_metric((name, family, state), mode.counts[state])
            for stage, seconds in status.stages.items():
                stages.add_metric((name, stage), seconds)
            for kind, count in status.kinds.items():
                kinds.add_metric((name, kind), count)
            for attribute, family_of_metrics in simple.items():
                value = getattr(status, attribute)
                if value is not None:
                    family_of_metrics.add_metric((name,), value)
        workers = GaugeMetricFamily("covis_workers", "Workers by what they do", labels=("doing",))
        busy = sum(worker.run is not None for worker in self._state.workers.values())
        workers.add_metric(("run",), busy)
        workers.add_metric(("nothing",), len(self._state.workers) - busy)
        yield from (runs, expected, stages, kinds, *simple.values(), workers)


def metrics(state: SchedulerState) -> bytes:
    """Return the state in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Collector(state))
    return generate_latest(registry)
