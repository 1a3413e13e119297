"""The page on which people rate turns: one server on this machine, a link for each rater."""
