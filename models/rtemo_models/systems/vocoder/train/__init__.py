"""Training and scoring of both."""
