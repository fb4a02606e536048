import random
import warnings

import numpy as np
import pytest
from astropy.io import fits

from fitsutils.errors import FileWarning
from fitsutils.files import cards, hdus, writer
from fitsutils.files.inputs import Reference

STRUCTURE = ['SIMPLE  =                    T', 'BITPIX  =                   16', 'NAXIS   =                    2',
             'NAXIS1  =                    9', 'NAXIS2  =                    7']  # fmt: skip


def header_of(folder, lines):
    """The header of a file with these cards behind the structural ones, whatever they are."""
    text = ''.join(line[:80].ljust(80) for line in (*STRUCTURE, *lines, 'END')).encode('latin-1')
    (folder / 'in.fits').write_bytes(text + b' ' * (-len(text) % 2880) + bytes(2880))
    return hdus.read_header(Reference(str(folder / 'in.fits')))


def product(folder, lines, suffix='.fits'):
    """What becomes of cards in a product (which the fixture `verified` looks at), and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        header = header_of(folder, lines)
        caught.clear()
        writer.write_fits(str(folder / f'out{suffix}'), [(np.zeros((7, 9), 'i2'), header)])
    assert {each.category for each in caught} <= {FileWarning}
    assert len(caught) <= 1
    found = fits.getheader(folder / f'out{suffix}', 0 if suffix == '.fits' else 1)
    return found, str(caught[0].message) if caught else ''


def test_cards_that_are_right_stay_as_they_are(tmp_path):
    lines = [
        "OBJECT  = 'O''Hara  '           / with a quote", 'EXPTIME =                 60.0', 'GAIN    = 1.5D0 / free',
        'FLAG    =                    F', 'NONE    =', 'Z       =          (1.0, 2.0)', 'COMMENT  as it was',
        'HISTORY made', "DATE-OBS= '2021-02-27T04:00:00.25'", "DATE-OLD= '27/02/98'", 'HIERARCH ESO DET ID = 5 / x',
        "LONG    = 'a very long string that goes on &'", "CONTINUE  'and on &'", "CONTINUE  'and ends' / here",
        'EQUINOX =                 2000', 'WCSAXES =                    2', 'CRVAL1  =                   1.',
    ]  # fmt: skip
    header = header_of(tmp_path, lines)
    found = cards.legal_cards(header, 'out.fits')  # a warning would be an error
    text = ''.join(map(str, found))
    assert text == ''.join(line.ljust(80) for line in lines)
    product(tmp_path, lines)


@pytest.mark.parametrize(
    ('line', 'key', 'value'),
    [
        ("EQUINOX = '2000.0'", 'EQUINOX', 2000.0),
        ("CRVAL1  = ' 12.5 '", 'CRVAL1', 12.5),
        ('EXTVER  =                  2.0', 'EXTVER', 2),
        ('TELESCOP=                    5', 'TELESCOP', '5'),
        ('OBSERVER=                    T', 'OBSERVER', 'True'),
        ("DATE-OBS= '2021/02/27 04:05:06'", 'DATE-OBS', '2021-02-27T04:05:06.000'),
        ("DATE-END= 'Feb 27, 2021'", 'DATE-END', '2021-02-27T00:00:00.000'),
        ("OBJECT  = 'caf\xe9'", 'OBJECT', 'caf?'),
        ("OBJECT  = 'a\x1b[31mb'", 'OBJECT', 'a?[31mb'),
        ('lower   = 5', 'LOWER', 5),
        ('KEY.DOT = 5', 'KEY.DOT', 5.0),
        ('SP ACE  = 5', 'SP ACE', 5),
        ("TELESCOP='x'", 'TELESCOP', 'x'),
        ('GAIN    =2.5', 'GAIN', 2.5),
        ('GAIN    =                 1e5', 'GAIN', 1e5),
    ],
)
def test_cards_that_can_be_repaired(tmp_path, line, key, value):
    found, said = product(tmp_path, [line])
    assert line.split()[0].rstrip("='x")[:8] in said or key in said
    assert found[key] == value
    assert type(found[key]) is type(value)


@pytest.mark.parametrize(
    'line',
    [
        "CRVAL1  = 'none'", 'CRVAL1  =', "DATE-OBS= 'M31'", "DATE-OBS= '2021-13-45'", 'DATE-FOO= 5',
        "DATE-OBS= '2021-02-27T25:61:00'", 'EXPTIME = NaN', 'EXPTIME = 1E400', "OBJECT  = 'no end",
        'CDELT1  =                  0.0', 'CRDER1  =                   -1',
        "TCTYP1  = 'RA'", 'TELESCOP=', 'CRVAL1  =           (1.0,2.0)', 'X       = 1 2 3',
        'WCSAXES = 12345678901234567890123', '= = 0A',
        'AIRMASS = 1.5 no slash',
    ],
)  # fmt: skip
def test_cards_that_can_not_be_repaired_become_comments(tmp_path, line):
    found, said = product(tmp_path, [line, 'NEXT    = 5'])
    assert 'against the FITS standard' in said
    assert found['NEXT'] == 5
    assert line.split()[0].rstrip('=') in ''.join(found['COMMENT'])


def test_duplicates_the_first_counts(tmp_path):
    found, said = product(tmp_path, ['A       = 1', 'B       = 2', 'A       = 3', 'COMMENT x', 'COMMENT x'])
    assert (found['A'], found['B'], found.count('A'), found.count('COMMENT')) == (1, 2, 1, 2)
    assert 'a second A' in said


def test_cards_of_the_old_data_go_without_a_word(tmp_path):
    old = ['BSCALE  = 2', 'BZERO   = 5', 'BLANK   = -1', "CHECKSUM= 'x'", "DATASUM = '5'", "XTENSION= 'IMAGE'",
           'EXTEND  = T', 'PCOUNT  = 0', 'GROUPS  = F', 'BLOCKED = T', "DATE    = '2020-01-01'"]  # fmt: skip
    found, said = product(tmp_path, [*old, 'KEEP    = 5'])
    assert said == ''
    assert found['KEEP'] == 5
    assert not {'BLANK', 'XTENSION', 'EXTEND', 'GROUPS', 'BLOCKED', 'BSCALE'} & set(found)
    assert found['DATE'] > '2021'


class TestCoordinates:
    def test_wcsaxes_comes_first(self, tmp_path):
        found, said = product(tmp_path, ["OBJECT  = 'x'", 'CRVAL1  = 1.0', 'WCSAXES = 2', 'CRVAL2  = 2.0'])
        keys = list(found)
        assert keys.index('OBJECT') < keys.index('WCSAXES') < keys.index('CRVAL1') < keys.index('CRVAL2')
        assert said == ''

    @pytest.mark.parametrize(
        'line', ['CRVAL3  = 1.0', 'CRVAL0  = 1.0', 'PC1_3   = 1.0', 'PV3_1   = 1.0', "CTYPE3A = 'x'"]
    )
    def test_wcsaxes_that_is_wrong(self, tmp_path, line):
        found, said = product(tmp_path, ['WCSAXES = 2', line])
        assert 'WCSAXES' not in found
        assert 'WCSAXES' in said

    def test_one_matrix(self, tmp_path):
        found, said = product(tmp_path, ['CD1_1   = 1.0', 'PC1_1   = 1.0', 'PC1_1A  = 2.0', 'CROTA2  = 3.0'])
        assert [key for key in found if key[:2] in ('CD', 'PC')] == ['CD1_1', 'PC1_1A']
        assert 'PC1_1' in said

    def test_one_rotation(self, tmp_path):
        found, said = product(tmp_path, ['PC1_1   = 2.0', 'CROTA2  = 3.0'])
        assert 'PC1_1' in found
        assert 'CROTA2' not in found
        assert 'CROTA2' in said


def test_a_file_of_several_hdus_is_warned_of_once(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        first, second = (header_of(tmp_path, lines) for lines in (["EQUINOX = '2000.0'", 'CRPIX1  = NaN'],
                                                                   ['CRPIX1  = NaN', "CRVAL1  = 'x'"]))  # fmt: skip
    image = np.zeros((7, 9), 'i2')
    for _ in range(2):  # of each file
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            writer.write_fits(str(tmp_path / 'out.fits'), [(image, each) for each in (first, first, second, second)])
        said = [str(each.message).rpartition(': ')[2] for each in caught]
        assert said == ['EQUINOX, CRPIX1', 'CRVAL1']
        (tmp_path / 'out.fits').unlink()


def test_the_input_is_not_changed(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        header = header_of(tmp_path, ["EQUINOX = '2000.0'", 'A       = 1', 'A       = 2', 'lower   = 3'])
        before = [card._image for card in header._cards]
        cards.legal_cards(header, 'out.fits')
    assert [card._image for card in header._cards] == before


KEYS = """
    DATE-OBS DATE-END DATEREF DATEOBS EQUINOX EQUINOXA EXTNAME EXTVER BUNIT BLANK CRVAL1 CRPIX2 CDELT1 CROTA2
    CTYPE1 CUNIT1 CD1_1 PC1_1 PV2_9 PS1_1 WCSAXES WCSAXESA WCSNAME RADESYS RADECSYS TFIELDS TTYPE1 XTENSION SIMPLE
    CONTINUE TELESCOP INSTRUME OBSERVER THEAP TNULL1 TDIM1 TCTYP1 TCRVL1 EPOCH EXTEND BLOCKED NAXIS7 GROUPS DATAMAX
    PTYPE1 CHECKSUM OBJECT EXPTIME HISTORY COMMENT INHERIT LONPOLE MJD-OBS RESTFRQ OBSGEO-X VELANGL ZSOURCE SSYSOBS
    SPECSYS CRDER1 CNAME1 LONGSTRN ZIMAGE ZCMPTYPE TUNIT1 lower KEY.DOT CD2_2A CRVAL1A VELO-LSR"""
VALUES = """
    T F 0 5 -1 1.5 0.0 1e5 1E400 NaN '2000' 'abc' '2021-02-27' '27/02/21' '2021-13-45' '' 'O''Hara' 'unterminated
    2000.0 1,2 (1.0,2.0) abc 0x1F --5 1.0D5 +7 .5 5. 'x'junk 00012 12345678901234567890123 T/c =5"""
SPACED = ["'2021-02-27 '  / c", '', '  / only comment', '5 / caf\xe9', "'tab\there'", "'a' / \x1b[31m"]


def a_card(chance):
    kind, key, value = chance.random(), chance.choice(KEYS.split()), chance.choice([*VALUES.split(), *SPACED])
    if kind < 0.8:
        return f'{key:<8}= {value:>20}' if chance.random() < 0.6 else f'{key:<8}= {value}'
    if kind < 0.85:
        return f'{key:<8}={value}'
    if kind < 0.9:
        return f'{key:<8} {value}'
    if kind < 0.95:
        return f'HIERARCH ESO {key} = {value}'
    return ''.join(chance.choice(" '/=AB\n\t\x7f\xe90.-") for _ in range(80))


@pytest.mark.parametrize('suffix', ['.fits', '.fits.fz'])
@pytest.mark.parametrize('seed', range(25))
def test_any_cards_at_all(tmp_path, seed, suffix):
    """The fixture `verified` asks fitsverify about each product."""
    chance = random.Random(seed)
    product(tmp_path, [a_card(chance) for _ in range(12)], suffix)


@pytest.mark.long
@pytest.mark.parametrize('seed', range(1000, 1040))
def test_any_cards_at_all_for_long(tmp_path, seed):
    chance = random.Random(seed)
    for number in range(50):
        (tmp_path / str(number)).mkdir()
        product(tmp_path / str(number), [a_card(chance) for _ in range(chance.choice([1, 3, 12]))])
