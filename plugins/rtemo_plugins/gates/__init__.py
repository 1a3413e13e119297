"""The gates plugin: whether what is heard may be trusted, by music and noise, beside the tick."""
