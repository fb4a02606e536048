import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.errors import Failure, UsageError
from fitsutils.files import edits
from fitsutils.files.edits import Edits
from fitsutils.files.plain import PlainCard

LONG = 'much ' * 30 + 'more'


def header(*cards):
    """Bytes of cards that are texts, or keyword, value and comment."""
    made = [card if isinstance(card, str) else str(fits.Card(*card)) for card in cards]
    return ''.join(card.ljust(-(-len(card) // 80) * 80) for card in made).encode('latin-1')


STANDARD = header(
    ('OBJECT', 'M 1', 'what it is'), ('EXPTIME', 60.5, '[s]'), ('NCOADD', 4), ('SHUT', True, 'open'),
    ('ID', '0012'), ('NOTHING', None, 'unknown'), ('TEXT', LONG, 'long'),
    ('HIERARCH ESO DET ID', 'x', 'chip'), ('HISTORY', 'made by hand'),
)  # fmt: skip


def apply(raw=STANDARD, *words, inherited=lambda key: None, **options):
    wanted = Edits(settings=tuple(map(edits.setting, words)), **options)
    edits.check(wanted)
    return edits.edited(edits.cards_of(raw), wanted, 'a.fits', inherited=inherited)


def changed(*words, raw=STANDARD, **options):
    """Texts of the cards that are new, and the changes as they are told."""
    before = [card.text for card in edits.cards_of(raw)]
    cards, changes = apply(raw, *words, **options)
    texts = [card.text for card in cards]
    rest = [text for text in texts if text in before]
    assert rest == [text for text in before if text in texts]  # what stays keeps its order
    return [text.rstrip() for text in texts if text not in before], list(map(str, changes)), changes


class TestCards:
    def test_strings_that_go_on_are_one_card(self):
        cards = edits.cards_of(STANDARD)
        assert [card.keyword for card in cards] == [
            'OBJECT', 'EXPTIME', 'NCOADD', 'SHUT', 'ID', 'NOTHING', 'TEXT', 'ESO DET ID', 'HISTORY'
        ]  # fmt: skip
        assert edits.content(cards[6]) == LONG
        assert edits.comment_of(cards[6]) == 'long'
        assert ''.join(card.text for card in cards).encode('latin-1') == STANDARD

    @given(st.binary(min_size=1, max_size=5).map(lambda raw: (raw * 80)[: 80 * len(raw)]))
    def test_any_bytes_come_back(self, raw):
        cards = edits.cards_of(raw)
        assert ''.join(card.text for card in cards).encode('latin-1') == raw
        for card in cards:
            assert isinstance(edits.raw_value(card), str)
            assert isinstance(edits.comment_of(card), str)

    def test_a_stray_continue_stands_alone(self):
        cards = edits.cards_of(header("ID      = 'x'", "CONTINUE  'y'", "TEXT    = 'a&'", "CONTINUE  'b'"))
        assert [card.keyword for card in cards] == ['ID', 'CONTINUE', 'TEXT']
        assert edits.content(cards[2]) == 'ab'

    @pytest.mark.parametrize(
        ('text', 'value'),
        [('GAIN    = 1.50D0 / e', '1.50D0'), ("ID      = 'a / b' / c", "'a / b'"), ("N       = 'O''B'", "'O''B'"),
         ('X       = (1.0, 2.0) / z', '(1.0, 2.0)'), ('Y       =', ''), ('Z       = 1,5', "'1,5'"), ('T', "''")],
    )  # fmt: skip
    def test_values_in_the_words_of_the_card(self, text, value):
        (card,) = edits.cards_of(header(text))
        assert edits.raw_value(card) == value


class TestTypes:
    @pytest.mark.parametrize(
        ('word', 'card'),
        [
            ('OBJECT=NGC 1976', "OBJECT  = 'NGC 1976'           / what it is"),
            ('object = NGC 1976 ', "OBJECT  = 'NGC 1976'           / what it is"),
            ("OBJECT=O'Brien / x", "OBJECT  = 'O''Brien / x'       / what it is"),
            ('OBJECT=47', "OBJECT  = '47      '           / what it is"),
            ('OBJECT=T', "OBJECT  = 'T       '           / what it is"),
            ('OBJECT=', "OBJECT  = '' / what it is"),
            ('OBJECT="a=b"', "OBJECT  = 'a=b     '           / what it is"),
            ('ID=0013', "ID      = '0013    '"),
            ('EXPTIME=61', 'EXPTIME =                 61.0 / [s]'),
            ('EXPTIME=6.1e1', 'EXPTIME =                 61.0 / [s]'),
            ('EXPTIME=', 'EXPTIME =  / [s]'),
            ('EXPTIME="61"', "EXPTIME = '61      '           / [s]"),
            ('NCOADD=5', 'NCOADD  =                    5'),
            ('NCOADD=5.5', 'NCOADD  =                  5.5'),
            ('SHUT=F', 'SHUT    =                    F / open'),
            ('NOTHING=5', 'NOTHING =                    5 / unknown'),
            ('NOTHING=x', "NOTHING = 'x       '           / unknown"),
            ('ESO DET ID=y', "HIERARCH ESO DET ID = 'y       ' / chip"),
            ('HIERARCH eso det id=y', "HIERARCH ESO DET ID = 'y       ' / chip"),
            ('TEXT=short', "TEXT    = 'short   '           / long"),
        ],
    )
    def test_a_card_keeps_its_type_and_its_comment(self, word, card):
        texts, told, _ = changed(word)
        assert texts == [card]
        assert len(told) == 1

    @pytest.mark.parametrize(
        ('word', 'card'),
        [
            ('NEW=5', 'NEW     =                    5'),
            ('NEW=5.0', 'NEW     =                  5.0'),
            ('NEW=T', 'NEW     =                    T'),
            ('NEW=text', "NEW     = 'text    '"),
            ('NEW=', "NEW     = ''"),
            ("NEW='5'", "NEW     = '5       '"),
            ('NEW=nan', "NEW     = 'nan     '"),
            ('HIERARCH A B=5', 'HIERARCH A B =                    5'),
            ('HIERARCH LONGKEYWORD=5', 'HIERARCH LONGKEYWORD = 5'),
            ('TELESCOP=3', "TELESCOP= '3       '"),
            ('DATE-OBS=2021-02-27', "DATE-OBS= '2021-02-27'"),
            ('CRVAL1="83.5"', 'CRVAL1  =                 83.5'),
        ],
    )
    def test_new_cards(self, word, card):
        texts, told, changes = changed(word)
        assert texts == [card]
        assert told[0].split(': ')[1].startswith('none -> ')
        assert changes[0].remark.endswith(' added')

    def test_a_new_card_stands_before_commentary(self):
        cards, _ = apply(STANDARD, 'NEW=5')
        assert [card.keyword for card in cards[-3:]] == ['ESO DET ID', 'NEW', 'HISTORY']

    def test_wcsaxes_stands_before_what_it_governs(self):
        raw = header(('OBJECT', 'x'), ('CTYPE1', 'RA---TAN'), ('CTYPE2', 'DEC--TAN'), ('EXPTIME', 5))
        cards, _ = apply(raw, 'WCSAXES=2')
        assert [card.keyword for card in cards] == ['OBJECT', 'WCSAXES', 'CTYPE1', 'CTYPE2', 'EXPTIME']

    @pytest.mark.parametrize(
        ('word', 'what'),
        [
            ('EXPTIME=long', "EXPTIME holds a number, and 'long' is not; quotes"),
            ('EXPTIME=T', "EXPTIME holds a number, and 'T' is not"),
            ('EXPTIME=nan', "EXPTIME holds a number, and 'nan' is not"),
            ('SHUT=1', "SHUT holds T or F, and '1' is not"),
            ('DATE-OBS=yesterday', "DATE-OBS = 'yesterday': the FITS standard wants a date there"),
            ('CRVAL1=north', "CRVAL1 = 'north': the FITS standard wants a number there"),
            ('CDELT1=0', 'the FITS standard wants a number that is not 0'),
        ],
    )
    def test_what_does_not_go_together(self, word, what):
        with pytest.raises(Failure, match=what) as failure:
            apply(STANDARD, word)
        assert str(failure.value).startswith('a.fits: ')

    def test_a_card_that_can_not_be_read_gets_the_type_of_the_word(self):
        raw = header('EXPTIME = 60,5 s / [s]')
        texts, _, changes = changed('EXPTIME=60.5', raw=raw)
        assert texts == ['EXPTIME =                 60.5 / [s]']
        assert "was '60,5 s" in changes[0].remark

    @pytest.mark.parametrize('number', ['0.1234567890123456', '57808.898530000001', '1e-300', '-7', str(2**62)])
    def test_numbers_keep_their_digits(self, number):
        cards, _ = apply(header(('X', 1.5)), f'X={number}')
        assert edits.content(cards[0]) == float(number)

    def test_a_record_valued_card_is_text(self):
        texts, _, changes = changed('DP1=AXIS.1: 2', raw=header("DP1     = 'AXIS.1: 1' / c"))
        assert texts == ["DP1     = 'AXIS.1: 2'          / c"]
        assert changes[0].remark == "DP1 was 'AXIS.1: 1'"

    def test_long_strings_go_on(self):
        cards, _ = apply(STANDARD, f'OBJECT={LONG}')
        assert edits.content(cards[0]) == LONG
        assert len(cards[0].text) > 80
        assert edits.comment_of(cards[0]) == 'what it is'
        back, changes = edits.edited(cards, Edits(settings=(edits.setting('OBJECT=M 1'),)), 'a.fits')
        assert ''.join(card.text for card in back).encode() == STANDARD
        assert changes[0].remark == f"OBJECT was '{LONG}'"

    def test_the_first_of_duplicates_counts(self):
        raw = header(('A', 1), ('A', 2))
        assert changed('A=3', raw=raw)[0] == ['A       =                    3']
        assert edits.content(apply(raw, 'A=3')[0][1]) == 2


class TestChanges:
    def test_what_is_so_already_is_no_change(self):
        words = ['OBJECT=M 1', 'EXPTIME=60.5', 'EXPTIME=60.50', 'NCOADD=4', 'SHUT=T', f'TEXT={LONG}', 'ESO DET ID=x']
        for word in words:
            cards, changes = apply(STANDARD, word)
            assert changes == []
            assert ''.join(card.text for card in cards).encode() == STANDARD

    def test_an_integer_in_place_of_a_float_of_its_value(self):
        assert changed('NCOADD=4.0')[0] == ['NCOADD  =                  4.0']

    def test_what_is_told(self):
        _, told, changes = changed('EXPTIME=61', 'NEW=x')
        assert told == ['EXPTIME: 60.5 -> 61.0', "NEW: none -> 'x'"]
        assert [change.remark for change in changes] == ['EXPTIME was 60.5', 'NEW added']

    def test_a_comment_that_is_cut_is_told_too(self):
        raw = header(('OBJECT', 'x', 'a comment of some length that goes to the end'))
        _, _, changes = changed('OBJECT=' + 'y' * 40, raw=raw)
        assert changes[0].remark == "OBJECT was 'x' / a comment of some length that goes to the end"

    def test_history_has_a_head(self):
        cards, changes = apply(STANDARD, 'EXPTIME=61')
        raw = edits.signed(cards, 'img_hedit', changes).decode()
        lines = [raw[at : at + 80].rstrip() for at in range(0, len(raw), 80)]
        assert lines[-2].startswith('HISTORY img_hedit 0.')
        assert lines[-1] == 'HISTORY   EXPTIME was 60.5'
        assert edits.signed(cards, 'img_hedit', []) == ''.join(card.text for card in cards).encode()

    def test_odd_characters_of_a_card_are_escaped_in_history(self):
        cards, changes = apply(header("OBSERVER= 'J\xf8rgen'"), 'OBSERVER=Jorgen')
        assert b'J\\xf8rgen' in edits.signed(cards, 'img_hedit', changes)


class TestDelete:
    def test_all_of_a_keyword(self):
        raw = header(('A', 1), ('B', 2), ('A', 3, 'again'))
        cards, changes = apply(raw, delete=('A',))
        assert [card.keyword for card in cards] == ['B']
        assert [change.remark for change in changes] == ['A deleted, was 3 / again', 'A deleted, was 1']

    def test_a_long_string_and_hierarch(self):
        cards, _ = apply(STANDARD, delete=('TEXT', 'ESO DET ID'))
        text = ''.join(card.text for card in cards)
        assert 'CONTINUE' not in text
        assert 'HIERARCH' not in text
        assert len(cards) == 7

    def test_and_set_anew(self):
        """What was text becomes a number."""
        cards, changes = apply(STANDARD, 'ID=12', delete=('ID',))
        assert [edits.content(card) for card in cards if card.keyword == 'ID'] == [12]
        assert [change.remark for change in changes] == ["ID deleted, was '0012'", 'ID added']

    def test_what_is_not_there(self):
        with pytest.raises(Failure, match=r'a\.fits: it has no keyword GONE$'):
            apply(STANDARD, delete=('GONE',))
        assert apply(STANDARD, delete=('GONE',), missing_ok=True)[1] == []
        with pytest.raises(Failure, match='it has no keyword GONE; the primary header has it: --hdu 0'):
            apply(STANDARD, delete=('GONE',), inherited={'GONE': 5}.get)


class TestRename:
    def test_the_rest_of_the_card_stays(self):
        raw = header('EXPOSURE=   6.05000E+1 /   seconds, odd   form')
        texts, told, changes = changed(raw=raw, rename=(('EXPOSURE', 'EXPTIME'),))
        assert texts == ['EXPTIME =   6.05000E+1 /   seconds, odd   form']
        assert told == ['EXPOSURE = 6.05000E+1: EXPOSURE -> EXPTIME']
        assert changes[0].remark == 'EXPOSURE renamed to EXPTIME'

    def test_a_string_over_several_cards(self):
        cards, _ = apply(STANDARD, rename=(('TEXT', 'WORDS'),))
        assert edits.content(cards[6]) == LONG
        assert cards[6].keyword == 'WORDS'

    @pytest.mark.parametrize(('old', 'new'), [('ESO DET ID', 'DETID'), ('ESO DET ID', 'ESO CHIP'), ('ID', 'ESO ID')])
    def test_hierarch(self, old, new):
        before, (cards, _) = edits.cards_of(STANDARD), apply(STANDARD, rename=((old, new),))
        place = [card.keyword for card in before].index(old)
        assert cards[place].keyword == new
        found = fits.Header.fromstring(''.join(card.text for card in cards))
        assert found[new] == edits.content(before[place])
        assert found.comments[new] == edits.comment_of(before[place])

    def test_the_standard_s_types_count(self):
        texts, _, _ = changed(raw=header(('TARGET', 47)), rename=(('TARGET', 'OBJECT'),))
        assert texts == ["OBJECT  = '47      '"]
        with pytest.raises(Failure, match='wants a date'):
            apply(STANDARD, rename=(('OBJECT', 'DATE-OBS'),))

    def test_two_keywords_may_change_places(self):
        raw = header(('A', 1), ('B', 2))
        cards, _ = apply(raw, rename=(('A', 'B'), ('B', 'A')))
        assert [(card.keyword, edits.content(card)) for card in cards] == [('B', 1), ('A', 2)]

    def test_what_is_in_the_way(self):
        with pytest.raises(Failure, match='it has a keyword EXPTIME already'):
            apply(STANDARD, rename=(('ID', 'EXPTIME'),))
        cards, _ = apply(STANDARD, rename=(('NCOADD', 'EXPTIME'),), delete=('EXPTIME',))
        assert [edits.content(card) for card in cards if card.keyword == 'EXPTIME'] == [4]

    def test_what_is_not_there(self):
        with pytest.raises(Failure, match='it has no keyword GONE'):
            apply(STANDARD, rename=(('GONE', 'NEW'),))


class TestComments:
    def test_of_a_card(self):
        texts, told, changes = changed(comments=(('NCOADD', 'added up'),))
        assert texts == ['NCOADD  =                    4 / added up']
        assert told == ['NCOADD: 4 -> 4 / added up']
        assert changes[0].remark == "NCOADD had the comment ''"
        assert apply(STANDARD, comments=(('EXPTIME', '[s]'),))[1] == []

    def test_with_a_value(self):
        assert changed('EXPTIME=61', comments=(('EXPTIME', 'seconds'),))[0] == [
            'EXPTIME =                 61.0 / seconds'
        ]
        texts, told, _ = changed('EXPTIME=60.5', comments=(('EXPTIME', 'seconds'),))
        assert texts == ['EXPTIME =                 60.5 / seconds']
        assert told == ['EXPTIME: 60.5 / [s] -> 60.5 / seconds']
        assert changed('NEW=5', comments=(('NEW', 'five'),))[0] == ['NEW     =                    5 / five']

    def test_of_nothing(self):
        with pytest.raises(Failure, match='it has no keyword GONE'):
            apply(STANDARD, comments=(('GONE', 'x'),))

    @pytest.mark.parametrize('key', ['COMMENT', 'HISTORY'])
    def test_lines(self, key):
        texts, told, changes = changed(f'{key}=bad guiding, and {LONG}')
        assert ''.join(text[8:].ljust(72) for text in texts).rstrip() == f'bad guiding, and {LONG}'
        assert all(text.startswith(key) for text in texts)
        assert changes[0].remark == ''
        assert told[0].startswith(f'{key}: none -> bad guiding')


class TestInherited:
    """An extension gets a card of its own, of the type that the primary header's has."""

    def test_type_and_words(self):
        texts, told, changes = changed('FILTER=2', inherited={'FILTER': 'V'}.get)
        assert texts == ["FILTER  = '2       '"]
        assert told == ["FILTER: 'V' -> '2'"]
        assert changes[0].remark == "FILTER added, was 'V' by the primary header"

    def test_it_counts_as_existing(self):
        assert changed('FILTER=2', inherited={'FILTER': 'V'}.get, must_exist=True)[0]
        with pytest.raises(Failure, match='it has no keyword FILTER'):
            apply(STANDARD, 'FILTER=2', must_exist=True)


@pytest.mark.parametrize(
    ('call', 'word', 'what'),
    [
        (edits.setting, 'NAXIS1=5', 'NAXIS1 describes the data themselves'),
        (edits.setting, 'bzero=5', 'BZERO describes the data themselves'),
        (edits.setting, 'CHECKSUM=5', 'describes the data'),
        (edits.setting, 'LONGKEYWORD=5', 'up to 8 letters'),
        (edits.setting, 'A.B=5', 'up to 8 letters'),
        (edits.setting, '=5', 'is not KEY=VALUE'),
        (edits.setting, 'OBJECT', 'is not KEY=VALUE'),
        (edits.setting, 'OBJECT=J\xf8rgen', 'printable ASCII only'),
        (edits.setting, 'OBJECT=a\nb', 'printable ASCII only'),
        (edits.deletion, 'NAXIS', 'describes the data'),
        (edits.deletion, 'T*', 'without wildcards'),
        (edits.deletion, 'T?MP', 'without wildcards'),
        (edits.deletion, 'HISTORY', 'what was written down in lines of HISTORY stays'),
        (edits.deletion, '', 'up to 8 letters'),
        (edits.renaming, 'A', 'is not --rename OLD=NEW'),
        (edits.renaming, 'A=', 'up to 8 letters'),
        (edits.renaming, 'A=A', 'both are the same'),
        (edits.renaming, 'A=BITPIX', 'describes the data'),
        (edits.renaming, 'COMMENT=A', 'stays'),
        (edits.comment, 'A', 'is not --comment KEY=TEXT'),
        (edits.comment, 'HISTORY=x', 'stays'),
        (edits.comment, 'A=\xf8', 'printable ASCII only'),
    ],
)
def test_words_that_are_refused(call, word, what):
    with pytest.raises(UsageError, match=what):
        call(word)


@pytest.mark.parametrize(
    ('options', 'what'),
    [
        ({'settings': ('A=1', 'A=2')}, 'A is set twice'),
        ({'delete': ('A',), 'comments': (('A', 'x'),)}, 'A is deleted or renamed'),
        ({'rename': (('A', 'B'), ('A', 'C'))}, 'A is renamed twice'),
        ({'rename': (('A', 'B'), ('C', 'B'))}, 'B would be the new name of two keywords'),
        ({'rename': (('A', 'B'),), 'delete': ('A',)}, 'A is renamed and deleted'),
        ({'comments': (('A', 'x'), ('A', 'y'))}, 'A gets two comments'),
    ],
)
def test_contradictions(options, what):
    options = {**options, 'settings': tuple(map(edits.setting, options.get('settings', ())))}
    with pytest.raises(UsageError, match=what):
        edits.check(Edits(**options))


def test_what_goes_together():
    edits.check(Edits(settings=(edits.setting('B=1'), edits.setting('COMMENT=x'), edits.setting('COMMENT=y')),
                      rename=(('A', 'B'), ('C', 'A')), delete=('D',), comments=(('B', 'x'),)))  # fmt: skip


@pytest.mark.parametrize(
    ('word', 'wanted'),
    [('OBJECT=x', True), ('HIERARCH ESO DET ID=x', True), ('a.fits', False), ('a.fits[1]', False), ('dir/a=b', False),
     ('A=', True), ('=x', False), ('@list=x', False), ('*=x', False)],
)  # fmt: skip
def test_assignments(word, wanted):
    assert edits.is_assignment(word) is wanted


def test_values():
    cards = edits.cards_of(STANDARD)
    assert edits.values_of(cards, ('ID', 'SHUT', 'GONE')) == {'ID': '0012', 'SHUT': True}
    assert isinstance(cards[0], PlainCard)
