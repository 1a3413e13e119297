"""Corpora as clips: readers of released corpora, the manifest, caches."""
