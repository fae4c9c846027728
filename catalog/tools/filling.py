"""Commands that fill a catalogue: from listings, from a walk over a store, from another catalogue."""

import argparse
from collections.abc import Mapping

from catalog.copying import copy_catalog
from catalog.errors import ListingError
from catalog.ingest import ImportReport, Skipped, import_listing, walk_store
from catalog.settings import locate
from catalog.store import Catalog
from catalog.tools.exits import Exit, UsageError

__all__ = ["check_import", "copy", "import_runs"]


def check_import(args: argparse.Namespace) -> None:
    """Refuse words of ``import`` that do not go together."""
    if bool(args.files) == (args.walk is not None):
        raise UsageError("import takes either listings (FILE) or a store (--walk URL)")
    if args.walk is not None and args.host is None:
        raise UsageError("--walk requires --host, the name of this store in the catalogue")
    if args.walk == "" and args.open_host is None:
        raise UsageError(
            "--walk without a URL asks the configuration where the host is: use `covis catalog import --walk "
            f"--host {args.host}`"
        )


def import_runs(catalog: Catalog, args: argparse.Namespace) -> int:
    """Take runs from listings, or from a walk over a store."""
    found = False
    for source in args.files or [args.walk]:
        report = import_listing(source, args.host) if args.walk is None else _walk(args)
        new, changed = catalog.add_raw(report.runs)
        found = found or bool(report.runs)
        _print_import(str(source) or args.host, report, new, changed)
    return Exit.DONE if found else Exit.NOTHING


def _walk(args: argparse.Namespace) -> ImportReport:
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(args.walk) if args.walk else args.open_host(args.host)
    except (ImportError, OSError, ValueError) as error:
        raise ListingError(f"{args.walk or args.host!r} cannot be walked: {error}") from error
    return walk_store(fs, root, args.host)


def copy(catalog: Catalog, args: argparse.Namespace) -> int:
    """Add everything that one catalogue knows to another."""
    with locate(args.target).open() as target:
        done = copy_catalog(catalog, target)
    print(
        f"{done.runs:,} runs: {done.new:,} new, {done.changed:,} changed; {done.products:,} outcomes, "
        f"{done.batches:,} batches copied"
    )
    for fault in done.unreadable:
        print(f"  not copied: {fault}")
    return Exit.DONE if done.runs else Exit.NOTHING


def _print_import(source: str, report: ImportReport, new: int, changed: int) -> None:
    hosts = sorted({file.host for run in report.runs for file in run.raw})
    where = f" on {', '.join(hosts)}" if hosts else ""
    print(f"{source} ({report.kind}): {report.entries:,} entries, {len(report.runs):,} runs{where}")
    if report.runs and not new and not changed:
        print("  nothing changed: the catalogue had all of it")
    else:
        print(f"  {new:,} new, {changed:,} changed, {len(report.runs) - new - changed:,} unchanged")
    _print_sorts("left out", report.skipped)
    _print_sorts("imported despite a faulty name", report.faulty)


def _print_sorts(what: str, sorts: Mapping[str, Skipped]) -> None:
    for reason, sort in sorts.items():
        print(f"  {what}: {sort.count:,} {reason}, such as {sort.examples[0]}")
