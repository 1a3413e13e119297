"""Measurements of speed, capacity and quality; each script prints what it measured."""

import rtemo.telemetry  # noqa: F401 - it switches the telemetry of the runtimes off, before one is imported here
