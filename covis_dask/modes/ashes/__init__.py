"""Mode programs of 2018 and later.

See docs/method.md#imaging-2018, #diffuse-flow-2018, #doppler-2018, #bathymetry-2018, #full-range-2018.
"""

__all__ = ["bathy", "diffuse", "doppler", "fullrange", "imaging"]
