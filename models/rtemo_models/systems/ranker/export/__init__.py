"""The bundle `ranker` and its moods."""
