"""Write docs/accuracy.md: ``python -m tests.truth.table``."""

from collections.abc import Iterable
from pathlib import Path

from tests.truth._experiments import EXPERIMENTS, Row, measure

__all__ = ["DOCUMENT", "decimals", "main", "parse", "render"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "accuracy.md"

_DECIMALS = {"m": 2, "dB": 2, "%": 1, "1": 2}

_INTRODUCTION = """\
# Accuracy

How far are the numbers in a product from the truth? Two answers exist, one for each profile.

**Profile `matlab`** is held to the original programs: the golden runs, which the originals processed, come
out the same to about nine digits, quirks included (`tests/golden`). Some programs have no golden run:
preset PP3 of imaging, diffuse flow and Doppler, and full-range runs. These are held to known answers
instead: each step by tests in `tests/unit`, whole runs by the table below.

**Profile `corrected`** is held to the truth. The simulator makes raw runs of scenes whose right answer is
known, in the instrument's own files; the ordinary engine processes them with default settings; and its
products are judged. The table gives the errors, and beside them those of `matlab` on the same runs: they
show what the quirks of the originals cost. `python -m tests.truth.table` writes this page, and the tests
check that its numbers are those that they measure (`tests/truth`).

## What is simulated, and how it is judged

- **A point**: one strong scatterer on the axis of a beam. The centre of the strongest cell lies less than
  one cell from it along every axis. On a grid of 0.02 m, where a cell holds one sample, its target
  strength comes out within 0.1 dB (modes with target strength).
- **A medium** that fills beam and pulse, new in every ping. The mean volume scattering strength of the
  cells between two distances comes out within 0.1 dB. Left out are near ranges, where the transmission is
  still heard, and the last metre of the record. 2018+ it is the sum of Ia and Id. In imaging of 2010-15,
  which takes half the difference of two pings, 3 dB less is expected.
- **The same medium, receding** at 1 m/s, heard with a clock that feigns another 0.1 m/s. The mean velocity
  along the line of sight, less the offset that the product states, comes out within 2 %.
- **The same medium, rising** at 0.6 m/s. The mean vertical velocity comes out within 2 % (2010-15).
- **A patch** of 2 m radius on a level seafloor, in which phases flutter by s = 0.5 rad from ping to ping.
  The centre of the cells that decorrelate at least half as much as the patch lies within one cell of the
  patch's; the mean correlation within 1 m of the centre is compared with exp(-s^2) = 0.78. (The difference
  of two pings has twice the variance: this is exp(-q^2/2) for a difference of standard deviation q.)
- **A step** of 1 m in a level seafloor, 7 m away, seen by a thin fan (0.2 degrees). Mean height, height of
  the step, and its place. Cells within 4 m of the tower show the head itself and are left out.

The simulated pulse is not a rectangle but a half cosine of the same energy, so that the low-pass filter
takes hardly anything off it: the levels judge the calibration, not the filter. Water, fan and
sensitivities are those that `corrected` assumes; the headers of 2018+ runs state the sound speed that real
ones state, 1468 m/s.

## Errors

Measured minus true; positions are largest distances along an axis. *Allowed* is the limit that the tests
set for `corrected`; nothing is asked of `matlab`.

"""

_NOTES = """\

## What to know

- **Diffuse flow of 2010-15** has no level: its maps are relative to their maximum. Its correlation is that
  of single pairs of pings over windows that hold two or three independent echoes, and comes out too high
  by nature; the later programs sum over the pairs first.
- **Imaging of 2010-15** filters causally, in `corrected` too: the specification names the delay an oddity
  of diffuse flow only (Q23). Echoes come about 0.15 m late, and the levels within 13 m are nearly 0.2 dB
  too high for it; so the level is judged between 15 and 22 m.
- **Fast flow.** The low-pass filter weakens the echo of what moves along the line of sight: -0.13 dB at
  2.0 m/s, -0.54 at 2.5, -4.3 at 3.6, with velocities 2.4 % too small at 2.5 m/s and no wrapping beyond the
  unambiguous speed. Doppler is right below 2 m/s; the second level flags what is faster.
- **Near range.** Imaging of 2010-15 is 0.35 dB too high at 5 to 7 m and 1 dB below 2 m; imaging of 2018+
  below 3 m is 0.11 to 0.17 dB too low.
- **Places.** These are single places and seeds. Over twelve seafloors the correlation of diffuse flow of
  2018+ has a mean error of -0.055.
- **Bathymetry** takes the first maximum behind a median filter of 20 samples, which is flat on top. On the
  slanting view of the floor heights come out about 0.03 m too high, in both profiles. A sample is 0.02 m
  of slant range.
- **Q9, beam numbers.** In 2018+ sensitivity and beam width go by beam number whatever the sector, in both
  profiles: which sector the calibration of 2018 means is not known. The simulator follows the processing,
  so the table does not judge it. Full-range runs are processed with two sectors, 54 degrees to each side
  for the imaging and 64 for the maps; so their levels at one angle differ, the more the further from the
  middle, by up to 9 dB at the edge, and cannot both be right.
- **Q10, first sample.** `corrected` puts sample s of the stored data at the slant range (s R + first_samp)
  dr0, without an offset (R is the decimation, dr0 the length of a recorded sample). The simulator centres
  the pulse on that travel time. Whether the instrument does so awaits the science team; until then a
  constant error of range of about a sample, 0.02 m, cannot be excluded.
"""


def decimals(unit: str) -> int:
    """Return how many decimals an error has in the table."""
    return _DECIMALS[unit]


def _text(value: float, unit: str) -> str:
    """Return a number as it stands in the table, without a minus before zero."""
    return f"{round(value, decimals(unit)) + 0.0:.{decimals(unit)}f}"


def _line(row: Row) -> str:
    unit = "" if row.unit == "1" else f" {row.unit}"
    cells = (
        row.mode,
        row.preset,
        row.quantity,
        f"{row.limit:g}{unit}",
        *(_text(value, row.unit) + unit for value in (row.corrected, row.matlab)),
    )
    return f"| {' | '.join(cells)} |"


def render(rows: Iterable[Row]) -> str:
    """Return the whole page."""
    head = "| mode | preset | judged | allowed | `corrected` | `matlab` |\n|---|---|---|---|---|---|\n"
    return _INTRODUCTION + head + "\n".join(map(_line, rows)) + "\n" + _NOTES


def parse(page: str) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Return the errors on a page, `corrected` and `matlab`, by mode, preset and what is judged."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.partition("## Errors")[2].splitlines()
        if line.startswith("|") and "---" not in line
    ]
    return {
        (mode, preset, quantity): (float(corrected.split()[0]), float(matlab.split()[0]))
        for mode, preset, quantity, _, corrected, matlab in lines[1:]
    }


def main() -> None:
    """Measure everything and write the page."""
    rows = [row for name in EXPERIMENTS for row in measure(name)]
    DOCUMENT.write_text(render(rows), encoding="utf-8")
    print(f"{DOCUMENT}: {len(rows)} errors")


if __name__ == "__main__":
    main()
