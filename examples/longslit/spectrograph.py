"""What lamps, sky, star, slit and detector put into the frames of the synthetic long slit.

The detector is read by two amplifiers, the left and the right half of its columns, and each adds an overscan at the
right edge of the frame, as KOSMOS does: data of the left half, data of the right half, overscan of the left one,
overscan of the right one. Wavelength changes along y, the slit lies along x.
"""

import datetime
from dataclasses import dataclass

import numpy as np

SIZE = (240, 600)  # columns that see light, and rows
OVERSCAN = 50  # columns of each amplifier
GAINS, READ_NOISES = (1.25, 1.10), (4.0, 5.0)  # electrons a count; electrons
LEVELS, RAMPS = (1000.0, 1060.0), (2.5, -1.5)  # counts; counts along the readout
SLIT = (0.12, 0.90)  # of the columns
DEAD = 0.35  # of the columns: where the dead one is
LINES = 14  # of the arc, on 600 rows
ARC_GLOW = 0.02  # electrons a second between the lines
STAR_SIGMA = 2.2  # pixels


@dataclass(frozen=True)
class Frame:
    """One exposure; `levels` are the counts that the amplifiers add to it."""

    number: int
    kind: str
    target: str
    exptime: float
    start: datetime.datetime
    levels: tuple[float, float]
    light: float = 1.0  # of a lamp, whose current is not steady

    @property
    def name(self) -> str:
        """Name of the file."""
        return f'{self.kind.lower()}.{self.number:04d}.fits'


class Spectrograph:
    """The parts that all frames share; images are (rows, columns) of the light-sensitive part."""

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        self.nx, self.ny = size
        self.seed = seed
        rng = np.random.default_rng([seed, 0])
        self.y = np.linspace(0, 1, self.ny)
        self.slit = self._slit()
        self.response = self._response(rng)
        self.lamp = 2400 * np.exp(3 * self.y) * (1 + 0.25 * np.exp(-(((self.y - 0.65) / 0.12) ** 2)))
        self.pattern = self._pattern(rng)
        self.lines = self._arc(rng)
        self.sky = 0.25 + 0.2 * self.y + self._emission([0.3, 0.52, 0.81], [4.0, 1.5, 6.0])
        self.star = (
            9 * np.exp(-(((self.y - 0.6) / 0.45) ** 2)) * (1 - self._emission([0.25, 0.44, 0.7], [0.3, 0.4, 0.3]) / 2)
        )

    def _slit(self) -> np.ndarray:
        """Light along the slit: soft edges, a slope, a grain of dust."""
        x = np.arange(self.nx)
        first, last = (round(place * self.nx) for place in SLIT)
        edges = np.clip((x - first) / 2.5 + 0.5, 0, 1) * np.clip((last - x) / 2.5 + 0.5, 0, 1)
        dust = 1 - 0.06 * np.exp(-(((x - 0.7 * self.nx) / 2) ** 2))
        return edges * (1.04 - 0.1 * x / self.nx) * dust

    def _response(self, rng: np.random.Generator) -> np.ndarray:
        """Sensitivity of the pixels: their own, fringes, a dead column, a spot, and some deaf ones."""
        y, x = np.mgrid[: self.ny, : self.nx]
        response = rng.normal(1, 0.012, (self.ny, self.nx)) + 0.008 * np.sin(2 * np.pi * (y + 0.4 * x) / 11)
        self.bad = np.zeros(response.shape, bool)
        inside = x[0][(x[0] > (SLIT[0] + 0.06) * self.nx) & (x[0] < (SLIT[1] - 0.06) * self.nx)]
        spots = [
            (slice(None), self.dead_column),
            (slice(self.ny // 3, self.ny // 3 + 3), slice(*(inside[-4:-1][[0, -1]]))),
        ]
        spots += [
            (row, column) for row, column in zip(rng.integers(0, self.ny, 25), rng.choice(inside, 25), strict=True)
        ]
        for spot in spots:
            response[spot] *= 0.03 if spot[1] == self.dead_column else rng.uniform(0.15, 0.35)
            self.bad[spot] = True
        return response

    @property
    def dead_column(self) -> int:
        """The column that collects next to nothing, from 0."""
        return round(DEAD * self.nx)

    def _pattern(self, rng: np.random.Generator) -> np.ndarray:
        """What a bias frame shows besides its level, counts: columns, and a glow in a corner."""
        y, x = np.mgrid[1 : 0 : self.ny * 1j, 0 : 1 : self.nx * 1j]
        return rng.normal(0, 0.8, self.nx) + 6 * np.exp(-((x**2 + y**2) / 0.04))

    def _arc(self, rng: np.random.Generator) -> list[tuple[float, float]]:
        """Rows (from 0) and electrons a second of the arc's lines, in each column, where the slit is fully lit."""
        number = max(3, round(LINES * self.ny / SIZE[1]))
        rows = (np.arange(number) + rng.uniform(0.35, 0.65, number)) / number * (self.ny - 24) + 12
        return [(float(row), float(flux)) for row, flux in zip(rows, rng.uniform(60, 900, number), strict=True)]

    def _emission(self, places: list[float], heights: list[float]) -> np.ndarray:
        rows = np.arange(self.ny)
        return sum(height * gaussian(rows, place * self.ny, 1.6) for place, height in zip(places, heights, strict=True))

    @property
    def flat(self) -> np.ndarray:
        """What a response must be: light along the slit times sensitivity, 1 outside the lit part, median 1 within."""
        lit = self.lit
        flat = self.slit * self.response
        return np.where(lit, flat / np.median(flat[:, lit]), 1.0)

    @property
    def lit(self) -> np.ndarray:
        """The columns with at least 0.8 of the slit's light; the dead one has not."""
        lit = self.slit >= 0.8 * np.median(self.slit[self.slit > 0.5])
        lit[self.dead_column] = False
        return lit

    def trace(self) -> np.ndarray:
        """Columns (from 0) of the star, row by row."""
        return 0.56 * self.nx + 2.0 * self.y

    def rate(self, frame: Frame) -> np.ndarray | float:
        """Electrons that a frame collects where slit and response are 1."""
        rows = np.arange(self.ny)[:, None]
        if frame.kind == 'Flat':
            return frame.light * self.lamp[:, None] * np.ones(self.nx)
        if frame.kind == 'Arc':
            lines = sum(flux * normal(rows, row, 1.6) for row, flux in self.lines)
            return frame.exptime * (lines + ARC_GLOW) * np.ones(self.nx)
        if frame.kind == 'Sci':
            profile = normal(np.arange(self.nx), self.trace()[:, None], STAR_SIGMA)
            return frame.exptime * (self.sky[:, None] + frame.light * 10 * self.star[:, None] * profile)
        return 0.0

    def expose(self, frame: Frame) -> np.ndarray:
        """The frame's pixels as they are read, uint16."""
        rng = np.random.default_rng([self.seed, frame.number])
        electrons = rng.poisson(self.rate(frame) * self.slit * np.clip(self.response, 0, None) * np.ones((self.ny, 1)))
        halves, strips = [], []
        for number, part in enumerate(np.split(electrons, [self.nx // 2], axis=1)):
            level = frame.levels[number] + RAMPS[number] * (self.y[:, None] - 0.5)
            pattern = np.split(self.pattern, [self.nx // 2], axis=1)[number]
            halves.append(level + pattern + self._read(rng, part, number))
            strip = np.zeros((self.ny, OVERSCAN))
            strip[:, :2] = part[:, -1:] * [4e-3, 1e-3]  # charge that is left behind
            strips.append(level + self._read(rng, strip, number))
        counts = np.concatenate([*halves, *strips], axis=1)
        return np.rint(counts).clip(0, 65535).astype(np.uint16)

    def _read(self, rng: np.random.Generator, electrons: np.ndarray, amplifier: int) -> np.ndarray:
        return (electrons + rng.normal(0, READ_NOISES[amplifier], electrons.shape)) / GAINS[amplifier]


def gaussian(x: np.ndarray, centre: float | np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian of height 1."""
    return np.exp(-0.5 * ((x - centre) / sigma) ** 2)


def normal(x: np.ndarray, centre: float | np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian of sum 1."""
    return gaussian(x, centre, sigma) / (sigma * np.sqrt(2 * np.pi))
