"""Marks of ours on tests that strangers run too."""

import pytest

from rtemo.testing.test_plugins import test_ten_minutes_pass_without_drift as ten_minutes

pytest.mark.long(ten_minutes)  # three minutes are in the usual run
