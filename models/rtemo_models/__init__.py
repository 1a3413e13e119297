"""Everything about making weights; what is shipped of them lies in the distribution `rtemo-weights`."""
