"""The schema of the configuration, for editors: `covis-schema.yaml`, made from the typed sections."""

from typing import Any

import msgspec
import yaml

from covis_dask.config.sections import CovisSection, Seconds, Size

__all__ = ["schema_text"]

_HEAD = "# What covis.yaml may say, as JSON Schema. Made by `python -m covis_dask.config`.\n"
_TITLE = "Configuration of covis-dask"


def _own(kind: type) -> dict[str, Any]:
    """Describe the types that JSON does not have."""
    what = {Seconds: "a length of time: 30s, 10m, 4h", Size: "a size: 64 MiB, 16 GiB"}[kind]
    return {"type": ["string", "number"], "description": what}


def schema_text() -> str:
    """Return the schema as YAML."""
    schema = msgspec.json.schema(CovisSection, schema_hook=_own)
    sections: dict[str, Any] = schema["$defs"]
    for section in sections.values():
        section["additionalProperties"] = False
        section.pop("required", None)  # what is not said is as shipped
    sections["LocationSection"]["required"] = ["url"]
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
        "type": "object",
        "properties": {"covis": {"$ref": schema["$ref"]}},
        "$defs": sections,
    }
    return _HEAD + str(yaml.safe_dump(document, sort_keys=False, width=110))
