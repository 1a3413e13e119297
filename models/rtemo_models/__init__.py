"""Everything about making weights; the shipped bundles lie in `bundles`."""

import rtemo.telemetry  # noqa: F401 - it switches the telemetry of the runtimes off, before one is imported here
