"""The tables of enhancement: per SNR, per noise and corpus, and differences from the peers clip by clip."""

from typing import Any, TextIO

import numpy as np

from bench.quality.enhancement.scores import Table, mean_and_interval

RIVALS = ("gtcrn", "ulunas")
"""Peers from which paired differences are taken."""
_DIGITS = {"stoi": 3, "si_sdr_db": 1, "ssnr_db": 1}
_GROUPS = ("pesq_wb", "stoi", "si_sdr_db", "ssnr_db", "dnsmos_ovrl")


def summarise(tables: dict[str, Table]) -> dict[str, Any]:
    """Make what is kept: means with intervals per SNR and over SNRs, groups, differences, failures."""
    result: dict[str, Any] = {}
    for name, table in tables.items():
        metrics = table.metrics
        entry: dict[str, Any] = {"failures": table.failures, "snr_db": {}}
        for snr_db in (*table.snrs_db, None):
            where = "mean" if snr_db is None else f"{snr_db:g}"
            entry["snr_db"][where] = {m: mean_and_interval(table.by_clip(m, snr_db)) for m in metrics}
        for kind, labels in (("noise", table.noise), ("corpus", table.corpus)):
            entry[kind] = {
                group: {m: mean_and_interval(table.by_clip(m)[np.array(labels) == group]) for m in metrics}
                for group in dict.fromkeys(labels)
            }
        entry["minus"] = {
            rival: {m: mean_and_interval(table.by_clip(m) - tables[rival].by_clip(m)) for m in metrics}
            for rival in RIVALS
            if rival in tables and rival != name
        }
        result[name] = entry
    return result


def write_tables(out: TextIO, result: dict[str, Any]) -> None:
    """Print all tables as Markdown."""
    first = next(iter(result.values()))
    places = list(first["snr_db"])
    metrics = tuple(first["snr_db"]["mean"])
    few = tuple(m for m in _GROUPS if m in metrics)
    for place in places:
        label = "mean over SNRs, 95 % bootstrap interval over clips" if place == "mean" else f"{place} dB"
        out.write(f"\n**{label}**\n\n")
        _head(out, "system", metrics)
        for name, entry in result.items():
            cells = [_cell(m, entry["snr_db"][place][m], place == "mean") for m in metrics]
            out.write(f"| {name} | " + " | ".join(cells) + " |\n")
    for rival in RIVALS:
        rows = {name: entry["minus"][rival] for name, entry in result.items() if rival in entry["minus"]}
        if rows:
            out.write(f"\n**minus {rival}, clip by clip, mean over SNRs**\n\n")
            _head(out, "system", metrics)
            for name, row in rows.items():
                out.write(f"| {name} | " + " | ".join(_cell(m, row[m], True, "+") for m in metrics) + " |\n")
    for kind in ("noise", "corpus"):
        out.write(f"\n**per {kind}, mean over SNRs**\n\n")
        _head(out, f"{kind} | system", few)
        for group in first[kind]:
            for name, entry in result.items():
                cells = [_cell(m, entry[kind][group][m], False) for m in few]
                out.write(f"| {group} | {name} | " + " | ".join(cells) + " |\n")
    failed = {name: {m: n for m, n in entry["failures"].items() if n} for name, entry in result.items()}
    told = {name: counts for name, counts in failed.items() if counts}
    out.write(f"\nmetrics that could not be computed, left out of the means: {told or 'none'}\n")


def _head(out: TextIO, first: str, metrics: tuple[str, ...]) -> None:
    columns = first.count("|") + 1 + len(metrics)
    out.write(f"| {first} | " + " | ".join(metrics) + " |\n|" + "---|" * columns + "\n")


def _cell(metric: str, value: tuple[float, float, float], with_interval: bool, sign: str = "") -> str:
    digits = _DIGITS.get(metric, 2)
    mean, low, high = value
    if np.isnan(mean):
        return ""
    text = f"{mean:{sign}.{digits}f}"
    return f"{text} ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})" if with_interval else text
