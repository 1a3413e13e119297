"""`rtemo corpus`: from recordings to a corpus of rated turns."""
