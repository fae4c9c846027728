"""Simulated echoes against plain formulas: place, level, phase, velocity.

See docs/method.md#processing-steps, #known-answers.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from covis_dask.raw.record import parse_record
from covis_dask.science.constants import ASHES, ORIGINAL
from covis_dask.simulate import (
    FlowPatch,
    Plume,
    PointScatterers,
    RunSpec,
    Scene,
    Seafloor,
    Step,
    instrument,
    simulate,
)
from covis_dask.simulate.geometry import Attitude, Era, View
from covis_dask.simulate.instrument import Instrument
from covis_dask.simulate.scene import Scatterers
from covis_dask.simulate.specs import run_spec
from covis_dask.simulate.truth import (
    Case,
    RunTruth,
    flow_patch,
    point_target,
    seafloor_plane,
    vertical_flow,
    volume_target,
)
from covis_dask.sonar.calibration import Medium, SonarSettings, calibration

Complex = NDArray[np.complex128]
ERAS: list[Era] = ["END", "ASHES"]


def pings(spec: RunSpec, scene: Scene) -> list[Complex]:
    """Element data [N, E] of every ping."""
    members = simulate(spec, scene)
    return [parse_record(data)[1] for name, data in members.items() if name.endswith(".bin")]


def of_case(case: Case) -> list[Complex]:
    """Element data of every ping of a case."""
    return pings(case.spec, case.scene)


def beams(data: Complex, sonar: Instrument) -> Complex:
    """Beamform by the formula of the method; the monitor channel, which hears no echo, left out.

    See docs/method.md#beamforming.
    """
    count = data.shape[1]
    e = np.arange(count)
    weights = 0.54 - 0.46 * np.cos(2 * np.pi * e / (count - 1))
    weights[-1] = 0
    d = 0.408 / 2 * (-1 + 2 * e / (count - 1))
    k = 2 * np.pi * sonar.frequency / sonar.sound_speed
    steering = weights[:, None] * np.exp(1j * k * d[:, None] * np.sin(sonar.beam_angles))
    formed: Complex = data @ steering
    return formed


def peak(formed: Complex, skip: int = 80) -> tuple[int, int]:
    """Sample and beam of the strongest echo, after the transmitted pulse."""
    sample, beam = np.unravel_index(np.abs(formed[skip:]).argmax(), formed[skip:].shape)
    return int(sample) + skip, int(beam)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("family", ["imaging", "diffuse"])
def test_point_lies_at_its_sample_and_beam(era: Era, family: str) -> None:
    """A scatterer at slant range s c/(2 fs) on the axis of a beam peaks in that sample and that beam."""
    case = point_target(era, family, distance=5.0, beam=30, pings=1, samples=300)
    middle = of_case(case)[len(case.spec.pitches) // 2]
    assert peak(beams(middle, case.spec.instrument)) == (round(5.0 / case.spec.instrument.sample_length), 30)


def test_place_of_the_check_values() -> None:
    """Range and beam lie in the world where docs/method.md#world-coordinates says, 2018+."""
    # Yaw 0.3 rad from the centred head, which looks to 295 degrees.
    attitude = Attitude("ASHES", math.degrees(0.4), math.degrees(0.2), 295 + math.degrees(0.3))
    view = instrument("ASHES", "imaging").view(attitude, 500)
    assert view.at(5.0, math.degrees(-0.5)) == pytest.approx((-4.43487232, 0.84893120, 6.34737591), abs=1e-7)
    assert view.at(5.0, math.degrees(0.3)) == pytest.approx((-2.37199767, 4.10442844, 5.78974661), abs=1e-7)


def test_place_2010() -> None:
    """For 2010-15 the frame is the formula's of the method, with the roll as it was meant (Q11).

    See docs/method.md#world-coordinates.
    """
    phi, rho, el, a = 1.1, 0.2, 0.4, -0.5
    attitude = Attitude("END", math.degrees(el), math.degrees(rho), math.degrees(phi))
    xs, ys, zs = math.sin(a), math.cos(a) * math.cos(el), math.cos(a) * math.sin(el)
    right = xs * math.cos(rho) + zs * math.sin(rho)
    expected = (
        5 * (right * math.cos(phi) + ys * math.sin(phi)),
        5 * (ys * math.cos(phi) - right * math.sin(phi)),
        4.2 + 5 * (zs * math.cos(rho) - xs * math.sin(rho)),
    )
    # x and y do not suffer from the slip: they are the check values.
    assert expected[:2] == pytest.approx((2.69017601, 3.62443725), abs=1e-7)
    view = instrument("END", "imaging").view(attitude, 500)
    assert view.at(5.0, math.degrees(a)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("era", ERAS)
def test_frames_are_turned_only(era: Era) -> None:
    """The way back from the world is the inverse; positive roll lowers the right side."""
    view = instrument(era, "imaging").view(Attitude(era, 20.0, 5.0, 230.0), 500)
    points = np.random.default_rng(1).normal(size=(20, 3)) * 10
    np.testing.assert_allclose(view.to_world(view.to_receiver(points)), points, atol=1e-12)
    assert np.linalg.det(view.attitude.rotation) == pytest.approx(1.0)
    level = instrument(era, "imaging").view(Attitude(era, 0.0, 5.0, 0.0), 500)
    assert level.at(10.0, 40.0)[2] < 4.2 < level.at(10.0, -40.0)[2]


@pytest.mark.parametrize(
    ("era", "family", "gain", "beam", "check", "alpha", "strength"),
    [
        ("ASHES", "bathy", 30.0, 127, -67.48061904816399, 0.08482824655124602, -25.0),
        ("ASHES", "diffuse", 53.0, 63, -99.87903725471054, 0.03596234099022226, -55.0),
        ("END", "diffuse", 53.0, 63, -123.02091628520513, 0.0088, -80.0),
    ],
)
def test_target_strength(
    era: Era, family: str, gain: float, beam: int, check: float, alpha: float, strength: float
) -> None:
    """With the check value of the method (20 m, power 200) a target has its strength within 0.1 dB.

    See docs/method.md#scattering-strength.
    """
    sonar = instrument(era, family, gain=gain, power=200.0, noise=0.0)
    case = point_target(
        era,
        family,
        strength=strength,
        distance=5.0,
        beam=beam,
        jitter=0.0,
        settings=sonar,
        samples=300,
        pings=1,
    )
    formed = beams(of_case(case)[len(case.spec.pitches) // 2], sonar)
    sample, found = peak(formed)
    r = sample * sonar.sample_length
    loss = 40 * math.log10(r / 20) + 2 * (sonar.absorption * r - alpha * 20)
    assert found == beam
    assert 20 * math.log10(abs(formed[sample, beam])) + check + loss == pytest.approx(strength, abs=0.1)


@pytest.mark.parametrize("era", ERAS)
def test_volume_strength(era: Era) -> None:
    """A medium that fills beam and pulse is measured, over all beams, with its strength within 0.1 dB."""
    case = volume_target(era, strength=-45.0, samples=420, pings=4)
    sonar = case.spec.instrument
    gains = calibration(
        "VSS",
        era,
        SonarSettings(sonar.frequency, sonar.pulse_length, sonar.power, sonar.gain),
        Medium(sonar.sound_speed, sonar.absorption),
        angles=sonar.beam_angles,
        ranges=np.arange(420.0) * sonar.sample_length,
    )
    measured = [gains.apply(beams(data, sonar))[180:] for data in of_case(case)]
    assert 10 * math.log10(np.mean(np.abs(measured) ** 2)) == pytest.approx(-45.0, abs=0.1)


@pytest.mark.parametrize("era", ERAS)
def test_an_incoherent_medium_is_gaussian(era: Era) -> None:
    """Amplitudes of a medium that is new in every ping vary as those of complex noise: Kp is 4/pi - 1."""
    case = volume_target(era, samples=320, pitches=(20.0,), pings=30)
    amplitude = np.abs([beams(data, case.spec.instrument)[180:, ::4] for data in of_case(case)])
    kp = (amplitude**2).mean(axis=0) / amplitude.mean(axis=0) ** 2 - 1
    assert kp.mean() == pytest.approx(4 / math.pi - 1, abs=0.02)


@pytest.mark.parametrize("era", ERAS)
def test_fan(era: Era) -> None:
    """Half a fan height off its plane an echo is 3 dB weaker."""
    sonar = instrument(era, "imaging", noise=0.0, gain=20.0 if era == "END" else 50.0)
    spec = run_spec(era, "imaging", settings=sonar, samples=300, pitches=(20.0,), pings=1)
    off = replace(spec, pitches=(20.0 + 1.0,))
    scene = Scene((PointScatterers((spec.view(0).at(5.0),), (-30.0,)),))
    levels = [20 * math.log10(np.abs(pings(s, scene)[0][200:, 5]).max()) for s in (spec, off)]
    expected = 3.0103 * (1.0 / (sonar.vertical_width / 2)) ** 2
    assert levels[0] - levels[1] == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("velocity", [0.3, -1.2])
@pytest.mark.parametrize("era", ERAS)
def test_doppler_phase(era: Era, velocity: float) -> None:
    """A receding scatterer has a falling phase: at lag 8 it has turned by 4 pi f v 8/(c fs)."""
    spec = run_spec(era, "doppler", samples=400, pitches=(30.0,), pings=2, roll=0.0)
    sonar = replace(spec.instrument, noise=0.0, random_phase=False, gain=20.0 if era == "END" else 50.0)
    spec = replace(spec, instrument=sonar)
    place = np.array(spec.view(0).at(6.0, 10.0))
    away = (place - [0, 0, 4.2]) / 6.0
    motion = velocity * away
    scene = Scene((PointScatterers((tuple(place.tolist()),), (-20.0,), (motion[0], motion[1], motion[2])),))
    first, second = (data[200:, 3] for data in pings(spec, scene))
    turn = np.angle(np.sum(first[:-8] * first[8:].conj()))
    per_lag = 4 * math.pi * sonar.frequency * 8 / (sonar.sound_speed * sonar.sample_rate)
    assert turn / per_lag == pytest.approx(velocity, abs=0.003)
    # From ping to ping, half a second, the phase goes on.
    on = np.exp(-2j * sonar.wavenumber * velocity * 0.5)
    assert abs(np.angle(np.sum(second * first.conj()) * np.conj(on))) < 0.01


@dataclass(frozen=True)
class Mixture:
    """Points that move at different speeds, in one component."""

    points: tuple[PointScatterers, ...]

    def scatterers(self, view: View, rng: np.random.Generator) -> Scatterers:
        """Return all of them."""
        found = [point.scatterers(view, rng) for point in self.points]
        return Scatterers(
            np.concatenate([part.position for part in found]),
            np.concatenate([part.amplitude for part in found]),
            np.concatenate([part.velocity for part in found]),
            np.concatenate([part.jitter for part in found]),
        )


def test_a_mixture_of_speeds() -> None:
    """Scatterers of different speeds, formed together, have the echoes that they have alone."""
    spec = run_spec("END", "doppler", samples=400, pitches=(30.0,), pings=1)
    sonar = replace(spec.instrument, noise=0.0, monitor=0.0, random_phase=False, gain=10.0)
    spec = replace(spec, instrument=sonar)
    points = tuple(
        PointScatterers((spec.view(0).at(5.0 + 0.5 * i, 7.0 * i),), (-15.0,), (0.4 * i, 0.1, 0.3 - 0.2 * i))
        for i in range(4)
    )
    alone = sum(pings(spec, Scene((point,)))[0] for point in points)
    together = pings(spec, Scene((Mixture(points),)))[0]
    assert np.abs(together).max() > 200
    np.testing.assert_allclose(together, alone, atol=4.0)  # counts: each part is rounded


@pytest.mark.parametrize("era", ERAS)
def test_clock_offset(era: Era) -> None:
    """The monitor channel tells the velocity that the receiver's clock feigns."""
    case = volume_target(
        era, "doppler", clock_offset=0.4, radial_velocity=-0.2, samples=200, pitches=(30.0,), pings=1
    )
    sonar = case.spec.instrument
    monitor = of_case(case)[0][: round(3 * sonar.sample_rate * sonar.pulse_length), -1]
    turn = np.angle(np.sum(monitor[:-8] * monitor[8:].conj()))
    speed = turn * sonar.sound_speed * sonar.sample_rate / (4 * math.pi * sonar.frequency * 8)
    assert speed == pytest.approx(case.truth.clock_offset, abs=1e-3)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("channel", [-1, 9])
def test_transmit_phase(era: Era, channel: int) -> None:
    """Phase correction by the monitor, or by the pulse on channel 9, makes pings of a steady scene equal."""
    case = volume_target(era, jitter=0.0, samples=300, pitches=(20.0,), pings=3)
    sonar = case.spec.instrument
    first, *others = of_case(case)
    n = round((3 if channel == -1 else 5) * sonar.sample_rate * sonar.pulse_length)
    for data in others:
        phi = np.angle(np.sum(data[:n, channel] * first[:n, channel].conj()))
        assert abs(phi) > 1e-3
        assert np.abs(data * np.exp(-1j * phi) - first).max() < 2.5  # counts: rounding, twice


def test_jitter() -> None:
    """Phases that flutter by s leave a correlation of exp(-s^2) between any two pings."""
    case = volume_target("END", jitter=0.6, samples=400, pitches=(20.0,), pings=3)
    echoes = [data[180:, :-1] for data in of_case(case)]
    for a, b in ((0, 1), (0, 2)):
        cross = abs(np.vdot(echoes[a], echoes[b])) / (np.linalg.norm(echoes[a]) * np.linalg.norm(echoes[b]))
        assert cross == pytest.approx(math.exp(-(0.6**2)), abs=0.02)
    assert case.truth.correlation == pytest.approx(math.exp(-(0.6**2)))


def test_noise_level() -> None:
    """The noise of a channel has the RMS asked for, apart from rounding to whole counts."""
    spec = run_spec("END", "imaging", samples=400, pitches=(20.0,), pings=1)
    data = pings(replace(spec, instrument=replace(spec.instrument, noise=5.0)), Scene())[0][100:]
    assert math.sqrt(np.mean(np.abs(data) ** 2) - 1 / 6) == pytest.approx(5.0, rel=0.02)


def test_plume() -> None:
    """On its axis a plume has the strength and speed asked for; it widens, fades and leans with height."""
    plume = Plume((-10.0, -5.0, 4.0), strength=-40.0, radius=1.0, spread=0.1, velocity=0.5, lean=(0.1, 0.0))
    axis = np.array([[-10.0, -5.0, 4.0], [-9.0, -5.0, 14.0]])
    np.testing.assert_allclose(10 * np.log10(plume.volume_strength(axis)), [-40.0, -40 - 20 * math.log10(2)])
    speed = np.linalg.norm(plume.flow(axis), axis=1)
    np.testing.assert_allclose(speed, [0.5, 0.5 * 0.5 ** (1 / 3)])
    edge = np.array([[-9.0, -3.0, 14.0], [-10.0, -5.0, 3.0]])
    np.testing.assert_allclose(
        plume.volume_strength(edge) / plume.volume_strength(axis[1:]), [math.exp(-1), 0]
    )


def test_a_plume_bends() -> None:
    """Its axis is a parabola, and the water follows it."""
    plume = Plume((0.0, 0.0, 4.0), lean=(0.1, 0.0), bend=(0.01, -0.02), velocity=0.5)
    axis = np.array([[0.1 * 10 + 0.01 * 100, -0.02 * 100, 14.0]])
    strongest = plume.volume_strength(axis)
    assert (plume.volume_strength(axis + np.array([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0]])) < strongest).all()
    flow = plume.flow(axis)[0]
    np.testing.assert_allclose(flow[:2] / flow[2], [0.1 + 0.2, -0.4])
    assert np.linalg.norm(flow) == pytest.approx(0.5 * (0.8 / 1.9) ** (1 / 3))


def test_a_plume_has_a_heat_flux() -> None:
    """The default one has 19.207 MW at Ashes and 17.486 with the originals' constants; and the way back."""
    model = Plume((0.0, 0.0, 4.0)).model
    assert model.buoyancy == pytest.approx(5.55455e-3, rel=1e-5)
    assert ASHES.heat_per_buoyancy * model.buoyancy == pytest.approx(19.207e6, rel=1e-4)
    assert ORIGINAL.heat_per_buoyancy * model.buoyancy == pytest.approx(17.486e6, rel=1e-4)
    above = np.array([1.0, 5.0, 8.0, 10.0]) + 0.8 / 0.11
    np.testing.assert_allclose(model.speed(above), [0.38319, 0.33598, 0.31236, 0.29980], rtol=2e-5)
    fluxes = [0.99688, 1.92367, 2.76963, 3.40013]
    np.testing.assert_allclose(model.volume_flux(above), fluxes, rtol=2e-5)
    assert Plume.of_heat_flux((0.0, 0.0, 4.0), 19.207e6, ASHES).velocity == pytest.approx(0.4, rel=1e-4)


def test_plume_echoes_come_from_the_plume() -> None:
    """The strongest echo of a plume comes from near its axis, and its scatterers move upwards."""
    spec = run_spec("END", "imaging", samples=900, pitches=(30.0,), pings=1)
    axis = spec.view(0).at(12.0)
    plume = Plume((axis[0], axis[1], 3.0), strength=-40.0)
    found = plume.scatterers(spec.view(0), np.random.default_rng(1))
    assert np.average(found.velocity[:, 2], weights=np.abs(found.amplitude) ** 2) > 0.1
    sonar = replace(spec.instrument, gain=25.0)
    sample, beam = peak(beams(pings(replace(spec, instrument=sonar), Scene((plume,)))[0], sonar))
    assert abs(sample * sonar.sample_length - 12.0) < 3.0
    assert abs(math.degrees(sonar.beam_angles[beam])) < 10.0


def test_seafloor() -> None:
    """Slope, step and patches lie where they should, and the scatterers lie on the floor within the fan."""
    floor = Seafloor(
        height=0.5,
        slope=(0.1, 0.0),
        step=Step(90.0, 3.0, 1.0),
        flow=(FlowPatch(5.0, 0.0, 1.0, 0.7),),
        count=50_000,
    )
    x, y = np.array([0.0, 2.0, 4.0]), np.zeros(3)
    np.testing.assert_allclose(floor.elevation(x, y), [0.5, 0.7, 1.9])
    np.testing.assert_array_equal(floor.jitter(np.array([5.5, 6.5]), np.zeros(2)), [0.7, 0.0])
    spec = run_spec("ASHES", "bathy", pitches=(-20.0,))
    view = spec.view(0)
    found = floor.scatterers(view, np.random.default_rng(1))
    assert len(found) > 100
    np.testing.assert_allclose(
        found.position[:, 2], floor.elevation(found.position[:, 0], found.position[:, 1])
    )
    receiver = view.to_receiver(found.position)
    assert np.abs(np.arcsin(receiver[:, 2] / np.linalg.norm(receiver, axis=1))).max() < math.radians(2.7)


def test_bumps_have_their_height() -> None:
    """The RMS of the bumps is the one asked for, and the normals follow them."""
    floor = Seafloor(bumps=0.3)
    x, y = np.random.default_rng(1).uniform(-200, 200, (2, 5000))
    assert np.std(floor.elevation(x, y)) == pytest.approx(0.3, rel=0.1)
    normal, step = floor.normal(x, y), 1e-4
    slope = (floor.elevation(x + step, y) - floor.elevation(x - step, y)) / (2 * step)
    np.testing.assert_allclose(-normal[:, 0] / normal[:, 2], slope, atol=1e-6)


def test_seafloor_range() -> None:
    """With the head pitched down by p the floor is seen at 4.2/sin p on the central beams."""
    case = seafloor_plane(pitches=(-30.0,), pings=1)
    formed = np.abs(beams(of_case(case)[0], case.spec.instrument))[100:, 120:136]
    strongest = 100 + (formed**2).mean(axis=1).argmax()
    assert strongest * case.spec.instrument.sample_length == pytest.approx(
        4.2 / math.sin(math.radians(30)), abs=0.1
    )


@pytest.mark.parametrize("era", ERAS)
def test_flow_patch(era: Era) -> None:
    """Between two pings only the echo of the patch changes, by as much as its flutter says."""
    case = flow_patch(era, jitter=0.5, pings=2)
    sonar, patch = case.spec.instrument, case.truth.seafloor.flow[0] if case.truth.seafloor else None
    assert patch is not None
    first, second = (beams(data, sonar) for data in of_case(case))
    second *= np.exp(-1j * np.angle(np.vdot(first[:86], second[:86])))
    middle = len(sonar.beam_angles) // 2
    centre = round(math.hypot(patch.x, patch.y, 4.2) / sonar.sample_length)
    within = slice(centre - 25, centre + 25), slice(middle - 4, middle + 4)
    same = abs(np.vdot(first[within], second[within]))
    same /= np.linalg.norm(first[within]) * np.linalg.norm(second[within])
    # A part of the window is outside the patch, or in the side lobes of what is.
    assert case.truth.correlation - 0.1 < same < 0.93
    aside = slice(centre - 15, centre + 15), slice(5, 15)
    assert np.linalg.norm(second[aside] - first[aside]) < 0.05 * np.linalg.norm(first[aside])


def test_truth_of_flows() -> None:
    """Radial velocity is the flow's part along the line of sight from the head."""
    truth = vertical_flow(velocity=0.2).truth
    np.testing.assert_allclose(truth.radial(np.array([[0.0, 0.0, 9.0], [3.0, 4.0, 4.2]])), [0.2, 0.0])
    np.testing.assert_allclose(RunTruth(radial_velocity=0.3).radial(np.ones((2, 3))), [0.3, 0.3])


def test_a_scene_out_of_sight() -> None:
    """What lies behind the array or beyond the record has no echo."""
    spec = run_spec("END", "imaging", samples=200, pitches=(20.0,), pings=1)
    spec = replace(spec, instrument=replace(spec.instrument, noise=0.0))
    behind, beyond = np.array([0, 0, 4.2]) - spec.view(0).at(3.0), spec.view(0).at(50.0)
    scene = Scene((PointScatterers((tuple(behind.tolist()), beyond), (20.0, 20.0)),))
    np.testing.assert_array_equal(pings(spec, scene)[0], pings(spec, Scene())[0])
