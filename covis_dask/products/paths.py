"""The layout of the product store: the only place that knows what lies where."""

from dataclasses import dataclass

from catalog.names import archive_path

__all__ = ["FAILURE", "LOG", "MANIFEST", "ProductPaths"]

MANIFEST = "metadata.json"
"""The file whose presence means that a product is whole."""
FAILURE = "failure.json"
LOG = "output.txt"


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

    def run(self, basename: str) -> str:
        """Return the folder of a run's product."""
        return f"{self.prefix}/{archive_path(basename, '')}" if self.prefix else basename

    def batch(self, batch: str) -> str:
        """Return the folder of a batch's report."""
        return f"{self.prefix}/batches/{batch}"

    @staticmethod
    def manifest(run: str) -> str:
        """Return the manifest in a run's folder."""
        return f"{run}/{MANIFEST}"

    @staticmethod
    def failure(run: str) -> str:
        """Return the note of a failure in a run's folder."""
        return f"{run}/{FAILURE}"

    @staticmethod
    def log(run: str) -> str:
        """Return the log in a run's folder."""
        return f"{run}/{LOG}"

    @staticmethod
    def picture(run: str, basename: str) -> str:
        """Return the quick look in a run's folder."""
        return f"{run}/{basename}.png"

    @staticmethod
    def comparison(run: str) -> str:
        """Return what the engines' results differ in (``--engine both``)."""
        return f"{run}/comparison.json"
