import pytest
from rich.cells import cell_len

from rtemo.api import Board, BoardEntry
from rtemo.cli.view.board import table

pytestmark = pytest.mark.unit

ENTRIES = tuple(
    BoardEntry(
        call=f"call-{k}",
        channel="0",
        place=place,
        urgency=2.5 - k,
        spread=0.3,
        percentiles={"arousal": 97.0 - k, "valence": 4.0, "intensity": 50.0},
        trend_per_min=trend,
        silent_s=2.0,
    )
    for k, (place, trend) in enumerate([(1, 1.25), (1, -1.25), (3, None), (4, 0.0)])
)
BOARD = Board(entries=ENTRIES, ranked=12, unsure=3)


def shown(board, width=100, alerts=()):
    return "\n".join(line.text for line in table(board, alerts, "tcp://127.0.0.1:5570", width))


def test_the_floor_shows_places_ties_urgency_trend_and_percentiles():
    text = shown(BOARD)
    for words in ("12 ranked   3 unsure", "call-0/0", "+2.50 ±0.30", "↗  +1.25", "↘  -1.25", "97 %", "0:02.0"):
        assert words in text, words
    places = [line.split()[0] for line in text.splitlines() if "call-" in line]
    assert places == ["1", "=1", "3", "4"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_the_table_never_exceeds_the_terminal(width):
    board = Board(entries=(*ENTRIES, BoardEntry(call="電話" * 30, channel="0", place=5, urgency=-9.0, spread=1.0)),
                  ranked=1, unsure=0)  # fmt: skip
    for line in table(board, ["0:24.0  a/0  ! alert: " + "x" * 300], "tcp://[::1]:5570" * 10, width):
        assert cell_len(line.text) == line.width
        assert line.width <= width


def test_columns_that_do_not_fit_are_left_out_whole():
    assert "intensity" in shown(BOARD, 100)
    assert "intensity" not in shown(BOARD, 80)
    assert "valence" in shown(BOARD, 80)


def test_an_empty_floor_and_no_board_at_all_are_told_apart():
    assert "nobody has said enough yet" in shown(Board(entries=(), ranked=0, unsure=2))
    assert "waiting for a board" in shown(None)


def test_alerts_stand_below_newest_first_and_the_caution_last():
    text = shown(BOARD, alerts=["0:30.0  b/0  ! alert: two", "0:24.0  a/0  ! alert: one"]).splitlines()
    found = [line for line in text if "alert:" in line]
    assert [line.split()[1] for line in found] == ["b/0", "a/0"]
    assert "not inner state" in text[-1]


def test_names_from_outside_cannot_draw_on_the_screen():
    evil = Board(
        entries=(BoardEntry(call="\x1b[2Jevil", channel="\r", place=1, urgency=0.0, spread=0.1),), ranked=1, unsure=0
    )
    assert "\x1b" not in shown(evil)
    assert "evil" in shown(evil)
