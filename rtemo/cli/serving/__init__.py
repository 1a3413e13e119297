"""How `rtemo serve --workers` works: a front, and the workers it starts."""
