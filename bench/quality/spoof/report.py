"""The tables of spoof detection in Markdown, made of a summary."""

import math
from collections.abc import Mapping
from typing import Any, TextIO

TARGETS = {"pooled": 0.10, "worst": 0.15, "spread": 0.05}
"""What is aimed at on unseen systems after 4 s of speech."""
_PAPER = "GEM's paper (arXiv:2505.23962) is said to save 38.2 % on average; the figure is second-hand"


def write_tables(out: TextIO, result: Mapping[str, Any]) -> None:
    """Print all tables of `summarise`."""
    out.write(f"\n## {result['arm']}: systems that were not trained on, after 4 s of speech unless stated\n")
    out.write("\nIntervals: 95 %, over speakers and systems. DCF: P_spoof .05, C_miss 1, C_fa 10 (ASVspoof 5).\n")
    _table(out, "Band and seconds of speech", "condition", result["conditions"])
    for key, band in (("emotions", "full band"), ("emotions_telephone", "telephone")):
        if result.get(key):
            _emotions(out, band, result[key])
    _targets(out, result)
    if result["systems"]:
        _table(out, "Each system against all genuine speech", "system", result["systems"], "mean_score")
        known = [e["eer"] for e in result["systems"].values()]
        out.write(f"\nmean over systems {_percent(sum(known) / len(known))}, worst {_percent(max(known))}\n")
    if result["corpora"]:
        _table(out, "Genuine speech of each corpus against all systems", "corpus", result["corpora"], "mean_score")
    if result["within"]:
        _table(out, "Genuine against synthetic speech of the same corpus or site", "corpus", result["within"])
        known = [e["eer"] for e in result["within"].values()]
        out.write(f"\nmean over corpora {_percent(sum(known) / len(known))}\n")
    if result["folds"]:
        _table(out, "Each fold by itself", "fold", result["folds"])
        known = [e["eer"] for e in result["folds"].values() if math.isfinite(e["eer"])]
        if known:
            out.write(f"\nmean over folds {_percent(sum(known) / len(known))}\n")
    if len(result["arms"]) > 1:
        _arms(out, result["arms"])
    for arm, cost in result.get("cost", {}).items():
        _cost(out, arm, cost)


def _table(out: TextIO, title: str, first: str, rows: Mapping[str, Any], more: str = "") -> None:
    out.write(f"\n**{title}**\n\n")
    head = [first, "genuine (speakers)", "synthetic (systems)", "EER %", "EER % of hull", "minDCF", "actDCF"]
    head += ["Cllr", "min Cllr"] + ([more.replace("_", " ")] if more else [])
    _head(out, head)
    for name, entry in rows.items():
        cells = [
            name or "(none)",
            f"{entry['genuine']} ({entry['speakers']})",
            f"{entry['synthetic']} ({entry['systems']})",
            _with_interval(entry["eer"], entry["eer_interval"]),
            _percent(entry["eer_hull"]),
            *(_number(entry[m]) for m in ("min_dcf", "act_dcf", "cllr", "min_cllr")),
        ]
        _row(out, cells + ([_number(entry[more])] if more else []))


def _emotions(out: TextIO, band: str, split: Mapping[str, Any]) -> None:
    _table(out, f"Per emotion, {band}", "emotion", split["by"])
    worst, spread = (_with_interval(split[k]["value"], split[k]["interval"]) for k in ("worst", "spread"))
    out.write(f"\nworst {worst} %, spread {spread} points; {split['without_label']} trials have no emotion\n")


def _targets(out: TextIO, result: Mapping[str, Any]) -> None:
    pooled = result["conditions"].get("full, 4")
    found = {"pooled": pooled["eer"] if pooled else math.nan}
    found |= {k: result["emotions"][k]["value"] for k in ("worst", "spread") if result["emotions"]}
    out.write("\n**Aims**\n\n")
    _head(out, ["EER", "found %", "at most %", ""])
    for name, aim in TARGETS.items():
        value = found.get(name, math.nan)
        told = "unknown" if math.isnan(value) else "met" if value <= aim else "missed"
        _row(out, [name, _percent(value), _percent(aim), told])


def _arms(out: TextIO, arms: Mapping[str, Any]) -> None:
    out.write("\n**Arms side by side**\n\n")
    head = ["arm", "trials", "EER %", "worst emotion %", "spread", "minDCF", "actDCF", "Cllr"]
    _head(out, [*head, "saved over `single` %", "saved over `gem` %"])
    for name, entry in arms.items():
        extremes = [
            _with_interval(entry[k]["value"], entry[k]["interval"]) if k in entry else "" for k in ("worst", "spread")
        ]
        saved = []
        for rival in ("single", "gem"):
            over = entry.get(f"over_{rival}")
            told = _with_interval(over["relative"]["value"], over["relative"]["interval"], "+") if over else ""
            is_partial = over is not None and over["trials"] < entry["genuine"] + entry["synthetic"]
            saved.append(f"{told} on {over['trials']} trials" if over and is_partial else told)
        cells = [name, str(entry["genuine"] + entry["synthetic"])]
        cells += [_with_interval(entry["eer"], entry["eer_interval"]), *extremes]
        _row(out, cells + [_number(entry[m]) for m in ("min_dcf", "act_dcf", "cllr")] + saved)
    out.write(f"\nsaved: 1 - EER / EER of the other, same trials and same draws; below 0: worse. {_PAPER}.\n")


def _cost(out: TextIO, arm: str, cost: Mapping[str, Any]) -> None:
    """What scoring cost: per band for what streams, per window for a peer that takes 4 s at a time."""
    if "ms_per_window" in cost:
        told = f"{cost['ms_per_window']:.0f} ms of one core per window of 4.04 s"
        out.write(f"\n{arm}: {told}: for a decision every 0.5 s {cost['ms_per_window'] / 500:.3f} of a core\n")
        return
    for band, found in cost.items():
        out.write(f"\n{arm}, {band}: {found['clips']} clips, {found['never_scored']} too short for a score; ")
        out.write(f"{found['audio_s']:.0f} s of audio in {found['taken_s']:.0f} s")
        busy_us = found.get("plugin_us_per_stream_and_hop", math.nan)
        if math.isfinite(busy_us):
            out.write(f"; the plugin {busy_us:.1f} us per stream and hop of 10 ms, {busy_us / 10_000:.4f} of a core")
        out.write("\n")


def _head(out: TextIO, names: list[str]) -> None:
    out.write("| " + " | ".join(names) + " |\n|" + "---|" * len(names) + "\n")


def _row(out: TextIO, cells: list[str]) -> None:
    out.write("| " + " | ".join(cells) + " |\n")


def _percent(value: float, sign: str = "") -> str:
    return "" if math.isnan(value) else f"{100 * value:{sign}.1f}"


def _with_interval(value: float, around: tuple[float, float], sign: str = "") -> str:
    low, high = around
    return f"{_percent(value, sign)} ({_percent(low, sign)} to {_percent(high, sign)})" if math.isfinite(value) else ""


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
