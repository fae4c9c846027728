"""What type checkers know of the public face; mypy reads this file, nobody runs it."""

from pathlib import Path
from typing import assert_type

import xarray as xr

import covis_dask as covis

assert_type(covis.process_archive("a.tar.gz"), xr.Dataset)
assert_type(
    covis.process_archive(
        Path("a.tar.gz"),
        profile="corrected",
        preset="PP3",
        parameters={"filter.bw": 4},
        ancillary=Path("grids"),
        storage_options={"anon": True},
    ),
    xr.Dataset,
)
covis.process_archive("a.tar.gz", parameters="ours.yaml")
covis.process_archive("a.tar.gz", "corrected")  # type: ignore[call-arg]

assert_type(covis.open_raw("s3://bucket/a.7z", storage_options={"anon": True}, scratch="/tmp"), xr.Dataset)
assert_type(covis.open_product("a", prefix="native-corrected"), xr.Dataset)

assert_type(covis.product_files(year=2014, format="all", prefix="p"), list[str])
assert_type(covis.copy_products("folder", year=2014, overwrite=True), list[Path])

query = covis.RunQuery(years=frozenset({2014}), families=frozenset({"diffuse"}))
assert_type(covis.select_runs(), tuple[covis.Run, ...])
assert_type(covis.select_runs(query), tuple[covis.Run, ...])
assert_type(covis.select_runs(year=[2013, 2014], mode="diffuse", from_="2014-01-05"), tuple[covis.Run, ...])
covis.select_runs(yaer=2014)  # type: ignore[call-arg]

request = covis.BatchRequest(query=query, cluster=covis.ClusterSpec(workers=4))
assert_type(covis.plan(request), covis.Plan)
assert_type(covis.plan(year=2014, set={"filter.bw": 4}, force=True), covis.Plan)
assert_type(covis.submit(request), covis.BatchHandle)
assert_type(covis.attach("2026", scheduler="tcp://host:8786"), covis.BatchHandle)
assert_type(covis.list_batches(5), tuple[covis.Batch, ...])

batch = covis.submit(year=2014)
assert_type(batch.wait(timeout=3.0), bool)
assert_type(batch.outcomes, tuple[covis.RunOutcome, ...])
assert_type(batch.open("a"), xr.Dataset)
assert_type(batch.log("a"), str)

assert_type(covis.__version__, str)


def handled(error: covis.CovisError) -> str:
    """Tell errors apart by class or by kind."""
    if isinstance(
        error, covis.RawMissing | covis.CatalogError | covis.NothingSelected | covis.ProductMissing
    ):
        return "not there"
    return error.kind
