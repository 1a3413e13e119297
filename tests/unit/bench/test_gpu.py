"""The bench of a card, run on what there is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is an extra")
from bench.gpu import __main__ as bench_gpu
from bench.gpu import parity
from bench.gpu.ceilings import Ceilings
from bench.gpu.load import Load, measure_size
from rtemo.runtime.store import find
from rtemo.runtime.torch import TorchHandle

pytestmark = pytest.mark.unit


def test_one_command_proves_parity_and_measures_ticks_against_ceilings(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "baselines" / "here.json"
    words = ["--device", "cpu", "--rows", "4,12", "--minutes", "0.15", "--out", str(out), "--precision", "float32"]
    assert bench_gpu.main(words) == 0
    result = json.loads(out.read_text())
    assert [found["network"] for found in result["parity"]] == list(bench_gpu.NETWORKS)
    assert all(found["agrees"] and found["worst"] < 1e-4 and found["steps"] >= 120 for found in result["parity"])
    ceilings = result["ceilings"]["float32"]
    assert ceilings["matmul_tflop_per_s"] > 0 < ceilings["host_copy_gb_per_s"]
    assert ceilings["to_device_gb_per_s"] is None
    assert {4, 12} <= {size["rows"] for size in result["sizes"]}
    assert {size["problem"] for size in result["sizes"]} <= {"", "there was no time left"}  # on a machine under load
    by_rows = {size["rows"]: size for size in result["sizes"] if not size["problem"]}
    assert 4 in by_rows
    for rows, size in by_rows.items():
        assert 0 < size["p50_ms"] <= size["p99_ms"] <= size["worst_ms"]
        assert size["holds"] == (size["p99_ms"] < 10)
        assert sum(size["shares"].values()) == pytest.approx(1.0)
        counts = {name: cost["rows"] for name, cost in size["networks"].items()}
        assert counts == {"merit-enhance": rows, "merit-listen": rows // 4, "gem": rows // 4, "ranker": rows // 4}
        assert all(cost["work_us"] > 0 < cost["flop_of_ceiling"] for cost in size["networks"].values())
    assert result["largest_rows"]["float32"] == max((r for r, size in by_rows.items() if size["holds"]), default=0)
    assert result["weights"].keys() == set(bench_gpu.NETWORKS)
    assert "most rows with p99 under 10 ms" in capsys.readouterr().out


def test_a_card_that_is_not_there_is_one_line(capsys: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert bench_gpu.main([]) == 2
    assert "--device cpu measures what runs without one" in capsys.readouterr().err


def test_nothing_is_measured_where_the_networks_do_not_agree(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    exact = parity.with_float_products
    calls: list[int] = []

    def spoilt(data: bytes) -> bytes:
        calls.append(1)
        return exact(data)

    monkeypatch.setattr(parity, "with_float_products", spoilt)
    monkeypatch.setattr(parity, "FLOAT_LIMIT", 1e-12)
    assert bench_gpu.main(["--device", "cpu", "--rows", "4", "--minutes", "0.02"]) == 1
    captured = capsys.readouterr()
    assert "DOES NOT AGREE" in captured.out
    assert "do not agree, so nothing was measured" in captured.err
    assert calls


def test_half_precision_stays_within_its_limit_on_a_cpu_too() -> None:
    for network in ("merit-enhance", "gem"):
        found = parity.measure_parity(network, "cpu", "half", 60, float("inf"))
        assert found.agrees
        assert found.p99 < parity.HALF_LIMIT


def test_every_stream_is_stepped_once_in_four_ticks() -> None:
    handle = TorchHandle(find("gem").card, find("gem").read_weights(), exact=False)
    load = Load({"gem": handle}, 10)
    seen = np.concatenate([load.due("gem", tick) for tick in range(4)])
    assert sorted(seen.tolist()) == list(range(10))


def test_what_does_not_fit_says_so_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = TorchHandle(find("gem").card, find("gem").read_weights(), exact=False)

    def full(capacity: int) -> Any:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr(handle, "new_state", full)
    ceilings = Ceilings(
        host_copy_gb_per_s=1.0,
        to_device_gb_per_s=None,
        from_device_gb_per_s=None,
        device_copy_gb_per_s=1.0,
        matmul_tflop_per_s=1.0,
        launch_us=1.0,
    )
    cost = measure_size({"gem": handle}, 8, "float32", ceilings, 1.0)
    assert cost.problem == "CUDA out of memory. Tried to allocate 2 GiB"
    assert not cost.holds
