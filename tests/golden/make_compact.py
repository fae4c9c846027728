"""Cut the compact golden set out of the full one: ``python -m tests.golden.make_compact`` (see README.md).

The same input gives the same bytes, as long as the compressors are of the same version.
"""

import argparse
import dataclasses
import datetime as dt
import json
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import py7zr
from numpy.typing import NDArray
from py7zr.helpers import ArchiveTimestamp

from covis_dask.engines.native import NativeEngine
from covis_dask.modes.context import Context
from covis_dask.raw.record import pack_record, parse_record_header
from covis_dask.raw.source import ArchiveSource
from tests.golden._compare import COMPACT, FULL, Case, load_case, original_arrays, parameters_of

Part = tuple[int | None, int | None, int]
"""Begin, end, step."""

_WHEN = dt.datetime(2014, 1, 1, tzinfo=dt.UTC).timestamp()
# I and Q of a sample lie in the upper 12 of 16 bits: this compresses them by a fifth better than the default.
_LZMA = [{"id": py7zr.FILTER_LZMA2, "preset": 9 | py7zr.PRESET_EXTREME, "lc": 0, "lp": 1, "pb": 1}]

_ROW_STEP = 9
_COLUMN_STEP = 7
_WINDOW_COLUMN_STEP = 6
_CELLS = 300
_HEAD = 4.2
_FACTS = (
    "case",
    "era",
    "mode",
    "run",
    "expected",
    "parameter_file",
    "preset",
    "original_code",
    "made_with",
    "probe",
)


@dataclass(frozen=True)
class Recipe:
    """What is kept of a case.

    Parameters
    ----------
    pings : tuple of int
        Numbers of the pings whose samples are kept.
    samples : int
        How many of each, from the first.
    rows : dict of int to int
        Length of an array along range in the full set, and how many of its first rows are compared: those
        that the missing samples cannot change. After a causal filter these are all; after a zero-phase one
        the end of the record echoes back: down to 1e-9 after 145 samples.
    gridded : bool
        Whether the product of the pings kept has cells that can be compared: not one that averages over the
        whole run, nor one whose grid begins beyond the samples kept.
    """

    pings: tuple[int, ...]
    samples: int
    rows: dict[int, int]
    gridded: bool = True


# Range windows begin every 17 samples, are 34 long, and the Doppler ones look 8 samples further. The 2010-15
# diffuse program leaves out its first 11 windows, which end before the seafloor.
RECIPES = {
    "2010_imaging": Recipe((4, 5, 6), 288, {640: 288, 160: 72}),
    "2010_diffuse": Recipe((2, 6), 374, {560: 374, 32: 21, 21: 10}, gridded=False),
    "2010_doppler": Recipe((5, 6, 7, 8), 390, {640: 240, 37: 12}, gridded=False),
    "2018_imaging": Recipe((11, 12, 13, 14), 370, {480: 225}),
    "2018_diffuse": Recipe((1, 3, 11), 448, {560: 303, 31: 16}, gridded=False),
    "2018_bathy": Recipe((7, 8), 600, {600: 600}),
    "2018_doppler": Recipe((6, 7, 8, 9), 385, {480: 240, 28: 12}),
    # Of these the product alone is known: whole pings, so that every cell that only they reach is kept.
    "2010_imaging_e": Recipe((3, 4), 300, {300: 300}),
    "2010_doppler_e": Recipe((4, 5, 6), 300, {300: 300}),
    "pp3_imaging": Recipe((9, 10, 11), 300, {300: 300}),
    "pp3_doppler": Recipe((9, 10, 11), 330, {330: 330}),
    "pp3_fullrange": Recipe((1, 2, 3, 4), 330, {330: 330}),
}

# Averages over the whole run, the seafloor map they need, and facts about pings that are not kept.
_NOT_KEPT = ("tap_avg", "tap_decor", "tap_masked", "bad_ping", "offset_covar", "vr_offset_ave")
_NEED_SEAFLOOR = "tap_coords_x_out", "tap_coords_y_out"


def make(name: str, recipe: Recipe, out: Path) -> None:
    """Make one case of the compact set."""
    case = load_case(FULL / name)
    folder = out / name
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(case.archive) as archive:
            archive.extractall(scratch, filter="data")
        run = next(path for path in Path(scratch).iterdir() if path.is_dir())
        archive_name = f"{case.run.basename}.7z"
        _pack(_members(run, recipe), case.run.basename, folder / archive_name)
        arrays, slices = _arrays(case, recipe)
        if recipe.gridded:
            arrays |= _cells(case, recipe, run)
    np.savez_compressed(folder / "expected.npz", **arrays)  # type: ignore[arg-type]
    facts: dict[str, Any] = {key: case.facts[key] for key in _FACTS if key in case.facts}
    facts["archive"] = archive_name
    facts["kept"] = dataclasses.asdict(recipe)
    if "conventions" in case.facts:
        facts["conventions"] = case.facts["conventions"]
    facts["meaning"] = {
        **case.facts.get("meaning", {}),
        "grid_*_shape, grid_*_index": "shape of the product grid and C-order flat index of the cells kept: "
        "only the probed burst reaches them. Nothing is said of other cells",
    }
    facts["slices"] = slices
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")
    own = case.archive.with_name("params.json")
    if own.is_file():
        shutil.copy(own, folder)


def _members(run: Path, recipe: Recipe) -> dict[str, bytes]:
    """Return the files kept; those that tell of the whole run are whole."""
    members = {name: (run / name).read_bytes() for name in ("index.csv", "sweep.json")}
    for ping in recipe.pings:
        header = f"rec_7000_{ping:06d}.json"
        members[header] = (run / header).read_bytes()
    for ping in recipe.pings:
        record = f"rec_7038_{ping:06d}.bin"
        members[record] = _shortened((run / record).read_bytes(), recipe.samples)
    return members


def _shortened(record: bytes, samples: int) -> bytes:
    """Return a record with the first samples only."""
    header = parse_record_header(record)
    data = np.frombuffer(record, "<i2", offset=header.data_offset).reshape(header.nsamps, header.nelems, 2)
    last = header.first_samp + samples - 1
    short = dataclasses.replace(header, nsamps=samples, last_samp=last)
    return pack_record(short, data[:samples].astype(np.int16))


def _pack(members: dict[str, bytes], inside: str, path: Path) -> None:
    with py7zr.SevenZipFile(path, "w", filters=_LZMA) as archive:
        for name, data in members.items():
            archive.writestr(data, f"{inside}/{name}")
        for entry in archive.header.files_info.files:
            entry["lastwritetime"] = ArchiveTimestamp.from_datetime(_WHEN)


def _arrays(case: Case, recipe: Recipe) -> tuple[dict[str, NDArray[Any]], dict[str, list[Part]]]:
    """Return the expected arrays kept, and which part of the full one each of them is."""
    arrays: dict[str, NDArray[Any]] = {}
    slices: dict[str, list[Part]] = {}
    for key, array in case.expected.items():
        gridded = key.startswith("grid_") and not (recipe.gridded and key.endswith(("_x", "_y", "_z")))
        if gridded or key.startswith((*_NOT_KEPT, *_NEED_SEAFLOOR)):
            continue
        parts = _parts(case, recipe, key, array)
        arrays[key] = array[tuple(slice(*part) for part in parts)].copy()
        if parts:
            slices[key] = parts
    return arrays, slices


def _parts(case: Case, recipe: Recipe, key: str, array: NDArray[Any]) -> list[Part]:
    """Return begin, end and step of what is kept along each axis; nothing for an array kept whole."""
    if key.startswith("tap_points") or key == "vr_offset":
        burst = int(np.searchsorted(case.expected["burst_first_ping"], recipe.pings[0], side="right")) - 1
        return [(None, None, 1), (burst, burst + 1, 1)]
    if not key.startswith("tap_") and key != "beam_range":
        return []
    if array.ndim == 0 or len(array) not in recipe.rows or key == "tap_geom_azim":
        return []
    rows = recipe.rows[len(array)]
    if array.ndim == 1:
        return [(None, rows, 1)]
    long = rows > 100
    return [
        (None, rows, _ROW_STEP if long else 1),
        (None, None, _COLUMN_STEP if long else _WINDOW_COLUMN_STEP),
    ]


def _cells(case: Case, recipe: Recipe, run: Path) -> dict[str, NDArray[Any]]:
    """Return the gridded values of cells that only the probed burst reaches, with the samples kept.

    Which cells these are is decided by where the other bursts put their weights, not by any value.
    """
    others = run.with_name("others") / run.name
    shutil.copytree(run, others)
    for ping in recipe.pings:
        (others / f"rec_7038_{ping:06d}.bin").unlink()
    source = ArchiveSource(fsspec.filesystem("file"), str(others))
    ds = NativeEngine().process(source, case.run, parameters_of(case), Context())
    elsewhere = original_arrays(ds)
    kept: dict[str, NDArray[Any]] = {}
    values = dict(case.fields())
    stems = [name.removesuffix("w") for name in values if name == "w" or name.endswith("_w")]
    for stem in stems:
        # `stem` is what names begin with, the underscore included; nothing where there is one grid only.
        grid, weights = f"grid_{stem}".removesuffix("_"), values[f"{stem}w"]
        ours = (weights > 0) & ~(elsewhere[f"{stem}w"] > 0)
        if recipe.samples not in recipe.rows:
            axes = [case.expected[f"{grid}_{axis}"] for axis in "yxz"]
            # A sample counts in cells up to one spacing away along each axis.
            ours &= _distance(axes) < _reach(case, recipe, grid) - 2 * (axes[0][1] - axes[0][0])
        index = np.flatnonzero(ours)
        index = index[:: max(1, -(-len(index) // _CELLS))]
        kept[f"{grid}_index"] = index.astype(np.int32)
        kept[f"{grid}_shape"] = np.array(weights.shape)
        for field, array in values.items():
            if max((one for one in stems if field.startswith(one)), key=len) == stem:
                kept[f"grid_{field}"] = array.reshape(-1)[index]
    return kept


def _distance(axes: list[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the distance of every cell (y, x, z) from the head, m."""
    y, x, z = np.meshgrid(*axes, indexing="ij")
    distance: NDArray[np.float64] = np.sqrt(x**2 + y**2 + (z - _HEAD) ** 2)
    return distance


def _reach(case: Case, recipe: Recipe, stem: str) -> float:
    """Return the range of the last sample or window that is compared, m."""
    # Of the gridded arrays of programs with range windows, only this one holds samples.
    samples = case.run.site == "Ashes" and stem == "grid_intensity"
    key = "tap_geom_range" if samples or "tap_geom_rc" not in case.expected else "tap_geom_rc"
    ranges = case.expected[key]
    return float(ranges[recipe.rows[len(ranges)] - 1])


def main(words: list[str] | None = None) -> None:
    """Make the set anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=COMPACT, help="folder to write")
    out: Path = parser.parse_args(words).out
    for name, recipe in RECIPES.items():
        shutil.rmtree(out / name, ignore_errors=True)
        make(name, recipe, out)
        sizes = {path.name[-12:]: path.stat().st_size for path in sorted((out / name).iterdir())}
        print(f"{name}: {sum(sizes.values())} bytes {sizes}")
    print(sum(path.stat().st_size for path in out.rglob("*") if path.is_file()), "bytes in all")


if __name__ == "__main__":
    main()
