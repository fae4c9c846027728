"""``covis gc``: sweep the product store, and scratch, of what nobody needs."""

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dask.utils import format_bytes, parse_timedelta

from catalog.errors import CatalogError
from covis_dask.batches.found import expected_store
from covis_dask.batches.history import History, open_for_reading
from covis_dask.batches.sweeping import Swept, sweep
from covis_dask.cli._answer import answered, put
from covis_dask.cli._selected import say
from covis_dask.cli.exits import Exit
from covis_dask.errors import ConfigurationError, StorageUnavailable
from covis_dask.raw.leftovers import DeadFolder, dead_folders
from covis_dask.storage import ProductStore

__all__ = ["main", "parser"]

_EPILOG = """\
what is swept, when it is older than --grace:
    version    files of a version that no manifest names, such as that of a product that was replaced
    layout-1   files of an earlier release's product that has been replaced
    part       what a writer that died has left of a file
and at once:
    try        logs of failed tries beyond a run's last five
    scratch    folders of dead processes on this machine (those without a lock: after a day)

Nothing that a manifest names is touched, and a run whose manifest cannot be used is left alone and named.
"""


def parser(prog: str = "python -m covis_dask.cli.gc") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Remove from the product store what no manifest names, and from scratch what dead "
        "processes have left.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--grace", default="1d", metavar="TIME", help="how old things must be: 12h, 7d (1d)")
    parser.add_argument("--prefix", default="", help="sweep only below this folder of the product store")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed; remove nothing")
    parser.add_argument("--json", action="store_true", help="print counts and paths as JSON")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.gc") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)
    try:
        return answered(lambda: _sweep(arguments))
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from there")
        return Exit.INTERRUPTED


def _sweep(arguments: argparse.Namespace) -> int:
    grace, history = _grace(arguments.grace), History.here()
    store = _store(history)
    now = dt.datetime.now(dt.UTC) if arguments.dry_run else store.clock()
    before = now - dt.timedelta(seconds=grace)
    folder = arguments.prefix.strip("/")
    swept = list(sweep(store, before, folder=folder, dry_run=arguments.dry_run))
    scratch = Path(history.settings.scratch or tempfile.gettempdir())
    dead = list(dead_folders(scratch, grace))
    if not arguments.dry_run:
        for one in dead:
            one.remove()
    _tell(arguments, swept, dead)
    return Exit.DONE


def _grace(text: str) -> float:
    try:
        seconds = float(parse_timedelta(text, default="s"))
    except (KeyError, ValueError):
        seconds = -1.0
    if seconds < 0:
        raise ConfigurationError(f"--grace {text}: write a time, such as 12h or 7d")
    return seconds


def _store(history: History) -> ProductStore:
    """Open the product store, if it is there: nothing is swept from a disk that is not mounted."""
    try:
        with open_for_reading(history.settings) as catalog:
            store = expected_store(history, catalog)
    except CatalogError:
        store = history.store()  # the store alone says what is needed
    if (identity := store.mark()) is None:
        raise StorageUnavailable(
            f"the store at {store.url} has no mark (.covis-store.json): is its disk mounted? Nothing is swept"
        )
    return store.expecting(identity)


def _tell(arguments: argparse.Namespace, swept: Sequence[Swept], dead: Sequence[DeadFolder]) -> None:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for what, size in [
        *((garbage.what, garbage.size) for one in swept for garbage in one.garbage),
        *(("scratch", one.size) for one in dead),
    ]:
        counts[what] += 1
        sizes[what] += size
    left = [{"path": one.path, "reason": one.reason} for one in swept if one.reason]
    if arguments.json:
        document = {
            "dry-run": arguments.dry_run,
            "swept": {what: {"count": counts[what], "bytes": sizes[what]} for what in sorted(counts)},
            "files": [file.path for one in swept for garbage in one.garbage for file in garbage.files],
            "scratch": [str(one.path) for one in dead],
            "left-alone": left,
        }
        put(json.dumps(document, indent=1))
        return
    for entry in left:
        say(f"{entry['path']} is left alone: {entry['reason']}")
    if arguments.dry_run:
        for one in swept:
            for garbage in one.garbage:
                put(f"{garbage.what:<9} {garbage.files[0].path}  {format_bytes(garbage.size)}")
        for one_dead in dead:
            put(f"{'scratch':<9} {one_dead.path}  {format_bytes(one_dead.size)}")
    words = ", ".join(f"{counts[what]} {what}" for what in sorted(counts)) or "nothing"
    verb = "would be removed" if arguments.dry_run else "removed"
    put(f"{words} {verb}; {format_bytes(sum(sizes.values()))}")


if __name__ == "__main__":
    sys.exit(main())
