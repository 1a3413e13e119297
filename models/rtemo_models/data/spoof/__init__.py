"""The corpus of genuine and synthetic emotional speech: collected, synthesised and resynthesised, then made equal."""
