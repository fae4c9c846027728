"""What a batch is asked for: one frozen value, made from words, keywords or Python, that checks itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from catalog.query import RunQuery
from catalog.redaction import holds_secret
from catalog.vocabulary import RunState
from covis_dask.engines import ENGINES
from covis_dask.errors import ConfigurationError
from covis_dask.modes import PROFILES, known_presets
from covis_dask.modes.fixes import named_fixes
from covis_dask.products.formats import FORMATS

__all__ = ["CLUSTER_KINDS", "LOCAL", "ONLY", "BatchRequest", "ClusterSpec"]

LOCAL: Final = "local"
CLUSTER_KINDS: Final = ("gateway", "kubernetes", "slurm", "ssh")
"""Clusters that can be started for a batch; `covis_dask.batches.clusters` starts them."""
ONLY: Final = ("missing", str(RunState.FAILED), "stale", str(RunState.QUARANTINED))
"""States to which a selection can be narrowed."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Which cluster, and how many workers.

    Parameters
    ----------
    where : str
        ``local`` for processes on this machine, an address (``tcp://host:8786``, ``tls://host:8786``), or one
        of `CLUSTER_KINDS` for a cluster that is started for the batch, with the arguments in
        ``covis.cluster``.
    workers : int, optional
        Number of workers to start; one per core, or as configured, when not given.
    adapt : tuple of int, optional
        Fewest and most workers, started and ended as the work demands.
    resources : mapping
        What every worker that is started offers, and one at least must offer, by Dask's names.
    dashboard : str, optional
        Where a scheduler that is started serves its dashboard; ``covis.dashboard.address`` when not given.

    Raises
    ------
    ConfigurationError
        When these contradict each other.
    """

    where: str = LOCAL
    workers: int | None = None
    adapt: tuple[int, int] | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    dashboard: str | None = None

    def __post_init__(self) -> None:
        if self.where != LOCAL and self.where not in CLUSTER_KINDS and "://" not in self.where:
            raise ConfigurationError(
                f"--scheduler {self.where}: write local, or an address such as tcp://host:8786"
            )
        if self.workers is not None and self.is_there:
            raise ConfigurationError(
                "--workers starts workers; a scheduler that is running has its own workers already"
            )
        if self.workers is not None and self.workers < 1:
            raise ConfigurationError("--workers must be at least 1")
        if self.adapt is not None:
            self._check_adapt(*self.adapt)

    def _check_adapt(self, fewest: int, most: int) -> None:
        if self.where not in CLUSTER_KINDS or self.workers is not None:
            raise ConfigurationError("--adapt requires --cluster, and excludes --workers")
        if not 0 <= fewest <= most or most < 1:
            raise ConfigurationError(f"--adapt {fewest}:{most}: write fewest and most workers, such as 0:40")

    @classmethod
    def from_options(
        cls,
        scheduler: str | None = None,
        cluster: str | None = None,
        workers: int | None = None,
        adapt: str | tuple[int, int] | None = None,
    ) -> Self:
        """Make it of what ``covis batch`` is told, or the same in keywords.

        Parameters
        ----------
        scheduler : str, optional
            An address, or ``local``.
        cluster : str, optional
            One of `CLUSTER_KINDS`.
        workers : int, optional
        adapt : str or tuple of int, optional
            ``MIN:MAX``.

        Raises
        ------
        ConfigurationError
            When these make no sense, alone or together.
        """
        if cluster is not None and scheduler not in (None, LOCAL):
            raise ConfigurationError("--cluster starts its own scheduler: leave out --scheduler")
        if scheduler in CLUSTER_KINDS:
            raise ConfigurationError(
                f"--scheduler {scheduler}: to start such a cluster, say --cluster {scheduler}"
            )
        _check_choice("cluster", cluster, CLUSTER_KINDS)
        return cls(cluster or scheduler or LOCAL, workers, _range(adapt) if isinstance(adapt, str) else adapt)

    @property
    def is_there(self) -> bool:
        """Whether a scheduler is running already, and only to be connected to."""
        return "://" in self.where


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A batch as somebody wants it: which runs, what to do with them, and where.

    Parameters
    ----------
    query : RunQuery
        Which runs.
    job : str
        What is done with them: ``process``, or a job of `covis_dask.batches.job.job_named`.
    engine : str
        What computes: ``native``, ``matlab`` or ``both``.
    profile : str
        ``matlab`` or ``corrected``.
    fixes : tuple of str
        Quirks of the original to mend in profile ``matlab``, such as ``Q11``; kept in the order of their
        numbers.
    preset : str, optional
        Version of the original to follow; chosen by era and mode when not given.
    overrides : mapping
        Changed parameters, by dotted key.
    formats : tuple of str
        ``nc``, ``zarr``, ``mat``.
    prefix : str, optional
        Folder below the product store; engine, profile and fixes when not given.
    ancillary : str, optional
        Folder or URL of ancillary data, instead of the configured one.
    force : bool
        Process the selected runs even if their products exist.
    verify : bool
        Believe the manifests in the store rather than the catalogue.
    only : str, optional
        Narrow the selection to runs in one of the states of `ONLY`.
    retries : int, optional
        Further tries after a transient fault; as configured when not given.
    cluster : ClusterSpec
        Where.

    Raises
    ------
    ConfigurationError
        When it contradicts itself, or selects nothing in particular.
    """

    query: RunQuery
    job: str = "process"
    engine: str = "native"
    profile: str = "matlab"
    fixes: tuple[str, ...] = ()
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ("nc",)
    prefix: str | None = None
    ancillary: str | None = None
    force: bool = False
    verify: bool = False
    only: str | None = None
    retries: int | None = None
    cluster: ClusterSpec = ClusterSpec()

    def __post_init__(self) -> None:
        if self.force and self.verify:
            raise ConfigurationError(
                "--verify checks whether products exist, --force makes them anyway: choose one of the two"
            )
        _check_choice("engine", self.engine, sorted(ENGINES))
        _check_choice("profile", self.profile, PROFILES)
        object.__setattr__(self, "fixes", named_fixes(self.fixes, self.profile))
        _check_choice("preset", self.preset, known_presets())
        _check_choice("only", self.only, ONLY)
        if holds_secret(self.ancillary or ""):
            raise ConfigurationError(
                "--ancillary holds a secret, which tasks would carry: write ${NAME} instead, and set it"
            )
        for name in self.formats:
            _check_choice("format", name, FORMATS)
        if self.retries is not None and self.retries < 0:
            raise ConfigurationError("--retries cannot be negative")
        if self.query == RunQuery():
            raise ConfigurationError(
                "select some runs: year 2014, mode diffuse, a basename ... (--regex . selects them all)"
            )


def _range(text: str) -> tuple[int, int]:
    """Read ``MIN:MAX``."""
    fewest, _, most = text.partition(":")
    if not (fewest.isdecimal() and most.isdecimal()):
        raise ConfigurationError(f"--adapt {text}: write fewest and most workers, such as 0:40")
    return int(fewest), int(most)


def _check_choice(option: str, value: str | None, choices: Iterable[str]) -> None:
    if value is not None and value not in (known := tuple(choices)):
        raise ConfigurationError(f"--{option} {value}: choose one of {', '.join(known)}")
