"""Joins the listener of one run and the enhancer of another: `python -m rtemo_models.train.join --help`.

Each part was trained beside another partner; a short run of `train.merit` with a listener that stands still makes the
enhancer used to what it is told now.
"""

import argparse
from pathlib import Path

import torch


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listener", type=Path, required=True, help="average.pt of the run whose listener is taken")
    parser.add_argument("--enhancer", type=Path, required=True, help="average.pt of the run whose enhancer is taken")
    parser.add_argument("--out", type=Path, required=True, help="average.pt to write")
    options = parser.parse_args()
    heard, cleaned = (torch.load(p, weights_only=True) for p in (options.listener, options.enhancer))
    weights = {name: values for name, values in heard["weights"].items() if name.startswith("listener.")}
    weights |= {name: values for name, values in cleaned["weights"].items() if name.startswith("enhancer.")}
    net = {
        part: saved["net"][part] for part, saved in (("listener", heard), ("enhancer", cleaned)) if part in saved["net"]
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weights": weights, "net": net}, options.out)


if __name__ == "__main__":
    main()
