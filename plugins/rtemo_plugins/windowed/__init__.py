"""windowed: any emotion model that takes some seconds at once, described by its card alone."""
