"""ccdproc has no commands: the least a user writes to do the same work with it.

python ccdproc_driver.py TASK FOLDER FILE...
"""

import os
import sys
import warnings


def options(task):
    return {
        'median': {'method': 'median'},
        'sigma': {
            'method': 'average',
            'sigma_clip': True,
            'sigma_clip_low_thresh': 3,
            'sigma_clip_high_thresh': 3,
            'sigma_clip_func': 'median',
            'sigma_clip_dev_func': 'std',
        },
        'minmax': {'method': 'average', 'clip_extrema': True, 'nlow': 0, 'nhigh': 1},
    }[task]


def write(image, name):
    image.uncertainty = image.mask = None
    image.data = image.data.astype('float32', copy=False)
    image.write(name)


def scaled(names):
    """The images brought to the mean of the first; its own `scale` would come after the clipping."""
    from astropy.nddata import CCDData

    images = [CCDData.read(name, unit='adu') for name in names]
    levels = [image.data.mean() for image in images]
    for image, level in zip(images, levels, strict=True):
        image.data = image.data.astype('float32') * (levels[0] / level).astype('float32')
    return images


def combine(task, folder, names):
    import ccdproc

    images, unit = (scaled(names), {}) if task == 'minmax' else (names, {'unit': 'adu'})
    write(ccdproc.combine(images, dtype='float32', **unit, **options(task)), f'{folder}/result.fits')


def subtract(folder, names):
    import ccdproc
    from astropy.nddata import CCDData

    bias = CCDData.read(names[0], unit='adu')
    for name in names:
        image = CCDData.read(name, unit='adu')
        # Left as they are, 16-bit pixels wrap below 0.
        image.data = image.data.astype('float32', copy=False)
        write(ccdproc.subtract_bias(image, bias), f'{folder}/{os.path.basename(name)}')


def log(keys, names):
    import ccdproc

    files = ccdproc.ImageFileCollection(filenames=names, keywords=keys.split(','))
    files.summary.pprint_all(show_name=False)


def main(task, folder, *names):
    warnings.simplefilter('ignore')
    if task == 'subtract':
        subtract(folder, names)
    elif task.startswith('log:'):
        log(task.removeprefix('log:'), names)
    else:
        combine(task, folder, list(names))


if __name__ == '__main__':
    main(*sys.argv[1:])
