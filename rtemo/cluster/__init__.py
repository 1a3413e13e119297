"""Layer 4: many processes that share live calls; knows neither chain nor models."""
