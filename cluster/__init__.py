"""The services that covis-dask runs with, as plain processes on one machine or in containers."""
