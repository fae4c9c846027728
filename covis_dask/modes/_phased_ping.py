"""A ping on its way from recorded numbers to beams."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from covis_dask.raw.record import Samples
from covis_dask.sonar._types import Complex
from covis_dask.sonar.fused import BeamBlock, FusedBeamformer

__all__ = ["PhasedPing"]


@dataclass(frozen=True, slots=True, eq=False)
class PhasedPing:
    """One ping with its phase; what is made of it is computed when it is asked for.

    Attributes
    ----------
    samples : Samples
        Element data as recorded.
    phase : float
        Phase by which they are ahead of the reference, rad.
    fused : FusedBeamformer
    rows : int
        Samples after the filter.
    """

    samples: Samples
    phase: float
    fused: FusedBeamformer
    rows: int

    def start(self, stop: int | None) -> Complex:
        """Return the first `stop` samples after phase correction, unfiltered; [n, E]."""
        data = self.samples.decode(stop)
        data *= np.exp(-1j * self.phase)
        return data

    @property
    def corrected(self) -> Complex:
        """Element data after phase correction, unfiltered, [N, E]; the beams are made without."""
        return self.start(None)

    @property
    def filtered(self) -> Complex:
        """Element data after the filter, [rows, E]; the beams are made without."""
        return self.fused.lowpass(self.corrected)

    def beams(self) -> Complex:
        """Return the beams [rows, B], machine units."""
        return self.fused(self.samples.values, self.samples.scale, self.phase)

    def beam_blocks(self, rows: int | None = None, start: int = 0) -> Iterator[BeamBlock]:
        """Yield the same, of the rows from `start` to `rows`, in blocks that are overwritten by the next."""
        return self.fused.blocks(self.samples.values, self.samples.scale, self.phase, rows, start)
