"""What sky, lamp, optics and detector put into the frames of two synthetic nights of an instrument like CAFOS.

The detector is read in windows, named by its DATASEC, and the optics light a circle of it: every window has a border
that no light reaches. Bias and dust change with time, so that a master of another time is a worse one.
"""

import datetime
from dataclasses import dataclass

import numpy as np

CHIP = 256  # columns and rows of the whole detector; all windows are scaled with it
GAIN, READ_NOISE = 2.3, 5.0  # electrons a count; electrons
FIELD = 95 / 256, (128 / 256, 128 / 256)  # radius and centre of the circle that is lit, in sizes of the chip
PSF_SIGMA = 1.5  # pixels
SATURATED = 65535
DUST_MOVES = datetime.datetime(2017, 3, 19, 5)

# Windows of a chip of 256 pixels: first column, first row, columns, rows; the binned one reads the same pixels as A.
WINDOWS = {'A': (120, 65, 132, 120), 'B': (24, 28, 208, 200), 'A binned': (120, 65, 132, 120)}
FILTERS = {'FILT- 9': (0.10, 1.0), 'FILT-11': (0.16, 0.6)}  # vignetting at the edge; colour of the pixels


@dataclass(frozen=True)
class Frame:
    """One exposure; `light` is the level in counts, without bias: of a flat the lamp's, of a science frame the sky's.

    `odd` says what is wrong with it: 'dark' (a flat of negative level), 'saturated', 'broken' (half of it full),
    'mistyped' (a bias that says it is a science frame), 'no bias' (no master of its signature).
    """

    night: str
    kind: str
    window: str
    filter: str
    start: datetime.datetime
    exptime: float
    bias: float
    light: float = 0.0
    target: str = ''
    odd: str = ''
    stars: tuple[tuple[float, float, float], ...] = ()

    @property
    def name(self) -> str:
        """Path of the file within the folder of nights."""
        return f'{self.night}/caf-{self.start:%Y%m%d-%H%M%S}-{"sci" if self.kind == "science" else "cal"}.fits'

    @property
    def dust(self) -> int:
        """Where the dust lies: it has moved since the first evening."""
        return int(self.start >= DUST_MOVES)

    @property
    def mjd(self) -> float:
        """Start of the exposure."""
        return (self.start - datetime.datetime(1858, 11, 17)) / datetime.timedelta(days=1)


class Camera:
    """The parts that all frames share; images are (rows, columns) of the chip."""

    def __init__(self, chip: int, seed: int) -> None:
        self.chip, self.seed = chip, seed
        rng = np.random.default_rng([seed, 0])
        y, x = np.mgrid[:chip, :chip]
        radius, (cx, cy) = FIELD
        self.distance = np.hypot(x - cx * chip, y - cy * chip)
        self.illumination = np.clip((radius * chip - self.distance) / 2 + 0.5, 0, 1)  # a soft edge of two pixels
        self.pattern = rng.normal(0, 1.5, chip) + 3 * np.exp(-((y / (0.15 * chip)) ** 2))
        self.pixels = rng.normal(1, 0.01, (2, chip, chip))
        self.dust = [self._dust(np.random.default_rng([seed, 1, number])) for number in (0, 1)]

    def _dust(self, rng: np.random.Generator) -> np.ndarray:
        """Rings of dust."""
        y, x = np.mgrid[: self.chip, : self.chip]
        shade = np.ones((self.chip, self.chip))
        for cx, cy in rng.uniform(0.25, 0.75, (25, 2)) * self.chip:
            shade -= 0.12 * np.exp(-0.5 * ((np.hypot(x - cx, y - cy) - 5) / 1.5) ** 2)
        return shade

    def part(self, image: np.ndarray, window: str) -> np.ndarray:
        """The pixels of a window; those that are binned are summed two by two."""
        x, y, nx, ny = self.corners(window)
        part = image[y : y + ny, x : x + nx]
        return part.reshape(ny // 2, 2, nx // 2, 2).sum(axis=(1, 3)) if window.endswith('binned') else part

    def corners(self, window: str) -> tuple[int, int, int, int]:
        """First column and row, from 0, and how many of both."""
        return tuple(2 * round(number * self.chip / 512) for number in WINDOWS[window])

    def section(self, window: str) -> str:
        """DATASEC as CAFOS writes it: [x1,y1:x2,y2]."""
        x, y, nx, ny = self.corners(window)
        return f'[{x + 1},{y + 1}:{x + nx},{y + ny}]'

    def response(self, filter_name: str, dust: int) -> np.ndarray:
        """What a flat shows: illumination, vignetting, dust and pixels."""
        vignetting, colour = FILTERS[filter_name]
        shape = 1 - vignetting * (self.distance / (FIELD[0] * self.chip)) ** 2
        pixels = 1 + (self.pixels[0] - 1) + colour * (self.pixels[1] - 1)
        return self.illumination * shape * self.dust[dust] * pixels

    def lit(self, window: str) -> np.ndarray:
        """Where a window has at least half of the light."""
        share = self.part(self.illumination, window)
        return share >= (2.0 if window.endswith('binned') else 0.5)

    def bias(self, window: str, level: float) -> np.ndarray:
        """What a frame of no exposure time shows."""
        return self.part(self.pattern, window) / (4 if window.endswith('binned') else 1) + level

    def expose(self, frame: Frame, number: int) -> np.ndarray:
        """The frame's pixels as they are read, uint16."""
        rng = np.random.default_rng([self.seed, 2, number])
        light = np.zeros((self.chip, self.chip))
        if frame.kind != 'bias' and frame.odd != 'dark':
            light = (frame.light + self._stars(frame)) * self.response(frame.filter, frame.dust)
        electrons = rng.poisson(GAIN * np.clip(self.part(light, frame.window), 0, None))
        counts = (electrons + rng.normal(0, READ_NOISE, electrons.shape)) / GAIN + self.bias(frame.window, frame.bias)
        counts += frame.light if frame.odd == 'dark' else 0
        if frame.odd == 'broken':
            counts[len(counts) // 2 :] = SATURATED
        return np.rint(counts).clip(0, SATURATED).astype(np.uint16)

    def _stars(self, frame: Frame) -> np.ndarray:
        """Counts of the stars, whose places are those in the window."""
        image = np.zeros((self.chip, self.chip))
        left, bottom, *_ = self.corners(frame.window)
        y, x = np.mgrid[: self.chip, : self.chip]
        for cx, cy, counts in frame.stars:
            squared = (x - left - cx) ** 2 + (y - bottom - cy) ** 2
            image += counts * np.exp(-0.5 * squared / PSF_SIGMA**2) / (2 * np.pi * PSF_SIGMA**2)
        return image
