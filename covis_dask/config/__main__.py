"""``python -m covis_dask.config``: print the schema of the configuration."""

from covis_dask.config.schema import schema_text

if __name__ == "__main__":
    print(schema_text(), end="")
