"""The layout of the product store: the only place that knows what lies where.

::

    <prefix>/YYYY/MM/DD/<basename>/
        metadata.json     the manifest: names the current files, and is all that ever changes
        v/<version>/      the files of one version of the product; written once, never touched again
        tries/<try>/      failure.json and output.txt of tries that failed

In layout 1, which is still read, the product's files, ``output.txt`` and ``failure.json`` lay in the run's
folder itself.
"""

import secrets
from dataclasses import dataclass
from typing import ClassVar

from catalog.names import archive_path

__all__ = ["FAILURE", "LOG", "MANIFEST", "ProductPaths", "draw_try", "draw_version", "picture_name"]

MANIFEST = "metadata.json"
"""The file that makes a product of what it names."""
FAILURE = "failure.json"
LOG = "output.txt"

_VERSIONS = "v"
_VERSIONS_2 = "l2"
_TRIES = "tries"


def draw_version(fingerprint: str) -> str:
    """Name the folder of a new version below its run's; no two writers draw the same."""
    return f"{_VERSIONS}/{fingerprint[:8]}-{secrets.token_hex(4)}"


def draw_try(token: int, attempt: int) -> str:
    """Name the folder of a try that failed; names sort in the order of claims and attempts."""
    return f"{token:08d}-{attempt}-{secrets.token_hex(2)}"


def picture_name(basename: str) -> str:
    """Return the plain name of a run's quick look."""
    return f"{basename}.png"


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


@dataclass(frozen=True, slots=True)
class ProductPaths:
    """Where things lie below the product store.

    Parameters
    ----------
    prefix : str
        Folder of all products of one engine and profile; empty for single archives, whose folders then are
        just of the runs' names.
    """

    prefix: str = ""

    VERSIONED: ClassVar[tuple[str, ...]] = (_VERSIONS, _VERSIONS_2)
    """Folders below a run's in which versions lie."""

    def run(self, basename: str) -> str:
        """Return the folder of a run's product."""
        return f"{self.prefix}/{archive_path(basename, '')}" if self.prefix else basename

    def batch(self, batch: str) -> str:
        """Return the folder of a batch's report."""
        return f"{self.prefix}/batches/{batch}"

    @staticmethod
    def manifest(run: str) -> str:
        """Return the manifest in a run's folder."""
        return _below(run, MANIFEST)

    @staticmethod
    def file(run: str, name: str) -> str:
        """Return a file that the manifest names, in a run's folder."""
        return _below(run, name)

    @staticmethod
    def versions(run: str) -> str:
        """Return the folder of all versions of a run's product."""
        return _below(run, _VERSIONS)

    @staticmethod
    def tries(run: str, name: str = "") -> str:
        """Return the folder of the tries that failed, or of one of them."""
        return _below(run, _below(_TRIES, name) if name else _TRIES)

    @staticmethod
    def failure(folder: str) -> str:
        """Return the note of a failure in the folder of a try; in layout 1, of a run."""
        return _below(folder, FAILURE)

    @staticmethod
    def log(folder: str) -> str:
        """Return the log in the folder of a try; in layout 1, of a run."""
        return _below(folder, LOG)
