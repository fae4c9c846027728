"""Leases and claims on MongoDB: collection ``leases``, and ``claim: {batch, token}`` in a run's document.

A server alone has no transactions. So a claim is read before the leases are (who held a run then, and has no
lease now, is gone), and changed only if it is still the one that was read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from catalog.claims import Claim, claimed
from catalog.model import ProductRecord

__all__ = ["Leases"]

Document = dict[str, Any]


class Leases:
    """Leases of batches, and their claims on runs.

    Parameters
    ----------
    runs, leases : Collection
    """

    def __init__(self, runs: "Collection[Document]", leases: "Collection[Document]") -> None:
        self._runs = runs
        self._leases = leases

    def open(self, batch: str) -> None:
        """Begin to count, unless the lease is open."""
        try:
            self._leases.update_one({"_id": batch}, {"$setOnInsert": {"beat": 1}}, upsert=True)
        except DuplicateKeyError:  # the same call, made twice at once
            return

    def beat(self, batch: str) -> bool:
        """Raise a counter; False when the lease is not open."""
        return self._leases.update_one({"_id": batch}, {"$inc": {"beat": 1}}).matched_count == 1

    def counters(self) -> dict[str, int]:
        """Return the counters of open leases by batch."""
        return {lease["_id"]: _number(lease.get("beat")) for lease in self._leases.find().sort("_id", 1)}

    def take_over(self, batch: str, beat: int) -> bool:
        """End a lease if its counter is still the one that was seen."""
        return self._leases.delete_one({"_id": batch, "beat": beat}).deleted_count == 1

    def close(self, batch: str) -> None:
        """End a lease."""
        self._leases.delete_one({"_id": batch})

    def holders(self, basenames: Sequence[str]) -> dict[str, str]:
        """Return who holds which of the runs."""
        found = ((document["basename"], _claim(document)) for document in self._find(basenames))
        return {name: claim.batch for name, claim in found if claim.batch is not None}

    def doubted(self) -> frozenset[str]:
        """Return the runs that have been claimed since they were recorded."""
        fields = {"basename": 1, "claim.token": 1, "product.token": 1}
        claimed_once = {"claim.token": {"$gt": 0}, "product": {"$exists": True}}
        return frozenset(
            document["basename"]
            for document in self._runs.find(claimed_once, fields)
            if _claim(document).token > _number(_recorded(document).get("token"))
        )

    def claim(self, basenames: Sequence[str], batch: str, floors: Mapping[str, int]) -> dict[str, int]:
        """Take what is free; return the tokens of what is ours now."""
        found = self._find(basenames)
        open_leases = self.counters()
        updates = []
        for document in found:
            there = _claim(document)
            new = claimed(there, batch, floors.get(document["basename"], 0), open_leases)
            if new is not None and new != there:
                change = {"$set": {"claim": {"batch": new.batch, "token": new.token}}}
                updates.append(UpdateOne(_unchanged(document), change))
        if updates:
            self._runs.bulk_write(updates, ordered=False)
        ours = ((document["basename"], _claim(document)) for document in self._find(basenames))
        return {name: claim.token for name, claim in ours if claim.batch == batch}

    def record(self, outcomes: Mapping[str, ProductRecord]) -> frozenset[str]:
        """Store what became of runs and end their claims; return those whose token is too low."""
        updates = [
            UpdateOne(
                {"basename": name, "$or": [_NO_TOKEN, {"claim.token": {"$lte": product.token}}]},
                {"$set": {"product": product.to_document(), **_token(product)}, "$unset": _ended(product)},
            )
            for name, product in outcomes.items()
        ]
        if not updates or self._runs.bulk_write(updates, ordered=False).matched_count == len(updates):
            return frozenset()
        # Some run is held, or was recorded, under a higher token; or it is not here.
        found = {document["basename"]: document for document in self._find(list(outcomes))}
        return frozenset(name for name, document in found.items() if _fenced(document, outcomes[name]))

    def forget(self, basenames: Sequence[str], batch: str) -> int:
        """Remove what is recorded of runs that a batch holds, and end its claims on them."""
        ours = {"basename": {"$in": list(basenames)}, "claim.batch": batch}
        return self._runs.update_many(ours, {"$unset": {"product": "", "claim.batch": ""}}).modified_count

    def release(self, batch: str) -> int:
        """End the claims of a batch; the tokens stay."""
        change = {"$unset": {"claim.batch": ""}}
        return self._runs.update_many({"claim.batch": batch}, change).modified_count

    def forget_claims_of_version_2(self) -> None:
        """End claims that ran out by the clock: no lease stands behind them."""
        self._runs.update_many({"claim.until": {"$exists": True}}, {"$unset": {"claim": ""}})

    def _find(self, basenames: Sequence[str]) -> list[Document]:
        fields = {"basename": 1, "claim": 1, "product.batch": 1, "product.token": 1}
        return list(self._runs.find({"basename": {"$in": list(basenames)}}, fields))


_NO_TOKEN: Document = {"claim.token": {"$exists": False}}


def _claim(document: Document) -> Claim:
    claim = document.get("claim")
    claim = claim if isinstance(claim, dict) else {}
    batch = claim.get("batch")
    return Claim(batch if isinstance(batch, str) else None, _number(claim.get("token")))


def _number(value: object) -> int:
    """Read a counter; the collection is the users' own, and may hold anything."""
    return int(value) if isinstance(value, int | float) else 0


def _recorded(document: Document) -> Document:
    product = document.get("product")
    return product if isinstance(product, dict) else {}


def _fenced(document: Document, product: ProductRecord) -> bool:
    """Tell whether a record was refused; one that was taken may have been followed by a new claim."""
    recorded = _recorded(document)
    is_there = (recorded.get("batch"), recorded.get("token", 0)) == (product.batch, product.token)
    return _claim(document).token > product.token and not is_there


def _unchanged(document: Document) -> Document:
    return {"_id": document["_id"], "claim": document.get("claim", {"$exists": False})}


def _token(product: ProductRecord) -> Document:
    return {"claim.token": product.token} if product.token else {}


def _ended(product: ProductRecord) -> Document:
    return {"claim.batch": ""} if product.token else {"claim": ""}
