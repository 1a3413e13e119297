"""Level: how loud a stream is, how much of it is clipped, and how loud its background."""
