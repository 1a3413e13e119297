import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.cli.view.bars import bar, buckets, mirrored, sparkline

pytestmark = pytest.mark.unit


@given(st.floats(-2, 3), st.integers(1, 60))
def test_a_bar_always_fills_its_width(share, width):
    filled, empty = bar(share, width)
    assert len(filled) + len(empty) == width


def test_a_bar_grows_by_half_cells():
    assert [bar(share, 2)[0] for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == ["", "╸", "━", "━╸", "━━"]


def test_a_mirrored_sparkline_rises_above_and_hangs_below_the_zero_line():
    upper, lower = mirrored([1.0, 0.5, -0.5, -1.0, None])
    assert [char for char, _ in upper] == ["█", "▄", " ", " ", " "]
    assert lower == [(" ", False), (" ", False), ("▄", True), ("█", False), (" ", False)]


def test_a_value_at_zero_still_shows_that_there_is_one():
    upper, lower = mirrored([0.0, -0.001])
    assert upper[0][0] != " "
    assert lower[1][1]


@given(st.lists(st.none() | st.floats(-5, 5), max_size=40))
def test_sparklines_have_one_cell_per_value(values):
    assert len(sparkline(values)) == len(values)
    assert [len(row) for row in mirrored(values)] == [len(values)] * 2


def test_points_fall_into_cells_of_equal_time_with_the_newest_at_the_right():
    points = [(0.5, 1.0), (1.5, 2.0), (1.9, 3.0), (3.1, 4.0)]
    assert buckets(points, now_s=3.9, span_s=4.0, width=4) == [1.0, 3.0, None, 4.0]
    assert buckets(points, now_s=4.1, span_s=4.0, width=4) == [3.0, None, 4.0, None]
