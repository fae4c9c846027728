"""Heat flux as the originals compute it, for runs and for a month of them (ENDA)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from covis_dask.science.constants import ORIGINAL, SeaWater
from covis_dask.science.fixes import ScienceFixes
from covis_dask.science.flags import VentFlag
from covis_dask.science.heat import Entrainment, Heat, PlumeProfile, heat_flux
from covis_dask.science.plume_model import buoyancy_from_flux

__all__ = ["month_heat_flux", "run_heat_flux"]

_FIRST, _AGAIN = 0.095, 0.1083
_SETTLED = 0.001
_ROUNDS = 50
_LIMITS = (VentFlag.INCLINED, VentFlag.FLUX_MISFIT, VentFlag.WIDTH_MISFIT, VentFlag.NO_HEAT)


def run_heat_flux(
    profile: PlumeProfile, alpha: float, fixes: ScienceFixes, water: SeaWater = ORIGINAL
) -> Heat:
    """Return the heat flux of a run with an entrainment coefficient.

    Parameters
    ----------
    profile : PlumeProfile
        Volume flux and radius; their errors have no part in the original.
    alpha : float
    fixes : ScienceFixes
        Without Q58 mended the stated error is the heat flux of the slope's own error, which is none.
    water : SeaWater
    """
    nothing = np.zeros(len(profile.z))
    plain = replace(profile, volume_error=nothing, radius_error=nothing)
    found = heat_flux(plain, Entrainment(alpha), water)
    if fixes.propagated_error or not np.isfinite(found.flux):
        return found
    zeta = profile.z - found.source
    power = zeta ** (5 / 3)
    p = float(np.sum(profile.volume * power) / np.sum(power**2))
    rest = profile.volume - p * power
    sigma = float(np.sqrt(np.sum(rest**2) / (len(zeta) - 1) / np.sum(power**2)))
    return replace(found, error=water.heat_per_buoyancy * buoyancy_from_flux(sigma, alpha))


def month_heat_flux(
    profiles: Sequence[PlumeProfile], fixes: ScienceFixes, first: float = _FIRST
) -> tuple[float, list[Heat]]:
    """Return the entrainment coefficient of a month and the heat fluxes of its runs.

    Runs whose widths and fluxes fit the model give the next coefficient, until it changes by less than 0.001.
    Where none passes, the original draws another start at random, for ever; here one more start is tried, and
    then there is none (Q35).

    Parameters
    ----------
    profiles : sequence of PlumeProfile
    fixes : ScienceFixes
    first : float
        Coefficient of the month before.
    """
    for start in (first, _AGAIN):
        alpha = start
        for _ in range(_ROUNDS):
            heats = [run_heat_flux(profile, alpha, fixes) for profile in profiles]
            kept = [one.entrainment_run for one in heats if not any(one.flags & limit for limit in _LIMITS)]
            kept = [value for value in kept if np.isfinite(value)]
            if not kept or not np.mean(kept) > 0:
                break
            new = float(np.mean(kept))
            if abs(new - alpha) <= _SETTLED:
                return new, [run_heat_flux(profile, new, fixes) for profile in profiles]
            alpha = new
    nan = float("nan")
    empty = Heat(nan, nan, nan, nan, nan, nan, nan, nan, VentFlag.NO_HEAT)
    return nan, [empty for _ in profiles]
