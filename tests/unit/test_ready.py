"""Workers are ready before the first run comes."""

from distributed import Client, LocalCluster

from covis_dask.runs import isolation
from covis_dask.runs.warmup import ReadyPlugin


def _loaded() -> bool:
    server = isolation._children._server
    return server is not None and server.alive


def test_workers_import_before_the_first_run() -> None:
    """Workers that are there and those that come later have what runs need ready before any run."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        assert not any(client.run(_loaded).values())
        client.register_plugin(ReadyPlugin())
        cluster.scale(2)
        client.wait_for_workers(2)
        loaded = client.run(_loaded)
    assert len(loaded) == 2
    assert all(loaded.values())
