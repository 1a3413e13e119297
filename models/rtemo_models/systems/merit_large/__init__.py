"""The large listener: the lower layers of a speech encoder that has heard the world, and heads that hear emotion."""
