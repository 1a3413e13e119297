"""Quality of voice activity detection on speech of known boundaries."""
