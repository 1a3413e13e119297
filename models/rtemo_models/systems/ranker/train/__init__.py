"""Training, losses and moods."""
