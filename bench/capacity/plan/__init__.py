"""What so many calls would take, worked out from what was measured."""
