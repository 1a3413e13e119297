"""Spoof detection on synthesis systems that were not trained on, and its false alarms on genuine emotional speech."""
