"""files/grouping: signatures, time spans and the nearest master, against loops written from the rules."""

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitsutils.files import grouping
from fitsutils.files.grouping import Frame, Masters

ZERO = datetime.datetime(1858, 11, 17)
HOUR = datetime.timedelta(hours=1)
MINUTE = datetime.timedelta(minutes=1)


def at(mjd):
    return ZERO + datetime.timedelta(days=mjd)


def named(mjds, *values):
    return [Frame(chr(ord('a') + place), at(mjd), values) for place, mjd in enumerate(mjds)]


def names(groups):
    return [''.join(frame.name for frame in group) for group in groups]


minutes = st.integers(0, 300)
moments = st.lists(st.tuples(minutes, st.sampled_from(['R', 'V'])), min_size=1, max_size=25)


def frames_of(rows):
    return [Frame(f'{place:02d}', at(58000) + minute * MINUTE, (band,)) for place, (minute, band) in enumerate(rows)]


class TestGroups:
    def test_an_hour_counts_from_the_first_frame_and_is_not_reached(self):
        assert names(grouping.groups(named([0.0, 0.03, 0.041, 0.05]), span=HOUR)) == ['abc', 'd']

    def test_frames_that_are_exactly_a_span_apart_are_apart(self):
        """As datetimes: the difference of the two MJD is less than 1/24 by what they are rounded to."""
        assert 57808.8 + 1 / 24 - 57808.8 < 1 / 24
        first = datetime.datetime(2017, 2, 24, 19, 12)
        frames = [Frame('a', first), Frame('b', first + HOUR - datetime.timedelta.resolution), Frame('c', first + HOUR)]
        assert names(grouping.groups(frames, span=HOUR)) == ['ab', 'c']
        assert names(grouping.groups(frames[::2], gap=HOUR)) == ['a', 'c']

    def test_a_gap_rolls(self):
        frames = named([0, 0.03, 0.06, 0.09, 0.14])
        assert names(grouping.groups(frames, gap=HOUR)) == ['abcd', 'e']
        assert names(grouping.groups(frames, gap=HOUR, span=2 * HOUR)) == ['abc', 'd', 'e']

    def test_no_span_is_one_frame_a_group(self):
        assert names(grouping.groups(named([0, 0, 1]), span=0 * HOUR)) == ['a', 'b', 'c']

    def test_no_limit_is_one_group_a_signature(self):
        frames = [*named([3, 1], 'R'), Frame('x', None, ('R',)), Frame('y', at(2), ('V',))]
        assert names(grouping.groups(frames)) == ['bax', 'y']

    def test_frames_without_a_time_are_in_no_span(self):
        frames = [Frame('x', None), Frame('y', None), *named([1])]
        assert names(grouping.groups(frames, span=HOUR)) == ['a', 'x', 'y']

    def test_nights_keep_frames_apart(self):
        frames = [
            Frame('a', at(1), night=datetime.date(2021, 2, 26)),
            Frame('b', at(1), night=datetime.date(2021, 2, 27)),
        ]
        assert names(grouping.groups(frames, span=HOUR)) == ['a', 'b']

    @pytest.mark.parametrize(
        ('one', 'other', 'same'),
        [
            (1, 1.0, True), (2, ' 2 ', True), ('1.50', 1.5, True), ('FILT- 3 ', 'FILT- 3', True), ('R', 'r', False),
            ('a  b', 'a b', False), (True, 'T', True), (True, 1, False), (None, '', True), (float('nan'), None, True),
            (0, None, False), (2**53, 2**53 + 1, False), ('x', None, False),
        ],
    )  # fmt: skip
    def test_what_counts_as_equal(self, one, other, same):
        frames = [Frame('a', at(1), (5, one)), Frame('b', at(1), (5.0, other))]
        assert (len(grouping.groups(frames)) == 1) is same

    @given(moments, st.integers(1, 200))
    def test_spans_are_those_of_filabres(self, rows, length):
        frames, span = frames_of(rows), length * MINUTE
        left = sorted(frames, key=lambda frame: (frame.start, frame.name))
        wanted = []
        while left:
            first = left[0]
            block = [frame for frame in left if frame.values == first.values and abs(frame.start - first.start) < span]
            left = [frame for frame in left if frame not in block]
            wanted.append(block)
        assert grouping.groups(frames, span=span) == wanted

    @given(moments, st.integers(1, 100))
    def test_gaps_are_where_nothing_was_taken(self, rows, length):
        frames, gap = frames_of(rows), length * MINUTE
        found = grouping.groups(frames, gap=gap)
        assert sorted(frame.name for group in found for frame in group) == [frame.name for frame in frames]
        starts = {}
        for group in found:
            assert all(later.start - sooner.start < gap for sooner, later in itertools.pairwise(group))
            starts.setdefault(group[0].values, []).append((group[0].start, group[-1].start))
        for spans in starts.values():
            assert all(later[0] - sooner[1] >= gap for sooner, later in itertools.pairwise(spans))

    @given(moments, st.randoms(use_true_random=False))
    def test_the_order_of_the_frames_does_not_matter(self, rows, random):
        frames = frames_of(rows)
        mixed = list(frames)
        random.shuffle(mixed)
        found = grouping.groups(frames, span=HOUR, gap=20 * MINUTE)
        assert grouping.groups(mixed, span=HOUR, gap=20 * MINUTE) == found
        assert [group[0].start for group in found] == sorted(group[0].start for group in found)


def test_means_of_starts():
    assert grouping.mean_mjd(named([57808.0, 57808.5, 57809.25])) == pytest.approx(57808.583333333, abs=1e-8)
    assert grouping.mean_mjd([*named([1]), Frame('x', None)]) is None
    assert Frame('x', None).mjd is None
    assert named([57808.89853])[0].mjd == pytest.approx(57808.89853, abs=1e-10)


def nearest(masters, frame, **options):
    found = Masters(masters).nearest(frame, **options)
    return found.master and found.master.name, found.days, found.status


class TestNearest:
    def test_numbers_of_filabres(self):
        masters, image = named([57808.89853, 57810.26880], 1), Frame('x', at(57809.7911), (1.0,))
        assert nearest(masters, image) == ('b', pytest.approx(0.4777, abs=1e-9), 'found')
        assert nearest(masters[:1], image) == ('a', pytest.approx(-0.89257, abs=1e-9), 'found')

    @pytest.mark.parametrize(
        ('options', 'wanted'),
        [
            ({}, ('b', 1.0, 'found')),
            ({'side': 'before'}, ('a', -2.0, 'found')),
            ({'side': 'after'}, ('b', 1.0, 'found')),
            ({'most': datetime.timedelta(days=1)}, ('b', 1.0, 'found')),
            ({'most': datetime.timedelta(days=0.999)}, (None, None, 'far')),
            ({'side': 'before', 'most': datetime.timedelta(days=1)}, (None, None, 'far')),
        ],
    )
    def test_sides_and_limits(self, options, wanted):
        assert nearest(named([10, 13]), Frame('x', at(12)), **options) == wanted

    @pytest.mark.parametrize('side', ['any', 'before', 'after'])
    def test_the_same_moment_is_on_both_sides(self, side):
        assert nearest(named([10, 12, 12]), Frame('x', at(12)), side=side) == ('b', 0.0, 'found')

    @pytest.mark.parametrize(('side', 'masters'), [('before', [13]), ('after', [11])])
    def test_nothing_on_that_side(self, side, masters):
        found = Masters(named(masters)).nearest(Frame('x', at(12)), side=side)
        assert (found.status, found.nearest.name) == ('far', 'a')

    def test_of_two_as_near_the_earlier_one(self):
        assert nearest(named([13, 11]), Frame('x', at(12)))[0] == 'b'

    def test_missing_values_agree_with_none(self):
        masters, image = named([1], None, 5), Frame('x', at(1), (None, 5))
        assert nearest(masters, image) == (None, None, 'none')

    def test_an_image_is_not_its_own_master(self):
        image = Frame('./a', at(1), (), None, 'a')
        assert nearest([Frame('a', at(1), (), None, 'a'), Frame('b', at(4), (), None, 'b')], image)[0] == 'b'
        assert nearest([Frame('a', at(1), (), None, 'a')], image) == (None, None, 'none')

    def test_frames_without_a_time(self):
        assert nearest(named([1]), Frame('x', None)) == (None, None, 'undated')
        assert nearest([Frame('a', None)], Frame('x', at(1))) == (None, None, 'none')

    @given(
        st.lists(st.tuples(minutes, st.sampled_from([1, 2])), max_size=12),
        minutes,
        st.sampled_from(['any', 'before', 'after']),
        st.integers(0, 120),
    )
    def test_against_a_search_through_all(self, rows, minute, side, limit):
        masters, image = frames_of(rows), Frame('x', at(58000) + minute * MINUTE, (1,))
        found = nearest(masters, image, side=side, most=limit * MINUTE)
        best = None
        for master in sorted(masters, key=lambda each: (each.start, each.name)):
            days = (master.start - image.start) / datetime.timedelta(days=1)
            if master.values == (1,) and abs(days) <= limit / 1440:
                fits = {'any': True, 'before': days <= 0, 'after': days >= 0}[side]
                if fits and (best is None or abs(days) < abs(best[1])):
                    best = (master.name, days, 'found')
        assert found == best if best is not None else found[0] is None


def test_masters_between_which_nothing_decides():
    masters = [Frame('b', at(1), (1,)), Frame('a', at(1), ('1',)), Frame('c', at(1), (2,)), Frame('d', at(3), (1,))]
    assert [(one.name, other.name) for one, other in Masters(masters).doubles()] == [('a', 'b')]


@pytest.mark.parametrize(
    ('masters', 'values', 'options', 'wanted'),
    [
        ([(1, (1, 'R')), (3, (2, 'V'))], (1, 'V'), {}, 'no master has its signature; a is closest: FILTER is V, not R'),
        ([(1, (1, 'R'))], (2, None), {}, 'it has no master: FILTER is missing, and a master must agree in it'),
        ([(1, (1, None))], (1, 'R'), {}, 'no master has its signature; a is closest: FILTER is R, not missing'),
        ([(1, (1, 'R'))], (1, 'R'), {'side': 'after'}, 'the nearest, a, is -1 days off'),
        ([], (1, 'R'), {}, 'it has no master: there is no other image with a date'),
    ],
)
def test_reasons(masters, values, options, wanted):
    found = [Frame(chr(97 + place), at(mjd), each) for place, (mjd, each) in enumerate(masters)]
    image = Frame('x', at(2), values)
    assert wanted in grouping.why_not(image, Masters(found).nearest(image, **options), ['CCDBINX', 'FILTER'])


def test_the_reason_of_an_image_without_a_date():
    image = Frame('x', None, (1,))
    assert 'no date' in grouping.why_not(image, Masters(named([1], 1)).nearest(image), ['NAXIS1'])
