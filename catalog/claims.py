"""Who holds a run, and under which fencing token: the rule of a claim, pure; both stores keep to it.

A batch holds its runs for as long as its lease is open. The lease is a counter that the holder raises, beat
by beat; nobody's clock is compared with another's. The token of a run goes up with every new holder and never
down, so a commit or a record under a lower one is known to come from somebody who has lost the run.
"""

from collections.abc import Container
from dataclasses import dataclass

__all__ = ["UNCLAIMED", "Claim", "claimed"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim on a run.

    Parameters
    ----------
    batch : str, optional
        Who holds the run; None when it was let go.
    token : int
        Of the last holder; 0 while the run has had none.
    """

    batch: str | None = None
    token: int = 0


UNCLAIMED = Claim()


def claimed(claim: Claim, batch: str, floor: int, open_leases: Container[str]) -> Claim | None:
    """Return the claim that a batch gets on a run, or None where another batch holds it.

    Parameters
    ----------
    claim : Claim
        As it stands.
    batch : str
        Who claims.
    floor : int
        A token that the new one must exceed: one that was found in the store.
    open_leases : container of str
        Batches whose lease is open, read no earlier than `claim`.
    """
    if claim.batch == batch:
        return claim if floor <= claim.token else Claim(batch, floor + 1)
    if claim.batch is not None and claim.batch in open_leases:
        return None
    return Claim(batch, max(claim.token, floor) + 1)
