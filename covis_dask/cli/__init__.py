"""The command lines: words are read here, and nowhere else; what they ask for is done below.

`main` is ``covis``; each sub-command is a module, imported only when it is asked for.
"""

from catalog.redaction import watch_errors, watch_logs
from covis_dask.cli.commands import main

__all__ = ["main"]

# Every command, whichever door it is called by, comes through here.
watch_errors()
watch_logs()
