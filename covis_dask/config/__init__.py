"""The `covis:` section of dask.config as one frozen value; defaults in covis.yaml.

Order of precedence: command-line flags, ``DASK_COVIS__...``, YAML files, the variables of the old worker
(``NAS_URL``, ``MONGODB_URL`` ...), defaults.
"""

from covis_dask.config.legacy import legacy_variables, merged_hosts
from covis_dask.config.locations import Location, expand, expand_options, web_address
from covis_dask.config.origins import flat, origin_of, origins
from covis_dask.config.settings import Settings, load_settings, settings_faults
from covis_dask.config.shown import shown

__all__ = [
    "Location",
    "Settings",
    "expand",
    "expand_options",
    "flat",
    "legacy_variables",
    "load_settings",
    "merged_hosts",
    "origin_of",
    "origins",
    "settings_faults",
    "shown",
    "web_address",
]
