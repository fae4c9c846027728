"""``covis verify QUERY``: see whether catalogue, manifests and bytes agree."""

import argparse
import datetime as dt
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from catalog.store import Catalog
from covis_dask.batches.found import expected_store
from covis_dask.batches.history import History, open_for_reading
from covis_dask.batches.verification import Mended, Verified, fix, undo, verify
from covis_dask.cli._answer import answered, put
from covis_dask.cli._selected import add_product_selection, query_from, say
from covis_dask.cli.exits import Exit
from covis_dask.errors import ConfigurationError, StorageRefused, StorageUnavailable
from covis_dask.products.checking import Word
from covis_dask.storage import ProductStore

__all__ = ["main", "parser"]

_AWAY = 3
_EPILOG = f"""\
words: {", ".join(Word)}

exit codes:
    0  all agree, or no run is selected; with --undo: everything was taken back
    1  something does not agree (also when --fix has mended it); with --undo: something stays as it is
    2  wrong words, or the catalogue cannot be used
    3  the store is away
  130  interrupted
"""


def parser(prog: str = "python -m covis_dask.cli.verify") -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Compare what the catalogue says of the selected runs with the manifests in the product "
        "store, and these with the files they name.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_product_selection(parser)
    parser.add_argument("--deep", action="store_true", help="read every file and compare its SHA-256")
    parser.add_argument(
        "--fix", action="store_true", help="bring the catalogue to the store's truth; writes an undo log"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="the undo log (covis-verify-TIME.jsonl)")
    parser.add_argument("--undo", type=Path, metavar="LOG", help="take back what --fix did, and do no more")
    parser.add_argument("--json", action="store_true", help="what was found, as JSON")
    return parser


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m covis_dask.cli.verify") -> int:
    """Run the command."""
    arguments = parser(prog).parse_args(argv)

    def work() -> int:
        try:
            return _undo(arguments) if arguments.undo else _verify(arguments)
        except (StorageUnavailable, StorageRefused) as error:
            say(f"error: {error}")
            return _AWAY

    try:
        return answered(work)
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED


def _verify(arguments: argparse.Namespace) -> int:
    history = History.here()
    with open_for_reading(history.settings) as catalog:
        runs = list(catalog.select(query_from(arguments)))
        store = expected_store(history, catalog)
        if not store.fs.exists(store.root):
            raise StorageUnavailable(f"there is no store at {store.url}: is its disk mounted?")
        checked = list(verify(store, runs, _prefixes(arguments, history, store), deep=arguments.deep))
        wrong = [one for one in checked if one.found]
        log = arguments.log or Path(f"covis-verify-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}.jsonl")
        mended = _fix(catalog, wrong, log) if arguments.fix else []
    tell = _tell_json if arguments.json else _tell
    tell(len(checked), wrong, mended, log)
    return Exit.SOME_FAILED if wrong else Exit.DONE


def _prefixes(arguments: argparse.Namespace, history: History, store: ProductStore) -> list[str]:
    """Say where products of runs without a record may lie."""
    if arguments.prefix:
        return [arguments.prefix]
    known = [history.settings.prefix] if history.settings.prefix else []
    return list(dict.fromkeys([*known, *(name for name in store.folders("") if not name.startswith("."))]))


def _fix(catalog: Catalog, wrong: Sequence[Verified], log: Path) -> list[Mended]:
    if all(one.after is None for one in wrong):
        return []
    try:
        with log.open("a", encoding="utf-8") as file:
            return list(fix(catalog, wrong, file))
    except OSError as error:
        raise ConfigurationError(f"the undo log {log} cannot be written: {error.strerror}") from error


def _undo(arguments: argparse.Namespace) -> int:
    try:
        lines = arguments.undo.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the undo log {arguments.undo} cannot be read: {error}") from error
    with open_for_reading(History.here().settings) as catalog:
        taken = list(undo(catalog, lines))
    refused = [one for one in taken if one.reason]
    if arguments.json:
        put(json.dumps(_mended(taken), indent=1))
    else:
        for one in refused:
            say(f"{one.basename}: {one.reason}")
        put(f"{len(taken) - len(refused)} of {len(taken)} records taken back")
    return Exit.SOME_FAILED if refused else Exit.DONE


def _mended(mended: Sequence[Mended]) -> dict[str, object]:
    return {
        "changed": [one.basename for one in mended if not one.reason],
        "left": {one.basename: one.reason for one in mended if one.reason},
    }


def _counts(wrong: Sequence[Verified]) -> dict[str, int]:
    return dict(sorted(Counter(str(one.word) for verified in wrong for one in verified.found).items()))


def _tell_json(checked: int, wrong: Sequence[Verified], mended: Sequence[Mended], log: Path) -> None:
    document = {
        "checked": checked,
        "counts": _counts(wrong),
        "disagreements": [
            {"basename": one.run.basename, "path": one.path, "word": str(each.word), "text": each.text}
            for one in wrong
            for each in one.found
        ],
        "fixed": _mended(mended),
        "log": str(log) if mended else None,
    }
    put(json.dumps(document, indent=1))


def _tell(checked: int, wrong: Sequence[Verified], mended: Sequence[Mended], log: Path) -> None:
    for one in wrong:
        for each in one.found:
            put(f"{each.word:<19} {one.run.basename}  {each.text}")
    words = ", ".join(f"{count} {word}" for word, count in _counts(wrong).items())
    put(f"{checked} runs checked: {words or 'all agree'}")
    for left in mended:
        if left.reason:
            say(f"{left.basename}: {left.reason}")
    if mended:
        changed = sum(not one.reason for one in mended)
        put(f"{changed} records of the catalogue changed; `covis verify --undo {log}` takes that back")


if __name__ == "__main__":
    sys.exit(main())
