"""rtemo: a streaming real-time engine for emotional speech."""
