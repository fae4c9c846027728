"""Mode programs of the Endeavour era, 2010-15: imaging, diffuse flow, Doppler (science.md 4.2, 4.4, 4.5)."""
