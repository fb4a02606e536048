"""What the sky, the filters and the detector put into the frames of the synthetic night."""

import datetime
from dataclasses import dataclass

import numpy as np

SIZE = (1116, 720)
BIAS_LEVEL = 1004.0  # counts
DARK_OFFSET, DARK_SLOPE = 5.9, 0.098  # counts, and counts a second, means over the recipe's region
GAIN, READ_NOISE = 1.4, 6.5  # electrons a count; electrons
PSF_SIGMA = 1.6  # pixels
TARGETS = {'M 35': ('06 08 54', '+24 20 00'), 'M 1': ('05 34 32', '+22 00 52')}


@dataclass(frozen=True)
class Filter:
    """What a filter lets through; levels are counts, and counts a second for the sky."""

    flat_time: int
    flat_level: float
    sky: float
    stars: float  # relative to Lumin, as is nebula
    nebula: float
    tint: float  # how its star fluxes follow a star's colour
    vignetting: float


FILTERS = {
    'OIII': Filter(2, 21000, 0.13, 0.03, 0.14, 0.4, 0.20),
    'SII': Filter(5, 24000, 0.12, 0.03, 0.05, -1.2, 0.20),
    'Halpha': Filter(10, 23000, 0.15, 0.04, 0.16, -1.0, 0.20),
    'Red': Filter(1, 29000, 2.2, 0.36, 0.34, -1.0, 0.15),
    'Green': Filter(1, 26000, 1.9, 0.34, 0.25, 0.0, 0.15),
    'Blue': Filter(1, 22000, 1.6, 0.28, 0.27, 1.0, 0.16),
    'Lumin': Filter(1, 28000, 5.5, 1.00, 1.00, 0.0, 0.14),
    'Open': Filter(1, 30000, 7.0, 1.25, 1.20, 0.0, 0.13),
}


@dataclass(frozen=True)
class Frame:
    """One exposure of the night; `number` is the one that img_rename will give it."""

    number: int
    name: str
    kind: str
    target: str
    filter: str
    exptime: float
    start: datetime.datetime
    level: float = 0.0  # of a flat: counts; of a light: the sky's counts
    odd: str = ''


def region(shape: tuple[int, int]) -> tuple[slice, slice]:
    """The recipe's region x 600..1100, y 400..700, scaled with the image."""
    ny, nx = shape
    return slice(ny * 400 // 720, ny * 700 // 720), slice(nx * 600 // 1116, nx * 1100 // 1116)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Random clouds: noise on a grid of some `cells` nodes, interpolated; mean 0, rms about 1."""
    ny, nx = shape
    grid = rng.standard_normal((cells + 1, 2 * cells))
    grid = np.array([np.interp(np.linspace(0, 2 * cells - 1, nx), np.arange(2 * cells), row) for row in grid])
    return np.array([np.interp(np.linspace(0, cells, ny), np.arange(cells + 1), column) for column in grid.T]).T * 1.5


class Camera:
    """What detector, filters and sky put into every frame; images are float32, in counts."""

    def __init__(self, shape: tuple[int, int], seed: int) -> None:
        self.shape, self.seed = shape, seed
        rng = np.random.default_rng([seed, 0])
        y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
        columns = rng.normal(0, 1.5, shape[1])
        self.bias = np.float32(BIAS_LEVEL + 4 * y + 3 * np.exp(-40 * (x + 1)) + columns)
        self.rate = self._scaled(1 + 0.15 * y + self._hot_pixels(rng), DARK_SLOPE)
        # What every exposure has, whatever its length, and a bias has not: the amplifier glows while the shutter opens.
        self.glow = self._scaled(1 + 0.1 * y + 6 * np.exp(-((x + 1) ** 2 + (y + 1) ** 2) / 0.02), DARK_OFFSET)
        self.stray = np.float32(40 + 25 * x)
        self.response = rng.normal(1, 0.008, shape) * self._dust(rng, 6)
        self.flats = {band: self._flat(rng, band, x, y) for band in FILTERS}
        self.stars = {target: self._stars(rng, target) for target in TARGETS}
        self.twilight_stars = rng.uniform([0, 0, 0.1], [shape[1], shape[0], 0.8], (self._number(60, 2), 3))
        self.nebula = self._nebula(rng, x * shape[1] / shape[0], y)
        self.scenes = {(target, band): self._scene(target, band) for target in TARGETS for band in FILTERS}

    def _number(self, default: int, least: int) -> int:
        return max(least, round(default * self.shape[0] * self.shape[1] / (SIZE[0] * SIZE[1])))

    def _scaled(self, image: np.ndarray, mean: float) -> np.ndarray:
        return np.float32(image * (mean / image[region(self.shape)].mean()))

    def _hot_pixels(self, rng: np.random.Generator) -> np.ndarray:
        hot = rng.random(self.shape) < 0.001
        return hot * rng.exponential(60, self.shape).clip(5, 400)

    def _dust(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """Transmission past out-of-focus grains: rings."""
        transmission = np.ones(self.shape)
        ny, nx = self.shape
        for x, y, radius, depth in rng.uniform([0, 0, 0.025, 0.015], [nx, ny, 0.05, 0.06], (number, 4)):
            part, at_x, at_y = stamp(transmission, x, y, round(1.5 * radius * ny))
            part *= 1 - depth * np.exp(-(((np.hypot(at_x, at_y) / (radius * ny) - 0.75) / 0.25) ** 4))
        return transmission

    def _flat(self, rng: np.random.Generator, band: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x0, y0 = rng.normal(0, 0.04, 2)
        vignetting = 1 - FILTERS[band].vignetting * ((x - x0) ** 2 + (y - y0) ** 2) / 2
        flat = self.response * self._dust(rng, 4) * vignetting
        return np.float32(flat / flat.mean())

    def _stars(self, rng: np.random.Generator, target: str) -> list[tuple[float, float, float, float]]:
        """x, y, counts a second in Lumin, and colour, of stars that keep clear of each other."""
        ny, nx = self.shape
        wanted, stars = self._number(180, 8) if target == 'M 35' else self._number(90, 8), []
        while len(stars) < wanted:
            x, y = rng.uniform([14, 14], [nx - 14, ny - 14])
            if target == 'M 35' and rng.random() < 0.5:
                x, y = np.clip(rng.normal([nx / 2, ny / 2], ny / 5), 14, [nx - 15, ny - 15])
            if all(np.hypot(x - a, y - b) > 20 for a, b, *_ in stars):
                flux = np.clip(20 * rng.pareto(0.9) + 20, 3000 * (len(stars) + 1) ** -0.7 * (len(stars) < 12), 3000)
                stars.append((float(x), float(y), float(flux), float(rng.normal(0, 0.25))))
        return stars

    def _nebula(self, rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Counts a second in Lumin: a smooth glow and filaments, tilted."""
        u, v = (0.8 * x + 0.6 * y) / 0.50, (0.8 * y - 0.6 * x) / 0.34
        filaments = sum(np.exp(-((smooth_noise(rng, self.shape, cells) / 0.10) ** 2)) for cells in (12, 18, 27))
        return np.float32(np.exp(-((u**2 + v**2) ** 1.5)) * (3.0 + 2.5 * filaments))

    def _scene(self, target: str, band: str) -> np.ndarray:
        """What the sky shows in counts a second, without its own light."""
        scene = self.nebula * np.float32(FILTERS[band].nebula * (target == 'M 1'))
        for x, y, flux in self.fluxes(target, band):
            add_star(scene, x, y, flux)
        return scene

    def fluxes(self, target: str, band: str) -> list[tuple[float, float, float]]:
        """x, y and counts a second of the stars."""
        stars, tint = FILTERS[band].stars, FILTERS[band].tint
        return [(x, y, flux * stars * 10 ** (0.4 * tint * colour)) for x, y, flux, colour in self.stars[target]]

    def light(self, frame: Frame) -> np.ndarray | float:
        """Counts that come through the filter and reach the detector."""
        if frame.kind == 'Flat Field':
            return self.flats[frame.filter] * (np.float32(frame.level) + self._trails(frame))
        if frame.kind == 'Light Frame':
            scene = self.scenes[frame.target, frame.filter]
            if frame.odd:
                scene = sum(np.roll(scene, (step // 3, step), (0, 1)) for step in range(0, 24, 2)) / 12
            return self.flats[frame.filter] * (np.float32(frame.level) + scene * np.float32(frame.exptime))
        return self.stray if frame.odd else 0.0

    def _trails(self, frame: Frame) -> np.ndarray:
        """Stars that drift through a twilight flat: the telescope stands still."""
        ny, nx = self.shape
        scene = np.zeros(self.shape, np.float32)
        drift = 2.9 * (frame.start - frame.start.replace(hour=0, minute=0, second=0)).total_seconds()
        for x, y, bright in self.twilight_stars:
            for step in range(8):
                add_star(scene, (x + drift + 1.5 * step) % nx, (y + 0.11 * drift) % ny, bright * frame.level)
        return scene

    def expose(self, frame: Frame) -> np.ndarray:
        """The frame's pixels, uint16."""
        rng = np.random.default_rng([self.seed, frame.number])
        counts = self.light(frame)
        if frame.exptime:
            counts = counts + self.glow + self.rate * np.float32(frame.exptime)
        # Beside the read noise's 42 electrons of variance a Gaussian does for Poisson's law, and is five times as fast.
        noise = np.sqrt(counts / np.float32(GAIN) + np.float32((READ_NOISE / GAIN) ** 2))
        noise = rng.standard_normal(self.shape, np.float32) * noise
        pixels = self.bias + counts + noise
        if frame.kind in ('Dark Frame', 'Light Frame'):
            add_cosmic_rays(pixels, rng, rng.poisson(30 * frame.exptime / 180 * pixels.size / (SIZE[0] * SIZE[1])))
        return np.rint(pixels, out=pixels).clip(0, 65535).astype(np.uint16)


def stamp(image: np.ndarray, x: float, y: float, half: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The part of an image around a zero-based position, and its pixels' distances from there in x and in y."""
    low_x, low_y = max(int(x) - half, 0), max(int(y) - half, 0)
    part = image[low_y : int(y) + half + 2, low_x : int(x) + half + 2]
    return part, np.arange(part.shape[1]) + low_x - x, (np.arange(part.shape[0]) + low_y - y)[:, None]


def add_star(image: np.ndarray, x: float, y: float, flux: float) -> None:
    """Add a Gaussian star of so many counts."""
    part, at_x, at_y = stamp(image, x, y, 9)
    part += (
        flux
        / (2 * np.pi * PSF_SIGMA**2)
        * (np.exp(-(at_x**2) / (2 * PSF_SIGMA**2)) * np.exp(-(at_y**2) / (2 * PSF_SIGMA**2)))
    )


def add_cosmic_rays(image: np.ndarray, rng: np.random.Generator, number: int) -> None:
    """Add short tracks."""
    ny, nx = image.shape
    for _ in range(number):
        x, y, angle = rng.uniform([0, 0, 0], [nx, ny, np.pi])
        along = np.arange(rng.integers(1, 7))
        at = ((y + along * np.sin(angle)) % ny).astype(int), ((x + along * np.cos(angle)) % nx).astype(int)
        image[at] += rng.exponential(600) + 100
