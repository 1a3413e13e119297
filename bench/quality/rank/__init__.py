"""How well the ranker puts voices in order, beside other losses, and how steady its scores are."""
