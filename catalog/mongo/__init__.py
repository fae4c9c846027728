"""The catalogue on MongoDB, or a server that speaks its protocol."""

from catalog.mongo.catalog import STEPS, MongoCatalog

__all__ = ["STEPS", "MongoCatalog"]
