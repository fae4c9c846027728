"""Variables of the products of 2018+, grid by grid (docs/method.md)."""

from typing import Final

from covis_dask.modes.spec import GridDescription, VariableDescription

__all__ = ["BATHY", "DIFFUSE", "DOPPLER", "FULL_RANGE", "IMAGING", "OFFSETS", "POINTS"]

_INTENSITIES: Final = (
    ("Ia", "backscatter_mean", "volume backscattering coefficient of the ping-averaged echo"),
    (
        "Id",
        "backscatter_fluctuating",
        "volume backscattering coefficient of the fluctuating echo",
    ),
    (
        "Ia_filt",
        "backscatter_mean_detected",
        "volume backscattering coefficient of the ping-averaged echo, where detected",
    ),
    (
        "Id_filt",
        "backscatter_fluctuating_detected",
        "volume backscattering coefficient of the fluctuating echo, where detected",
    ),
)


def _intensities(name: str, original: str, what: str) -> tuple[VariableDescription, ...]:
    """Describe the four masked intensities, and the fractions that profile corrected has of each.

    Parameters
    ----------
    name, original : str
        Begin the variables' own and original names.
    what : str
        Ends their long names.
    """
    values = tuple(
        VariableDescription(name + word, original + key, long_name + what, "m-1")
        for key, word, long_name in _INTENSITIES
    )
    fractions = tuple(
        VariableDescription(
            f"{value.name}_valid_fraction",
            f"{value.original_name}_valid",
            f"weighted fraction of samples that entered the {value.long_name}",
            "1",
        )
        for value in values
    )
    return values + fractions


def _map(kind: str, name: str, long_name: str, units: str, suffix: str = "") -> GridDescription:
    """Describe a map, and its weight; `suffix` ends the variables' names."""
    prefix = kind.lower().replace(" ", "_")
    return GridDescription(
        kind,
        (
            VariableDescription(name + suffix, f"{prefix}_v", long_name, units),
            VariableDescription(
                f"{name}_weight{suffix}", f"{prefix}_w", f"gridding weight of {long_name}", "1"
            ),
        ),
        prefix=prefix,
        part="diffuse" if suffix else "covis",
    )


IMAGING: Final = (
    GridDescription(
        "backscatter-cross-section",
        (
            *_intensities("", "", ""),
            VariableDescription("amplitude_variance", "Kp", "normalised amplitude variance", "1"),
            VariableDescription("gridding_weight", "w", "gridding weight", "1"),
        ),
    ),
)

BATHY: Final = (
    GridDescription(
        "bathy",
        (
            VariableDescription(
                "seafloor_height", "v", "height of the seafloor above the base of COVIS", "m"
            ),
            VariableDescription("gridding_weight", "w", "gridding weight", "1"),
        ),
        keeps_gaps=True,
    ),
)

POINTS: Final = tuple(
    VariableDescription(
        f"point_{axis}", f"{axis}b_out", f"{what} of the detected seafloor point", "m", dims=("beam", "burst")
    )
    for axis, what in (("x", "distance east"), ("y", "distance north"), ("z", "height"))
)

DIFFUSE: Final = (
    _map(
        "decorrelation intensity",
        "decorrelation_intensity",
        "backscattering cross-section times ping-to-ping decorrelation",
        "m2",
    ),
    _map("decorrelation", "decorrelation", "ping-to-ping decorrelation", "1"),
    _map("intensity", "intensity", "backscattering cross-section", "m2"),
    _map("Chi_var", "log_intensity_variance", "variance of log intensity", "1"),
    _map("SI", "scintillation_index", "scintillation index of intensity", "1"),
    _map("Sig_phi2", "phase_variance", "phase variance", "rad2"),
    _map("Kp", "amplitude_variance", "normalised amplitude variance", "1"),
)

FULL_RANGE: Final = tuple(
    _map(*fields, suffix="_fr")
    for fields in (
        (
            "bathy_filt",
            "seafloor_height_windowed",
            "height of the strongest range-averaged echo above the base of COVIS",
            "m",
        ),
        (
            "intensity_filt",
            "intensity_windowed",
            "backscattering cross-section of the strongest range-averaged echo",
            "m2",
        ),
        (
            "decorrelation intensity",
            "decorrelation_intensity",
            "backscattering cross-section times ping-to-ping decorrelation, at the strongest echo",
            "m2",
        ),
        ("decorrelation", "decorrelation", "ping-to-ping decorrelation, at the strongest echo", "1"),
        ("bathy", "seafloor_height", "height of the strongest echo above the base of COVIS", "m"),
        ("intensity", "intensity", "backscattering cross-section of the strongest echo", "m2"),
        (
            "Chi_var",
            "log_intensity_variance",
            "variance of log intensity, at the strongest echo",
            "1",
        ),
        (
            "SI",
            "scintillation_index",
            "scintillation index of intensity, at the strongest echo",
            "1",
        ),
        ("Sig_phi2", "phase_variance", "phase variance, at the strongest echo", "rad2"),
        (
            "Kp",
            "amplitude_variance",
            "normalised amplitude variance, at the strongest echo",
            "1",
        ),
    )
)

DOPPLER: Final = (
    GridDescription(
        "doppler velocity",
        (
            VariableDescription(
                "radial_velocity",
                "doppler_velocity_vr_cov",
                "radial velocity away from the sonar, from the autocovariance summed over pings",
                "m s-1",
                "radial_sea_water_velocity_away_from_instrument",
            ),
            VariableDescription(
                "radial_velocity_mean",
                "doppler_velocity_vr_vel",
                "radial velocity away from the sonar, mean over pings",
                "m s-1",
            ),
            VariableDescription(
                "radial_velocity_std",
                "doppler_velocity_std",
                "radial velocity, standard deviation over pings",
                "m s-1",
            ),
            VariableDescription(
                "covariance",
                "doppler_velocity_covar",
                "lagged autocovariance of the backscattered signal, summed over pings",
                "m-1",
            ),
            VariableDescription(
                "velocity_weight", "doppler_velocity_w", "gridding weight of the velocity fields", "1"
            ),
        ),
        prefix="doppler_velocity",
    ),
    GridDescription(
        "intensity",
        (
            *_intensities("", "intensity_", ""),
            VariableDescription(
                "backscatter_weight", "intensity_w", "gridding weight of the backscatter fields", "1"
            ),
        ),
        prefix="intensity",
    ),
    GridDescription(
        "intensity_win",
        (
            *_intensities("windowed_", "intensity_win_", ", averaged over range windows"),
            VariableDescription(
                "windowed_backscatter_weight",
                "intensity_win_w",
                "gridding weight of the backscatter fields, averaged over range windows",
                "1",
            ),
        ),
        prefix="intensity_win",
    ),
)

OFFSETS: Final = (
    VariableDescription(
        "velocity_offset",
        "vr_offset",
        "apparent radial velocity due to the clock offset, for each ping; not subtracted",
        "m s-1",
        dims=("ping_of_burst", "burst"),
    ),
    VariableDescription(
        "velocity_offset_average",
        "vr_offset_ave",
        "apparent radial velocity due to the clock offset, from all pings; not subtracted",
        "m s-1",
    ),
)
