"""What is done with a catalogue from a command line; ``python -m catalog --help``.

This room stands above the catalogue itself, which knows nothing of it.
"""
