"""The configuration as typed sections: what covis.yaml may say.

`covis_dask.config.reading` checks a section against them, and `covis-schema.yaml` is made from them, for
editors (`covis_dask.config.schema`).
"""

from typing import Annotated, Any

from msgspec import Meta, field

from covis_dask.config._section import Section
from covis_dask.config.science import ScienceSection

__all__ = [
    "BatchSection",
    "CatalogSection",
    "CovisSection",
    "DashboardSection",
    "LimitsSection",
    "LocationSection",
    "MatlabSection",
    "Seconds",
    "Section",
    "Size",
]


class Seconds(float):
    """A length of time, s; written as ``30s``, ``10 minutes``, ``4h`` or a number."""


class Size(int):
    """A number of bytes; written as ``64 MiB``, ``16 GiB`` or a number."""


Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[int, Meta(ge=0)]


class LocationSection(Section, frozen=True):
    """Where files lie."""

    url: Annotated[str, Meta(description="fsspec URL or local folder")]
    endpoint: Annotated[str | None, Meta(description="address of an S3 server that is not AWS")] = None
    key: Annotated[str | None, Meta(description="reference to the account, such as ${NAS_ACCESS_KEY}")] = None
    secret: Annotated[
        str | None, Meta(description="reference to the secret, such as ${NAS_SECRET_KEY}; never the secret")
    ] = None
    options: Annotated[dict[str, Any], Meta(description="further arguments of the file system")] = field(
        default_factory=dict
    )


class CatalogSection(Section, frozen=True):
    """Where the catalogue is."""

    url: Annotated[str | None, Meta(description="sqlite:///FILE or mongodb://HOST:PORT")] = None
    database: Annotated[str | None, Meta(description="MongoDB only")] = None
    collection: Annotated[str | None, Meta(description="MongoDB only")] = None


class LimitsSection(Section, frozen=True):
    """What a raw archive may hold, and a run may need."""

    members: Count
    member_bytes: Size
    total_bytes: Size
    spool_bytes: Size
    memory: Annotated[
        Size | None, Meta(description="most one run may need; its share of the worker's limit when not given")
    ] = None


class BatchSection(Section, frozen=True):
    """How runs are submitted."""

    window: Annotated[int, Meta(ge=1, description="runs submitted ahead, per worker thread")]
    heartbeat: Annotated[
        Seconds, Meta(description="how often a batch says that it lives; after two without, others take over")
    ]
    claim: Annotated[Seconds | None, Meta(description="of earlier releases; has no effect")] = None


class DashboardSection(Section, frozen=True):
    """Where the page is served, and who may steer from it."""

    address: Annotated[
        str, Meta(description="where schedulers started for a batch serve it; :8787 is every address")
    ] = "127.0.0.1:8787"
    hosts: Annotated[list[str], Meta(description="further names of the server, such as a proxy's")] = field(
        default_factory=list
    )
    steering: Annotated[
        bool | str, Meta(description="auto: on loopback, and where a token is given; on; off")
    ] = "auto"
    token: Annotated[str | None, Meta(description="reference to the token for steering, such as ${NAME}")] = (
        None
    )


class MatlabSection(Section, frozen=True):
    """The Matlab engine, on workers that offer the Dask resource MATLAB=1."""

    python: Annotated[str, Meta(description="the Python of the Matlab image, which has pycovis")]
    knows: Annotated[
        dict[str, list[str]], Meta(description="modes, by site, that the image's code has programs for")
    ]
    recycle: Annotated[int, Meta(ge=1, description="runs after which the runtime is opened anew")]
    start_timeout: Annotated[Seconds, Meta(description="longest time it may take to open")]
    release: Annotated[str | int | float | None, Meta(description="release of the code, such as 2.1.2")] = (
        None
    )


Host = LocationSection | str | None


class CovisSection(Section, frozen=True):
    """Everything the program can be told."""

    catalog: CatalogSection
    hosts: Annotated[dict[str, Host], Meta(description="raw hosts, by the names of the catalogue")]
    host_order: Annotated[list[str], Meta(description="which host is asked first")]
    products: LocationSection | str
    ancillary: LocationSection | str
    timeout: Annotated[Seconds, Meta(description="longest time one run may take")]
    retries: Annotated[int, Meta(ge=0, description="further tries of a run after a transient fault")]
    backoff: Annotated[Seconds, Meta(description="pause before the first of them; doubles up to a minute")]
    max_outage: Annotated[
        Seconds, Meta(description="how long to wait for a store or catalogue that has gone away")
    ]
    limits: LimitsSection
    recycle: Annotated[int, Meta(ge=1, description="runs after which a process that computes is replaced")]
    batch: BatchSection
    cluster: Annotated[
        dict[str, dict[str, Any] | None], Meta(description="arguments of the class that starts each kind")
    ]
    matlab: MatlabSection
    dashboard: DashboardSection = DashboardSection()
    science: ScienceSection = ScienceSection()
    prefix: Annotated[str | None, Meta(description="folder below products")] = None
    scratch: Annotated[str | None, Meta(description="folder for temporary files")] = None
    patience: Annotated[Seconds | None, Meta(description="former name of max-outage")] = None
