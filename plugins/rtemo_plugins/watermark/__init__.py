"""Watermark: hears in a call the mark that every voice made by rtemo carries."""
