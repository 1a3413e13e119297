"""Both networks and how they are used."""
