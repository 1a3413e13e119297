"""`rtemo eval`: a chain against clips whose emotion is known."""
