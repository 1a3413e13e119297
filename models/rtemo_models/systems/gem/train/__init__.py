"""Training, trials, calibration and the card's results."""
