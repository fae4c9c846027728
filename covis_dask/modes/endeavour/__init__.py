"""Mode programs of the Endeavour era, 2010-15: imaging, diffuse flow, Doppler.

See docs/method.md#imaging-2010-15, #diffuse-flow-2010-15, #doppler-2010-15.
"""
