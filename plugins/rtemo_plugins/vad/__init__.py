"""Voice activity: when somebody speaks, with events at both ends of every stretch of speech."""
