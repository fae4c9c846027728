"""``covis report BATCH``: make the report of a batch again, from catalogue and store."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from covis_dask.batches.completion import complete_from_manifests
from covis_dask.batches.history import History, open_for_reading
from covis_dask.batches.report import Report, compared, final_table, write_report
from covis_dask.cli._answer import answered, put

__all__ = ["main", "parser"]


def parser(prog: str = "python -m covis_dask.cli.report") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Regenerate the report of a batch (text, JSON, HTML), and store it."
    )
    parser.add_argument("batch", help="name of the batch, or its beginning; `covis status` lists them")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.report") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)

    def work() -> int:
        history = History.here()
        batch = history.batch(arguments.batch)
        status, store = history.status(batch), replace(history.store(), id=batch.settings.get("store-id"))
        report = Report(
            batch,
            str(batch.settings["prefix"]),
            complete_from_manifests(history.outcomes(batch), store, batch.id),
            status.end or batch.start,
            status.seconds,
        )
        report = compared(report, store)
        page = write_report(report, store)
        if batch.end is not None and batch.report != page:
            with open_for_reading(history.settings) as catalog:
                catalog.put_batch(replace(batch, report=page))
        put(json.dumps(report.to_document(), indent=1) if arguments.json else final_table(report))
        if not arguments.json:
            put(f"report    {history.settings.products.url}/{page}")
        return 0

    return answered(work)


if __name__ == "__main__":
    sys.exit(main())
