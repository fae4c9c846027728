"""The second level: from gridded products to quantities of plumes, diffuse flow and the seafloor.

Pure functions from datasets to datasets (docs/science.md). `level2` of a family takes a product and the
configuration; nothing here knows of storage, clusters or catalogues.
"""
