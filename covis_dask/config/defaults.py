"""The defaults that are shipped (covis.yaml), brought to dask.config."""

from importlib.resources import files
from typing import Any

import dask.config
import yaml

__all__ = ["DEFAULTS"]

_SHIPPED: dict[str, Any] = yaml.safe_load((files("covis_dask") / "covis.yaml").read_text("utf-8"))
DEFAULTS: dict[str, Any] = _SHIPPED["covis"]
"""The section ``covis`` when nobody says otherwise."""

dask.config.update_defaults(_SHIPPED)
