"""Everything about making weights; what is shipped of them lies in the distribution `rtemo-weights`."""

import rtemo.telemetry  # noqa: F401 - it switches the telemetry of the runtimes off, before one is imported here
