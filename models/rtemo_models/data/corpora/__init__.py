"""Readers of corpora that need a licence, from the folders as they are released."""
