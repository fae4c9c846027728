"""From recorded numbers to beams in one go: unit, phase, filter, beams.

See docs/method.md#phase-correction to #beamforming.

The same as `Lowpass` and `Beamformer` one after the other, and tested against them. The sums and differences
of mirrored elements, which the beamformer needs, are made first and filtered instead of the elements; a few
of them at a time go through decoding and filter while they are in the cache. Where only the first rows are
wanted, the rest is left out: the filter forgets what is far away.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter_zi

from covis_dask.sonar._ping_kernels import PAIRS, Folded, Recorded, Recursion, filter_pairs, unfold
from covis_dask.sonar._types import Complex
from covis_dask.sonar.beamform import Beamformer
from covis_dask.sonar.filter import Lowpass

__all__ = ["BeamBlock", "FusedBeamformer", "Precision"]

Precision = Literal["float64", "float32"]
BeamBlock = tuple[slice, NDArray[np.complexfloating[Any, Any]]]
"""Rows of a ping, and their beams [n, B]; overwritten by the next block."""

_ORDER = 4
_ROWS = 400
_FORGOTTEN = 1e-17
_LINE = 64
"""Bytes of a line of the cache."""


class FusedBeamformer:
    """Makes beams from pings as they were recorded.

    Parameters
    ----------
    lowpass : callable
        A `Lowpass`, or a function that returns element data as they are. Filters of order 4 are fast.
    beams : Beamformer
        Fast when its beams are mirrored about the middle.
    precision : {"float64", "float32"}
        Of the beams, and of what the filter's first pass leaves to the second. Arithmetic of the filter and
        all later sums are float64 in both.
    """

    def __init__(
        self, lowpass: Callable[[Complex], Complex], beams: Beamformer, precision: Precision = "float64"
    ) -> None:
        self.lowpass = lowpass
        self.beams = beams
        self._real = np.dtype(precision)
        self._complex = np.result_type(self._real, np.complex64)
        self._even, self._odd = (part.astype(self._real) for part in beams.folded)
        self._rest, self._memory = np.empty(0), 0
        if isinstance(lowpass, Lowpass):
            # The state for a constant 1, and the rows after which what was before no longer counts.
            self._rest = lfilter_zi(lowpass.b, lowpass.a)
            self._memory = _memory(lowpass) if lowpass.zero_phase else 0
        self._room: dict[str, NDArray[Any]] = {}

    def __call__(
        self, values: NDArray[Any], scale: float, phase: float, rows: int | None = None
    ) -> NDArray[Any]:
        """Return the beams [rows, B] of a ping.

        Parameters
        ----------
        values : ndarray of int16 or float64, [N, 2 E]
            I and Q of every element, as recorded; int16 is fast.
        scale : float
            Machine units per recorded one.
        phase : float
            Phase by which the ping is ahead of its reference, rad.
        rows : int, optional
            Return the first so many rows; all when not given.

        Raises
        ------
        ValueError
            The ping is too short to be filtered, or has not the channels of the beamformer.
        """
        count = self.rows_of(len(values), rows)
        beams = np.empty((count, len(self.beams.angles)), self._complex)
        for where, block in self.blocks(values, scale, phase, rows):
            beams[where] = block
        return beams

    def rows_of(self, nsamps: int, rows: int | None = None) -> int:
        """Return how many rows a ping of `nsamps` samples gives, at most `rows`.

        Raises
        ------
        ValueError
            The ping is too short to be filtered.
        """
        if isinstance(self.lowpass, Lowpass) and self.lowpass.zero_phase:
            self.lowpass.check_length(nsamps)
        decimation = self.lowpass.decimation if isinstance(self.lowpass, Lowpass) else 1
        whole = -(-nsamps // decimation)
        return whole if rows is None else min(rows, whole)

    def blocks(
        self, values: NDArray[Any], scale: float, phase: float, rows: int | None = None, start: int = 0
    ) -> Iterator[BeamBlock]:
        """Yield the same beams, from row `start` on, in blocks of rows that fit in the cache."""
        nelems = len(self.beams.weights)
        if values.shape[1] != 2 * nelems:
            raise ValueError(f"{values.shape[1] // 2} channels, but the beamformer was made for {nelems}")
        count = self.rows_of(len(values), rows)
        if start >= count:
            return
        lowpass = self.lowpass
        if not (
            isinstance(lowpass, Lowpass)
            and lowpass.order == _ORDER
            and self.beams.mirrored
            and values.dtype == np.int16
            and nelems % (2 * PAIRS) == 0
        ):
            yield slice(start, count), self._plainly(values, scale, phase)[start:count]
            return
        even, odd = self._filtered(lowpass, values, scale, phase, count)
        for first in range(start, count, _ROWS):
            where = slice(first, min(first + _ROWS, count))
            n = where.stop - first
            cosines = self._multiply(even[where], self._even, "cosines")
            sines = self._multiply(odd[where], self._odd, "sines")
            block = self._buffer("block", (n, len(self.beams.angles)), self._complex)
            unfold(cosines, sines, block.view(self._real))
            yield where, block

    def _multiply(self, parts: NDArray[Any], matrix: NDArray[Any], room: str) -> NDArray[Any]:
        """Return the products [n, 2, B / 2] of real and imaginary parts with a real matrix."""
        products = self._buffer(room, (len(parts), 2, matrix.shape[1]), self._real)
        flat = products.reshape(2 * len(parts), -1)
        np.matmul(parts.reshape(2 * len(parts), -1), matrix, out=flat)
        return products

    def _filtered(
        self, lowpass: Lowpass, values: NDArray[Any], scale: float, phase: float, count: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return sums and differences of the pairs of elements, filtered; [count, 2, E / 2]."""
        pad = lowpass.padding if lowpass.zero_phase else 0
        needed = (count - 1) * lowpass.decimation + 1 + max(self._memory, pad)
        # Recorded samples begin anywhere in a line of the cache. The few elements that are filtered together
        # would lie in two lines, and be fetched twice: that takes ten times as long as this copy.
        samples = self._buffer("samples", (min(needed, len(values)), values.shape[1]), values.dtype)
        np.copyto(samples, values[:needed])
        shape = (count, 2, values.shape[1] // 4)
        even, odd = (self._buffer(name, shape, self._real) for name in ("even", "odd"))
        filter_pairs(
            Recorded(
                samples.view(np.int32),
                scale * math.cos(phase),
                -scale * math.sin(phase),
                bool(self.beams.weights[-1] == 0),
            ),
            Recursion(
                lowpass.b,
                lowpass.a,
                self._rest,
                pad if lowpass.zero_phase else -1,
                lowpass.decimation,
            ),
            self._buffer("scratch", (len(samples) + 2 * pad + 1, 4 * PAIRS), self._real),
            Folded(even, odd),
        )
        return even, odd

    def _plainly(self, values: NDArray[Any], scale: float, phase: float) -> NDArray[Any]:
        elements = (values * scale).view(np.complex128) * np.exp(-1j * phase)
        return self.beams(self.lowpass(elements)).astype(self._complex)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return room of this shape, the same every time: fresh memory would cost as much as the work."""
        size = math.prod(shape)
        if name not in self._room or self._room[name].size < size:
            self._room[name] = _aligned(size, dtype)
        return self._room[name][:size].reshape(shape)


def _aligned(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return room for so many numbers that begins with a line of the cache."""
    room = np.empty(size * dtype.itemsize + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size * dtype.itemsize].view(dtype)


def _memory(lowpass: Lowpass) -> int:
    """Return after how many samples a filter has forgotten, to a part of 1e17."""
    slowest = float(np.abs(np.roots(lowpass.a)).max())
    return math.ceil(math.log(_FORGOTTEN) / math.log(slowest))
