"""`python -m rtemo_models.systems.merit_large` is `python -m rtemo_models.systems.merit_large.run`."""

from rtemo_models.systems.merit_large.run import main

if __name__ == "__main__":
    main()
