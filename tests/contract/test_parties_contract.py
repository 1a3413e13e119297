"""The parties plugin keeps the contract, behind the real detector and with the real encoder of voices."""

import pytest

from rtemo.testing.test_plugins import (  # noqa: F401 - the same checks on another case, but for the slow ones
    Case,
    rig,
    test_audio_is_untouched_or_late_as_declared,
    test_closing_twice_is_no_fault,
    test_concealed_and_broken_audio_is_survived,
    test_events_speak_of_samples_that_were_heard,
    test_file_pushed_in_any_chunks_equals_hop_by_hop,
    test_interleaved_streams_equal_separate_ones,
    test_no_array_is_kept_after_the_call,
    test_opened_twice_gives_two_independent_processors,
    test_options_have_defaults_and_descriptions_and_no_unknown_keys,
    test_reset_stream_repeats_and_its_neighbour_goes_on,
    test_row_of_a_stream_that_left_starts_afresh,
    test_rows_moved_by_compaction_change_nothing,
    test_short_streams_end_well,
    test_spec_says_what_the_entry_point_says,
)

pytestmark = pytest.mark.contract


@pytest.fixture
def case() -> Case:
    return Case("parties", {})
