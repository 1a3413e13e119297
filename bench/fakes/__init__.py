"""Stand-ins for what a measurement must not wait for or depend on; tests use them, too."""
