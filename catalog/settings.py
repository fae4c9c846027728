"""Where the catalogue is, when nobody says so on the command line.

From strong to weak: what the caller says; section ``covis.catalog`` of `dask.config` (``url``, ``database``,
``collection``: YAML files, or ``DASK_COVIS__CATALOG__URL`` and so on); the environment variables of the old
worker (``MONGODB_URL``, ``MONGODB_DB``, ``MONGODB_RUNS_TABLE``); a SQLite file under ``./covis-data``.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask.config

from catalog.errors import CatalogError
from catalog.store import Catalog, open_catalog

__all__ = ["DEFAULT_URL", "CatalogLocation", "expand_references", "locate"]

_REFERENCE = re.compile(r"\$\{(\w+)\}")

DEFAULT_URL = "sqlite:///covis-data/catalog.sqlite"


@dataclass(frozen=True, slots=True)
class CatalogLocation:
    """What it takes to open the catalogue.

    Parameters
    ----------
    url : str
        As `open_catalog` takes it; not in the `repr`, for it may hold a password.
    database, collection : str
        Where the runs lie on a MongoDB server.
    """

    url: str = field(repr=False)
    database: str
    collection: str

    def open(self) -> Catalog:
        """Open it; see `open_catalog`. References in the URL are read from this process's environment."""
        try:
            url = expand_references(self.url, os.environ)
        except KeyError as error:
            raise CatalogError(
                f"covis.catalog.url refers to the environment variable {error.args[0]}, which is not set here"
            ) from None
        return open_catalog(url, database=self.database, collection=self.collection)


def expand_references(text: str, environ: Mapping[str, str]) -> str:
    """Replace each ``${NAME}`` by the environment's value, or by what the file named by ``NAME_FILE`` holds.

    The latter is how Docker and Kubernetes mount secrets.

    Raises
    ------
    KeyError
        With the name of a variable that is not set, or whose file cannot be read.
    """
    return _REFERENCE.sub(lambda match: _value(match[1], environ), text)


def _value(name: str, environ: Mapping[str, str]) -> str:
    if name in environ:
        return environ[name]
    try:
        return Path(environ[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
    except (KeyError, OSError):
        raise KeyError(name) from None


def locate(url: str | None = None, environ: Mapping[str, str] | None = None) -> CatalogLocation:
    """Return where the catalogue is.

    Parameters
    ----------
    url : str, optional
        Said by the caller.
    environ : mapping, optional
        Environment variables; those of this process by default.

    Raises
    ------
    CatalogError
        When the URL refers to a variable (``${MONGODB_PASSWORD}``) that is not set.
    """
    variables = os.environ if environ is None else environ

    def setting(name: str, variable: str, default: str) -> str:
        # Elsewhere in the program the defaults may have been put into dask.config: those are nobody's choice.
        configured: Any = dask.config.get(f"covis.catalog.{name}", default=None)
        chosen = None if configured == default else configured
        return str(chosen or variables.get(variable) or default)

    return CatalogLocation(
        _expanded(url or setting("url", "MONGODB_URL", DEFAULT_URL), variables),
        setting("database", "MONGODB_DB", "covis"),
        setting("collection", "MONGODB_RUNS_TABLE", "runs"),
    )


def _expanded(url: str, variables: Mapping[str, str]) -> str:
    try:
        return expand_references(url, variables)
    except KeyError as error:
        raise CatalogError(
            f"the catalogue's URL refers to the environment variable {error.args[0]}, which is not set"
        ) from None
