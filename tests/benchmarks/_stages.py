"""Where the time of a run goes: CPU seconds by stage, without a profiler's own cost."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

__all__ = ["Stages", "watched"]

# Stage -> functions that belong to it; what they call counts for the innermost stage.
_WATCHED = {
    "read": (
        "covis_dask.raw._tar:TarArchive.read",
        "covis_dask.raw._tar:_Stream.read",
    ),
    "filter": ("covis_dask.sonar.fused:filter_pairs",),
    "beams": ("covis_dask.sonar.fused:FusedBeamformer._multiply", "covis_dask.sonar.fused:unfold"),
    "statistics": (
        "covis_dask.sonar.stats:add_ping",
        "covis_dask.sonar.stats:ScintillationStatistics.add",
        "covis_dask.modes.endeavour._series:Differences._add_rows",
        "covis_dask.modes.endeavour.doppler:doppler_burst",
    ),
    "detect": (
        "covis_dask.modes.ashes.imaging:imaging_samples",
        "covis_dask.modes.ashes.bathy:bathy_peaks",
        "covis_dask.modes.ashes.diffuse:seafloor_positions",
    ),
    "grid": (
        "covis_dask.sonar._gridder:Gridder.add_beams",
        "covis_dask.sonar._gridder:Gridder.add",
        "covis_dask.sonar._last_sample:PerRunGridder.finish",
        "covis_dask.sonar._last_sample:_LastSample.finish",
    ),
}


class Stages:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.process_time()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time within for a stage, and not for the one around it."""
        self._account()
        self._open.append(name)
        try:
            yield
        finally:
            self._account()
            self._open.pop()

    def close(self) -> None:
        """Count what has passed since the last stage ended."""
        self._account()

    def _account(self) -> None:
        now = time.process_time()
        self.seconds[self._open[-1] if self._open else "other"] += now - self._since
        self._since = now

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts for a stage."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return counted


@contextmanager
def watched(stages: Stages) -> Iterator[None]:
    """Count the functions above for their stages."""
    patches = []
    for name, places in _WATCHED.items():
        for place in places:
            module, _, path = place.partition(":")
            target: Any = import_module(module)
            *owners, attribute = path.split(".")
            for owner in owners:
                target = getattr(target, owner)
            patches.append(patch.object(target, attribute, stages.wrapped(name, getattr(target, attribute))))
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
