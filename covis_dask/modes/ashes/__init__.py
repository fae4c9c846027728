"""Mode programs of 2018 and later (science.md 4.1, 4.3, 4.6, 4.7, 4.8)."""

__all__ = ["bathy", "diffuse", "doppler", "fullrange", "imaging"]
