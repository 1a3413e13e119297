"""Merit: enhanced speech and the emotion in it, from networks that share a front end and a context."""
