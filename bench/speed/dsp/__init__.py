"""Speed of rtemo.dsp beside numpy and scipy."""
