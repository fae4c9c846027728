"""One run on one worker: what is told (task), what is done (worker), what is answered (outcome)."""

__all__: list[str] = []
