"""A finished dataset stands on its own: CF and ACDD, provenance, place and time."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from catalog.vocabulary import describe_site
from covis_dask.products._acdd import place_attributes
from covis_dask.products._moment import dated
from covis_dask.products._place import place
from covis_dask.products.metadata import Attribution, finish_dataset
from covis_dask.products.netcdf import write_netcdf
from tests.unit._datasets import ASHES, ENDEAVOUR, MODES, bathy, diffuse_ashes, facts, imaging_endeavour

# In a process of its own: the checker warns on import, and warnings are errors here.
_CHECK = """
import sys
from compliance_checker.runner import CheckSuite, ComplianceChecker
CheckSuite.load_all_available_checkers()
ComplianceChecker.run_checker(
    sys.argv[2:], ["cf:1.10", "acdd:1.3"], 0, "strict", output_filename=sys.argv[1], output_format="json_new"
)
"""
_NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the compliance checker, which never needs the network for our files, over one file per mode."""
    folder = tmp_path_factory.mktemp("cf")
    paths = {}
    for mode, (make, basename) in MODES.items():
        paths[mode] = folder / f"{basename}.nc"
        known, ds = facts(basename), make(8)
        ds["ping_time"].values[:] += known.start.timestamp() - float(ds["ping_time"].values[0])
        write_netcdf(finish_dataset(ds, known), paths[mode])
    command = [sys.executable, "-c", _CHECK, str(folder / "found.json"), *map(str, paths.values())]
    environment = os.environ | _NO_NETWORK | {"XDG_DATA_HOME": str(folder)}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=120)
    found = json.loads((folder / "found.json").read_text())
    return {mode: found[str(path)] for mode, path in paths.items()}


def _complaints(report: dict[str, Any], *levels: str) -> list[str]:
    """List what fell short, at these levels."""
    return [
        message
        for level in levels
        for check in report[f"{level}_priorities"]
        if check["value"][0] < check["value"][1]
        for message in check["msgs"]
    ]


@pytest.mark.parametrize("mode", MODES)
def test_cf(checked: dict[str, Any], mode: str) -> None:
    """The file of every mode passes the CF-1.10 check, without errors, warnings or suggestions.

    But for full-range products, whose maps have axes of their own: the check knows one pair of axes of a
    projection only, and takes the other for degrees.
    """
    found = _complaints(checked[mode]["cf:1.10"], "high", "medium", "low")
    assert [text for text in found if "_fr' should define valid units" not in text] == []
    assert mode == "full-range" or not found


_UNKNOWN = {
    # who publishes a product, and where
    *("creator_email", "publisher_name", "publisher_url", "publisher_email", "publisher_type"),
    *("publisher_institution", "metadata_link"),
    # heights are those above the foot of the tower; no vocabulary names this platform and instrument
    *("geospatial_bounds_vertical_crs", "platform_vocabulary", "instrument_vocabulary"),
}


@pytest.mark.parametrize("mode", MODES)
def test_acdd(checked: dict[str, Any], mode: str) -> None:
    """ACDD-1.3 misses standard names, which CF does not have for these quantities, and what nobody knows."""
    report = checked[mode]["acdd:1.3"]
    assert all(
        text.endswith("['standard_name']") or text == "standard_name" for text in _complaints(report, "high")
    )
    flat = mode in ("diffuse 2010-15", "bathymetry")  # maps without a vertical coordinate
    missing = {
        text.removesuffix(" not present")
        for text in _complaints(report, "medium", "low")
        if not (flat and "vertical" in text)
    }
    assert missing <= _UNKNOWN


def test_global_attributes() -> None:
    """The attributes say what was made of which run by whom, and how to make it again."""
    attrs = finish_dataset(imaging_endeavour(8), facts(ENDEAVOUR["imaging"])).attrs
    assert attrs["Conventions"] == "CF-1.10, ACDD-1.3"
    assert attrs["title"] == (
        "COVIS IMAGING, Grotto vent, Main Endeavour Field, Juan de Fuca Ridge, 2011-10-01 21:07:57 UTC"
    )
    assert attrs["time_coverage_start"] == "2011-10-01T21:07:57.973Z"
    assert attrs["time_coverage_end"] == "2011-10-01T21:15:09Z"
    assert attrs["time_coverage_duration"] == "PT431.027S"
    assert attrs["date_created"] == "2026-01-02T03:04:05Z"
    assert (attrs["engine"], attrs["preset"], attrs["profile"]) == ("native", "END", "matlab")
    assert (attrs["mode"], attrs["mode_family"], attrs["site"]) == ("IMAGING", "imaging", "Endeavour")
    assert (attrs["input_host"], attrs["input_size"], attrs["input_etag"]) == (
        "COVIS-NAS",
        412_000_000,
        "9b2f",
    )
    assert attrs["fingerprint"] == "0123456789abcdef"
    assert json.loads(attrs["parameters"])["filter"] == {"bw": 2, "order": 4, "status": "on"}
    assert attrs["bad_ping"].tolist() == [21]
    assert attrs["missing_ping"].tolist() == []
    assert "2026-01-02T03:04:05Z covis-dask 0.1.0: native engine 1" in attrs["history"]


def test_position_of_endeavour() -> None:
    """At Endeavour the axes become latitudes and longitudes about the tower's UTM position."""
    attrs = finish_dataset(imaging_endeavour(8), facts(ENDEAVOUR["imaging"])).attrs
    assert attrs["geospatial_lat_min"] == pytest.approx(47.949374 - 25 / 111_200, abs=1e-7)
    assert attrs["geospatial_lat_max"] == pytest.approx(47.949374 + 5 / 111_200, abs=1e-7)
    assert attrs["geospatial_lon_min"] == pytest.approx(-129.098181 - 35 / 74_700, abs=1e-6)
    assert (attrs["geospatial_vertical_min"], attrs["geospatial_vertical_max"]) == (5.0, 49.0)
    assert attrs["geospatial_bounds"].startswith("POLYGON ((47.9491492 -129.09864")


def test_position_of_ashes() -> None:
    """At Ashes, where the tower's position is not published, that of the field is used, and it says so."""
    ds = finish_dataset(bathy(8), facts(ASHES["bathy"]))
    assert (ds.attrs["local_x_min"], ds.attrs["local_y_max"]) == (-30.0, 30.0)
    assert "good to some 50 m" in ds.attrs["geospatial_comment"]
    assert ds["crs"].attrs["comment"] == ds.attrs["geospatial_comment"]
    assert float(ds["latitude"].sel(y=-2, method="nearest")) == pytest.approx(45.9336, abs=1e-4)


def test_position_of_nowhere() -> None:
    """Where no source gives a position, only local coordinates are claimed."""
    ds = place(bathy(8), describe_site("Atlantis"))
    xr.testing.assert_identical(ds, bathy(8))
    attrs = place_attributes(ds, describe_site("Atlantis"))
    assert not any(name.startswith(("geospatial_lat", "geospatial_lon")) for name in attrs)
    assert attrs["geospatial_comment"] == "Atlantis: only local coordinates are given."


def test_degrees_are_those_of_the_projection() -> None:
    """Longitude and latitude agree to a millimetre with the projection that the file describes."""
    pyproj = pytest.importorskip("pyproj")
    ds = finish_dataset(imaging_endeavour(8), facts(ENDEAVOUR["imaging"]))
    described = {name: value for name, value in ds["crs"].attrs.items() if name != "comment"}
    local = pyproj.Transformer.from_crs(
        pyproj.CRS.from_cf(described).geodetic_crs, pyproj.CRS.from_cf(described), always_xy=True
    )
    x, y = local.transform(*np.meshgrid(ds["longitude"].values, ds["latitude"].values))
    np.testing.assert_allclose(x, np.broadcast_to(ds["x"].values, x.shape), atol=1e-3)
    np.testing.assert_allclose(y, np.broadcast_to(ds["y"].values[:, None], y.shape), atol=1e-3)


def test_axes_and_time() -> None:
    """Axes have the labels of the method; without times of pings, a run is dated by its name.

    See docs/method.md#quick-looks.
    """
    ds = finish_dataset(imaging_endeavour(8), facts(ENDEAVOUR["imaging"]))
    assert [ds[name].attrs["long_name"] for name in "xyz"] == [
        "Easting of COVIS",
        "Northing of COVIS",
        "Height above COVIS base",
    ]
    assert ds["z"].attrs["positive"] == "up"
    assert [ds[name].attrs["axis"] for name in ("time", "z", "y", "x")] == ["T", "Z", "Y", "X"]
    assert ds["backscatter"].dims == ("time", "z", "y", "x")
    assert ds["time"].values == np.datetime64("2011-10-01T21:07:57.973")  # the pings have another year


_SINCE = {"units": "seconds since 1970-01-01T00:00:00Z"}


def test_time_is_the_middle_of_the_pings_used() -> None:
    """Pings that were left out, or whose clock is wrong, do not move a product in time."""
    known = facts(ASHES["bathy"])
    seconds = known.start.timestamp() + np.array([3.0, 10.0, 12.5, 20.001, 50.0, np.nan, 1e6])
    ds = xr.Dataset(
        {
            "ping_time": ("ping", seconds, _SINCE),
            "ping_used": ("ping", np.array([0, 1, 1, 1, 0, 1, 1], np.int8)),
        }
    )
    out = dated(ds, known.start)
    first, last = (known.start.replace(tzinfo=None) + dt.timedelta(seconds=s) for s in (10.0, 20.001))
    assert out["time_bounds"].values.astype("datetime64[ms]").tolist() == [[first, last]]
    assert out["time"].values.astype("datetime64[ms]").tolist() == [first + dt.timedelta(seconds=5)]
    assert dated(xr.Dataset(), known.start)["time"].values[0] == np.datetime64("2019-08-20T16:32:02")


def test_flags_say_what_they_mean() -> None:
    """Flags list their values and the meaning of each."""
    ds = bathy(8)
    ds["burst_used"] = ("burst", np.ones(12, np.int8), {"original_name": "burst_used"})
    attrs = finish_dataset(ds, facts(ASHES["bathy"]))["burst_used"].attrs
    assert attrs["flag_values"].tolist() == [0, 1]
    assert attrs["flag_values"].dtype == np.int8
    assert attrs["flag_meanings"] == "left_out used"


def test_relative_intensities_are_marked() -> None:
    """Diffuse flow of 2010-15: what has no level says so, in the variable and in the notes of the product."""
    ds = finish_dataset(MODES["diffuse 2010-15"][0](8), facts(ENDEAVOUR["diffuse"]))
    marked = {name for name, variable in ds.data_vars.items() if "relative_to" in variable.attrs}
    assert marked == {"intensity", "decorrelation_intensity"}
    assert "do not compare or average runs" in ds["intensity"].attrs["comment"]
    assert "do not average them over runs" in ds.attrs["notes"]
    assert not any(
        "relative_to" in v.attrs for v in finish_dataset(diffuse_ashes(8), facts(ASHES["diffuse"])).values()
    )


def test_an_assumed_seafloor_has_its_height_too() -> None:
    """Maps on a flat seafloor carry its height, as those on a measured one do: files can be put in a row."""
    known = facts(ASHES["diffuse"], parameters={"seafloor": {"flat_height": 1.5}})
    flat = finish_dataset(diffuse_ashes(8, bathymetry=False), known)
    assert flat["bathymetry"].dims == ("time", "y", "x")
    assert (flat["bathymetry"].values == 1.5).all()
    assert flat["bathymetry"].attrs["units"] == "m"


@pytest.mark.parametrize("mode", MODES)
def test_precision(mode: str) -> None:
    """Profile matlab keeps every bit; others store grids in single precision, but not heights."""
    make, basename = MODES[mode]
    for profile in ("matlab", "corrected"):
        ds = finish_dataset(make(8), facts(basename, profile=profile))
        for name, variable in ds.data_vars.items():
            if variable.dtype.kind != "f":
                continue
            narrow = profile == "corrected" and "x" in str(variable.dims) and variable.attrs["units"] != "m"
            assert variable.dtype == (np.float32 if narrow else np.float64), name


def test_variables_point_at_their_weights() -> None:
    """Every gridded variable names the weights it was divided by; weights name none."""
    ds = finish_dataset(diffuse_ashes(8), facts(ASHES["diffuse"]))
    assert ds["decorrelation"].attrs["ancillary_variables"] == "decorrelation_weight"
    assert ds["kp"].attrs["ancillary_variables"] == "kp_weight"
    assert "ancillary_variables" not in ds["kp_weight"].attrs


@pytest.mark.parametrize(
    ("ds", "basename", "note"),
    [
        (diffuse_ashes(8, bathymetry=False), ASHES["diffuse"], "flat seafloor assumed"),
        (diffuse_ashes(8), ASHES["diffuse"], "seafloor covis_bathy_2019a.mat"),
        (
            MODES["diffuse 2010-15"][0](8),
            ENDEAVOUR["diffuse"],
            "flat seafloor assumed; intensities are relative",
        ),
    ],
)
def test_notes_name_the_seafloor(ds: xr.Dataset, basename: str, note: str) -> None:
    """Maps of diffuse flow say which seafloor they lie on."""
    assert finish_dataset(ds, facts(basename)).attrs["notes"].startswith(note)


def test_notes_tell_of_a_bad_calibration() -> None:
    """A calibration that does not hold is noted with its reason."""
    ds = bathy(8)
    ds.attrs |= {"calibration_valid": 0, "calibration_fault": "power 190 is not in the table"}
    notes = finish_dataset(ds, facts(ASHES["bathy"])).attrs["notes"]
    assert notes == "calibration not valid: power 190 is not in the table"


def test_end_of_the_run_from_the_dataset() -> None:
    """Without an end in the facts, the time of the last ping is taken from the mode program."""
    ds = bathy(8)
    ds.attrs["time_coverage_end"] = "2019-08-20T16:40:02.500000+00:00"
    attrs = finish_dataset(ds, facts(ASHES["bathy"], end=None)).attrs
    assert attrs["time_coverage_end"] == "2019-08-20T16:40:02.500Z"
    assert attrs["time_coverage_duration"] == "PT480.500S"


def test_an_end_before_the_start_is_not_claimed() -> None:
    """A clock that ran backwards gives no coverage, rather than a negative one."""
    start = facts(ASHES["bathy"]).start
    attrs = finish_dataset(bathy(8), facts(ASHES["bathy"], end=start - dt.timedelta(seconds=1))).attrs
    assert "time_coverage_duration" not in attrs


def test_attribution_can_be_changed() -> None:
    """Institution, creator and licence are the user's to set."""
    who = Attribution(institution="Ocean Institute", creator_name="A. Diver", license="CC-BY-4.0")
    attrs = finish_dataset(bathy(8), facts(ASHES["bathy"], attribution=who)).attrs
    assert (attrs["institution"], attrs["creator_name"], attrs["license"]) == (
        "Ocean Institute",
        "A. Diver",
        "CC-BY-4.0",
    )


def test_odd_attributes_of_a_mode_become_text_or_numbers() -> None:
    """Whatever a mode program notes, NetCDF can hold it: nothing is lost but what is not there."""
    ds = bathy(8)
    ds.attrs |= {"flag": True, "nothing": None, "words": ["a", "b"], "nested": {"a": 1}, "parts": [0.5, 1.5]}
    attrs = finish_dataset(ds, facts(ASHES["bathy"])).attrs
    assert attrs["flag"] == 1
    assert "nothing" not in attrs
    assert json.loads(attrs["words"]) == ["a", "b"]
    assert json.loads(attrs["nested"]) == {"a": 1}
    assert attrs["parts"].tolist() == [0.5, 1.5]


def test_the_given_dataset_is_left_alone() -> None:
    """Finishing makes a new dataset; the mode program's stays as it was."""
    ds = diffuse_ashes(8)
    before = ds.copy(deep=True)
    finish_dataset(ds, facts(ASHES["diffuse"]))
    xr.testing.assert_identical(ds, before)


def test_long_attributes_survive(tmp_path: Path) -> None:
    """A run with a thousand bad pings has long reasons; the file holds them all."""
    ds = bathy(8)
    ds.attrs["bad_ping_reasons"] = json.dumps(
        {str(number): "the file is empty" * 8 for number in range(1000)}
    )
    path = tmp_path / "run.nc"
    write_netcdf(finish_dataset(ds, facts(ASHES["bathy"])), path)
    with xr.open_dataset(path) as back:
        assert back.attrs["bad_ping_reasons"] == ds.attrs["bad_ping_reasons"]
