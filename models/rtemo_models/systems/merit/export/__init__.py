"""The bundles `merit-listen` and `merit-enhance`."""
