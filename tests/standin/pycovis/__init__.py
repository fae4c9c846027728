"""A stand-in for the compiled COVIS package of the Matlab image; see `pycovis.matlab`."""
