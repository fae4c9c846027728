"""What a batch did, as text, JSON and one self-contained HTML page beside the products."""

import base64
import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jinja2
from dask.utils import format_bytes

from catalog.model import Batch
from catalog.vocabulary import COMPLETE, RunState
from covis_dask.batches.durations import duration
from covis_dask.batches.history import report_folder
from covis_dask.batches.plan import Plan
from covis_dask.batches.status import STATES
from covis_dask.engines.summary import COMPARISON, Summary, summarise, summary_table
from covis_dask.errors import CovisError, RunError
from covis_dask.products.paths import ProductPaths
from covis_dask.products.stored import StoredProduct
from covis_dask.products.thumbnail import thumbnail
from covis_dask.runs.outcome import RunOutcome
from covis_dask.storage import ProductStore, storage_errors

__all__ = ["PERFORMANCE", "Report", "compared", "final_table", "write_report"]

PERFORMANCE = "dask-performance.html"
"""Dask's own report, beside ours; not there for very large batches, nor for those that were stopped."""

_PICTURES = 24
_PICTURE_WIDTH = 580
_SLOWEST = 10


@dataclass(frozen=True, slots=True)
class Report:
    """A batch and how each of its runs ended.

    Parameters
    ----------
    batch : Batch
    prefix : str
        Folder of the batch's products below the store.
    outcomes : tuple of RunOutcome
        One per selected run, by name, so by time.
    end : datetime
        UTC.
    seconds : float
        Length of the batch.
    comparison : tuple of Summary
        Of ``--engine both``: how the engines' products differ, by variable; see `compared`.
    """

    batch: Batch
    prefix: str
    outcomes: tuple[RunOutcome, ...]
    end: dt.datetime
    seconds: float
    comparison: tuple[Summary, ...] = ()

    @classmethod
    def of(
        cls, batch: Batch, plan: Plan, outcomes: Sequence[RunOutcome], end: dt.datetime, seconds: float
    ) -> "Report":
        """Put the outcomes in the plan's order.

        Raises
        ------
        ValueError
            When a run of the plan has no outcome, or two: the counts would not add up.
        """
        by_name = {outcome.basename: outcome for outcome in outcomes}
        if len(outcomes) != len(plan.items) or by_name.keys() != {item.run.basename for item in plan.items}:
            raise ValueError(f"{len(plan.items)} runs selected, {len(outcomes)} accounted for")
        ordered = tuple(by_name[item.run.basename] for item in plan.items)
        return cls(batch, str(batch.settings["prefix"]), ordered, end, seconds)

    @property
    def counts(self) -> Mapping[str, int]:
        """Runs by state, every state named; the sum is the number selected."""
        counts = Counter(outcome.state for outcome in self.outcomes)
        return {state: counts[state] for state in STATES}

    @property
    def failures(self) -> tuple[RunOutcome, ...]:
        """Runs that are not as they should be."""
        return tuple(outcome for outcome in self.outcomes if outcome.state not in COMPLETE)

    @property
    def odd(self) -> tuple[RunOutcome, ...]:
        """Runs that became products although something about their data was odd."""
        return tuple(outcome for outcome in self.outcomes if outcome.notes)

    @property
    def slowest(self) -> tuple[RunOutcome, ...]:
        """The runs that took longest."""
        return tuple(sorted(self.outcomes, key=lambda outcome: -outcome.seconds)[:_SLOWEST])

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Worker seconds by stage, over all runs."""
        total: Counter[str] = Counter()
        for outcome in self.outcomes:
            total.update(outcome.timings)
        return total

    @property
    def bytes_in(self) -> int:
        """Bytes of raw archives read."""
        return sum(outcome.bytes_in for outcome in self.outcomes)

    @property
    def bytes_out(self) -> int:
        """Bytes of products written."""
        return sum(outcome.bytes_out for outcome in self.outcomes)

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "schema": "covis-dask/report/1",
            "batch": self.batch.id,
            "selection": dict(self.batch.selection),
            "settings": dict(self.batch.settings),
            "versions": dict(self.batch.versions),
            "start": self.batch.start.isoformat(),
            "end": self.end.isoformat(),
            "seconds": round(self.seconds, 3),
            "expected": len(self.outcomes),
            "counts": dict(self.counts),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "comparison": [asdict(summary) for summary in self.comparison],
            "runs": [outcome.to_document() for outcome in self.outcomes],
        }


def final_table(report: Report) -> str:
    """Write the table that ends a batch: every state, adding up to EXPECTED, and what went wrong."""
    lines = [
        "",
        f"{'EXPECTED':<12}{len(report.outcomes):>7}",
        *(f"{state:<12}{count:>7}" for state, count in report.counts.items()),
        f"{'':<12}{'=' * 7}",
        f"{'sum':<12}{sum(report.counts.values()):>7}",
        "",
    ]
    kinds = Counter((outcome.state, outcome.kind) for outcome in report.failures)
    for (state, kind), count in sorted(kinds.items(), key=str):
        first = next(o for o in report.failures if (o.state, o.kind) == (state, kind))
        more = f" (and {count - 1} more)" if count > 1 else ""
        lines.append(f"{state}, {kind}: {first.basename}{more}: {first.reason}")
    if odd := report.odd:
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        lines.append(f"odd data: {odd[0].basename}{more}: {'; '.join(odd[0].notes)}")
    if kinds or odd:
        lines.append("")
    if set(report.counts) and report.counts[RunState.ALREADY] == len(report.outcomes):
        lines.append("nothing to do: every selected run was already done")
    if report.comparison:
        lines += ["engines compared over all runs of this batch:", *summary_table(report.comparison), ""]
    lines.append(
        f"{format_bytes(report.bytes_in)} read, {format_bytes(report.bytes_out)} written "
        f"in {duration(report.seconds)}"
    )
    lines.append(f"batch     {report.batch.id}")
    return "\n".join(lines)


def compared(report: Report, store: ProductStore) -> Report:
    """Return the report of a batch with ``--engine both`` with what its products say of the engines.

    Runs that were done before count as well. Reports of other engines stay as they are.
    """
    if report.batch.settings.get("engine") != "both":
        return report
    done = [outcome.basename for outcome in report.outcomes if outcome.state in COMPLETE]
    # Those that the plan found done have no path in their outcome.
    paths = ProductPaths(report.prefix)
    documents = store.at_once(lambda basename: _comparison(store, paths.run(basename)), done)
    comparisons = {basename: one for basename, one in zip(done, documents, strict=True) if one is not None}
    return replace(report, comparison=summarise(comparisons))


def _comparison(store: ProductStore, run: str) -> Any:
    """Return what a product says of the engines; None when it says nothing, or cannot be used."""
    try:
        product = StoredProduct.at(store, run)
        data = None if product is None else product.read(COMPARISON)
        return None if data is None else json.loads(data)
    except (RunError, ValueError):
        return None


def write_report(report: Report, store: ProductStore, log: Callable[[str], object] = print) -> str:
    """Store the report in its three forms.

    Parameters
    ----------
    report : Report
    store : ProductStore
    log : callable
        Is told when the page cannot be made; the other forms do without pictures and templates.

    Returns
    -------
    str
        Path of the HTML page below the store, else of the text.
    """
    folder = report_folder(report.batch)
    document = json.dumps(report.to_document(), indent=1, default=str)
    store.put_bytes(f"{folder}/report.json", document.encode())
    store.put_bytes(f"{folder}/report.txt", f"{final_table(report)}\n".encode())
    try:
        store.put_bytes(f"{folder}/report.html", _page(report, store).encode())
    except Exception as error:  # of whatever kind: the numbers are stored
        log(f"the report has no page ({error}), but report.txt and report.json are there")
        return f"{folder}/report.txt"
    return f"{folder}/report.html"


def _page(report: Report, store: ProductStore) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("covis_dask.batches"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"bytes": format_bytes, "duration": duration}
    performance = f"{report_folder(report.batch)}/{PERFORMANCE}"
    with storage_errors(f"looking for {store.url}/{performance}"):
        has_performance = store.fs.exists(store.full(performance))
    return environment.get_template("report.html.j2").render(
        report=report,
        pictures=_pictures(report, store),
        states=STATES,
        performance=PERFORMANCE if has_performance else None,
    )


def _pictures(report: Report, store: ProductStore) -> list[tuple[str, str]]:
    """Make small copies of quick looks, spread over the batch, as data the page carries itself."""
    done = [outcome for outcome in report.outcomes if outcome.state in COMPLETE and outcome.path]
    step = max(1, -(-len(done) // _PICTURES))
    pictures = []
    for outcome in done[::step]:
        try:
            product = StoredProduct.at(store, outcome.path)
            data = None if product is None else product.picture()
            small = None if data is None else thumbnail(data, _PICTURE_WIDTH)
        except (CovisError, OSError, ValueError):  # a picture that is away or damaged is left out
            continue
        if small is not None:
            pictures.append((outcome.basename, base64.b64encode(small).decode()))
    return pictures
