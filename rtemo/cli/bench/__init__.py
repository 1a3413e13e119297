"""What rtemo costs, carries and gets right on this machine."""
