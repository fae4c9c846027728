"""The versions that client, scheduler and workers must share, and the sentence for when they do not."""

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from covis_dask._version import __version__
from covis_dask.errors import ConfigurationError

__all__ = ["differences", "disagreement", "require", "versions_here", "versions_in"]

_DASK = ("dask", "distributed")


@cache
def _here() -> Mapping[str, str]:
    packages = {"python": platform.python_version(), **{name: version(name) for name in _DASK}}
    return MappingProxyType(versions_in(packages | {"covis-dask": __version__}))


def versions_here() -> dict[str, str]:
    """Return the versions of this process that must be those of all others; of Python, major and minor."""
    return dict(_here())


def versions_in(packages: Mapping[str, Any]) -> dict[str, str]:
    """Choose from all packages of a process, as Dask tells them, those that must agree."""
    return {
        "python": ".".join(str(packages["python"]).split(".")[:2]),
        **{name: str(packages.get(name) or "missing") for name in (*_DASK, "covis-dask")},
    }


def differences(wanted: Mapping[str, str], actual: Mapping[str, str]) -> dict[str, str]:
    """Return the versions found that are not those wanted."""
    return {name: actual[name] for name in wanted if actual[name] != wanted[name]}


def disagreement(sentences: Sequence[str]) -> ConfigurationError:
    """Make the error that says who has what, and what to do."""
    return ConfigurationError(
        f"versions that must agree do not: {'; '.join(sentences)}. Run the batch from the workers' own "
        f"image or environment, or install covis-dask {__version__} with the same Dask there"
    )


def require(wanted: Mapping[str, str], who: str) -> None:
    """Refuse to work for a batch that has other versions.

    Workers may come at any time, so each asks for itself, run by run; the check at connection sees only those
    that are there by then.

    Parameters
    ----------
    wanted : mapping
        `versions_here` where the batch was started.
    who : str
        This worker.

    Raises
    ------
    ConfigurationError
        When any of them is another here.
    """
    differing = differences(wanted, _here())
    if differing:
        raise disagreement(
            [
                f"{package} is {wanted[package]} in the batch and {version} on worker {who}"
                for package, version in differing.items()
            ]
        )
