"""The notebook's functions and the commands that look, on a small archive that is processed once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from catalog.errors import CatalogError
from covis_dask import notebook as covis
from covis_dask.api.keywords import query_of, request_of
from covis_dask.cli import main as covis_command
from covis_dask.errors import ConfigurationError, CovisError
from tests._place import Place, diffuse

_GOOD, _CUT = diffuse(1).basename, diffuse(2).basename


# Another test's cluster may take the port between our look and our start.
pytestmark = pytest.mark.filterwarnings("ignore:.*Port 8787 is already in use")


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[covis.BatchView]:
    """Give a batch of one sound and one damaged run, carried out in the background of this process."""
    place, before = Place(tmp_path_factory.mktemp("notebook")), Path.cwd()
    place.store(diffuse(1))
    cut = place.store(diffuse(2))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    place.catalogue()
    os.chdir(place.path)
    try:
        view = covis.submit(year=2014, workers=1)
        assert view.id in list(covis.batches().batch)
        assert view.wait(120)
        yield view
    finally:
        os.chdir(before)


def test_batch_in_the_background_says_how_all_runs_ended(batch: covis.BatchView) -> None:
    """Table, failures, log, product and picture of a batch; its view shows the same numbers."""
    assert list(batch.table().state) == ["done", "quarantined"]
    assert list(batch.failures().run) == [_CUT]
    assert "archive-truncated" in batch.failures().kind[0]
    assert "cut off" in batch.log(_CUT)
    assert "decorrelation" in batch.open(_GOOD)
    assert batch.picture(_GOOD).data.startswith(b"\x89PNG")
    html = batch._repr_html_()
    for words in (
        "<b>2</b><span>EXPECTED",
        "<b>1</b><span>done",
        "<b>1</b><span>quarantined",
        "archive-truncated",
    ):
        assert words in html
    with pytest.raises(CovisError, match="not done"):
        batch.open(_CUT)


def test_attach_shows_the_same_from_the_catalogue(batch: covis.BatchView) -> None:
    """Another process sees the counts, the table and the products of a batch that is over."""
    other = covis.attach(batch.id[:-2])
    assert other.over
    assert other.status.counts == batch.status.counts
    pd.testing.assert_frame_equal(other.table(), batch.table())
    with pytest.raises(ConfigurationError, match="run elsewhere"):
        other.stop()
    with pytest.raises(CatalogError, match="has no batch"):
        covis.attach("never")


def test_runs_plan_and_coverage_follow_the_catalogue(batch: covis.BatchView) -> None:  # noqa: ARG001
    """What became of each run, what would be done with it now and why, and a picture of all."""
    runs = covis.runs(year=2014, mode="diffuse")
    assert list(runs.state) == ["done", "quarantined"]
    assert str(runs.time.dtype).endswith("UTC]")
    plan = covis.plan(year=2014)
    assert list(plan.action) == ["already", "quarantined"]
    stale = covis.plan(year=2014, set={"noise.snr_thresh": 60.0})
    assert stale.reason[0].startswith("stale")
    assert covis.coverage(year=2014)._repr_png_().startswith(b"\x89PNG")
    assert covis.runs(year=1999).empty


def test_commands_show_batches_logs_products_and_reports(
    batch: covis.BatchView, capsys: pytest.CaptureFixture[str]
) -> None:
    """``covis status``, ``log``, ``open`` and ``report`` answer from catalogue and store."""
    assert covis_command(["status"]) == 0
    assert batch.id in capsys.readouterr().out
    assert covis_command(["status", batch.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["quarantined"] == 1
    assert covis_command(["log", f"{_CUT}.tar.gz"]) == 0
    assert "quarantined" in capsys.readouterr().out
    assert covis_command(["open", _GOOD]) == 0
    shown = capsys.readouterr().out
    assert "decorrelation" in shown
    assert f"{_GOOD}.nc" in shown
    assert covis_command(["open", _CUT]) == 2
    assert "not done" in capsys.readouterr().err
    report = Path("covis-data/products/native-matlab/batches") / batch.id / "report.html"
    report.unlink()
    assert covis_command(["report", batch.id]) == 0
    assert "EXPECTED          2" in capsys.readouterr().out
    assert report.exists()


def test_report_is_made_again_without_the_old_one(
    batch: covis.BatchView, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catalogue and store still know what the lost report said: counts, reasons, sizes, times."""
    folder = Path("covis-data/products/native-matlab/batches") / batch.id
    assert covis_command(["report", batch.id, "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    for lost in folder.glob("report.*"):
        lost.unlink()
    assert covis_command(["report", batch.id, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {lost.name for lost in folder.glob("report.*")} == {"report.json", "report.txt", "report.html"}
    assert again["expected"] == sum(again["counts"].values()) == 2
    for name in ("counts", "bytes_in", "bytes_out", "selection", "versions"):
        assert again[name] == before[name]
    for old, new in zip(before["runs"], again["runs"], strict=True):
        for name in ("basename", "state", "kind", "reason", "path"):
            assert new[name] == old[name]
        assert new["seconds"] == pytest.approx(old["seconds"], abs=2)
    assert again["runs"][0]["timings"]["compute"] == before["runs"][0]["timings"]["compute"]


def test_keywords_make_a_request() -> None:
    """Keywords are those of the command line; what the command refuses is refused here with a sentence."""
    request = request_of(
        {"year": [2013, 2014], "from_": "2013-05-01", "set": {"filter.bw": 2}, "force": True, "workers": 2}
    )
    assert request.query.years == {2013, 2014}
    assert (dict(request.overrides), request.force, request.cluster.workers) == ({"filter.bw": 2}, True, 2)
    assert request_of({"year": 2014, "set": ["filter.bw=2"], "format": "zarr"}).formats == ("zarr",)
    assert query_of({"limit": 3}).limit == 3
    with pytest.raises(ConfigurationError, match="not a mode"):
        query_of({"mode": "gargle"})
    for wrong, sentence in (
        ({"year": 2014, "profile": "better"}, "choose one of matlab, corrected"),
        ({"workers": 2}, "select some runs"),
        ({"year": 2014, "force": True, "verify": True}, "choose one of the two"),
        ({"yaer": 2014}, "unknown keyword yaer"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            request_of(wrong)
