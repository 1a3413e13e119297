"""`python -m rtemo_models`."""

from rtemo_models.kit.cli import main

main(prog_name="python -m rtemo_models")
