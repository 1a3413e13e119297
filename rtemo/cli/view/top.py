"""The table of `rtemo top`: one line per plugin, in the manner of pw-top."""

from rtemo.api import Health, PluginTiming, WorkerState
from rtemo.cli.view.bars import bar
from rtemo.cli.view.line import Line, spread
from rtemo.cli.view.numbers import micros, overload_troubles, troubles

_BAR_CELLS = 12
_HEADS = ("WAIT", "BUSY p50", "p99", "max", "load", "xruns")


def table(health: Health, title: str, width: int) -> list[Line]:
    """Draw the state of an engine.

    Args:
        health: The last report.
        title: Where it comes from.
        width: Cells.

    Returns:
        Lines of at most `width` cells.
    """
    names = max([8, *(len(plugin.name) for plugin in health.plugins)])
    head = Line().put(" rtemo top ", "brand").put_name(title, max(8, width - 30), "bold")
    streams = Line().put(f"{health.streams} of {health.capacity} streams ", "bold")
    lines = [spread(head, streams, width), Line(), _heads(names)]
    lines += [_plugin(plugin, names) for plugin in health.plugins]
    tick = Line().put(f" {'tick':<{names}}", "bold").put(f"{micros(health.late_p99_us):>10}")
    tick.put(f"{micros(health.tick_p50_us):>10}").put(f"{micros(health.tick_p99_us):>10}").put(f"{'':>10}")
    lines += [tick.join(_load(health.load)).put(f"{health.counters.xruns:>7}"), Line()]
    if health.workers:
        lines += [*map(_worker, health.workers), Line()]
    lines += _trouble(health)
    lines.append(Line().put(" WAIT: median time from audio ready to work begun; of the tick, its p99", "dim"))
    return lines


def _heads(names: int) -> Line:
    line = Line().put(f" {'plugin':<{names}}", "dim")
    for head in _HEADS[:-2]:
        line.put(f"{head:>10}", "dim")
    return line.put(f"{'load':>{_BAR_CELLS + 9}}", "dim").put(f"{'xruns':>7}", "dim")


def _plugin(plugin: PluginTiming, names: int) -> Line:
    line = Line().put(" ").put_name(plugin.name, names, "bold").pad(names + 1)
    for value_us in (plugin.wait_p50_us, plugin.busy_p50_us, plugin.busy_p99_us, plugin.busy_max_us):
        line.put(f"{micros(value_us):>10}")
    line.join(_load(plugin.load)).put(f"{plugin.xruns:>7}", "trouble" if plugin.xruns else "")
    return line if plugin.state == "running" else line.put(f"  ! {plugin.state}", "trouble")


def _worker(worker: WorkerState) -> Line:
    line = Line().put(f" worker {worker.name:<4}", "bold").put(f"{worker.streams:>6} streams").join(_load(worker.load))
    line.put(f"{micros(worker.late_p99_us):>10} late")
    if worker.restarts:
        line.put(f"   restarted {worker.restarts} times" if worker.restarts > 1 else "   restarted once", "trouble")
    return line if worker.state == "running" else line.put(f"  ! {worker.state}", "trouble")


def _load(load: float) -> Line:
    filled, empty = bar(load, _BAR_CELLS)
    style = "good" if load < 0.5 else "warm" if load < 0.8 else "hot"
    return Line().put("  ").put(filled, style).put(empty, "track").put(f"{load:7.1%}")


def _trouble(health: Health) -> list[Line]:
    line = Line()
    found = [*overload_troubles(health), *troubles(health.counters)]
    is_well = not any(is_trouble for *_, is_trouble in found)
    line.put(" ✓ " if is_well else " ! ", "good" if is_well else "trouble")
    for index, (name, value, is_trouble) in enumerate(found):
        line.put(f"{'   ' if index else ''}{name} ", "trouble" if is_trouble else "dim").put(
            value, "trouble" if is_trouble else ""
        )
    return [line]
