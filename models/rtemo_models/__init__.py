"""Everything about making weights; the shipped bundles lie in `bundles`."""
