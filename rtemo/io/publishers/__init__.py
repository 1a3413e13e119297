"""Publishers: where events go."""
