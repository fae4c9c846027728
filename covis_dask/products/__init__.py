"""What is left of a run: files, picture, manifest (docs/architecture.md#a-product).

`metadata` makes a mode program's dataset a product that stands on its own; `netcdf`, `zarr` and `mat` write
it, `quicklook` draws it, `writers` does what a batch asks for. `manifest` has the documents beside it, and
`fingerprint` says whether it would come out the same again. The package itself imports none of them: a plan
needs manifests, and not Matplotlib.
"""

__all__ = ["fingerprint", "manifest", "mat", "metadata", "netcdf", "quicklook", "writers", "zarr"]
