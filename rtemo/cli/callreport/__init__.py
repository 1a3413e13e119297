"""The report of one call, as a page for a person."""
