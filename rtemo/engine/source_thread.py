"""SourceThread: runs one source on a thread of its own."""

import threading

from rtemo.api import Fault, RtemoError, Source, StreamDesk


class SourceThread:
    """Opens, pumps and closes a source; its failure ends the source, never the engine."""

    def __init__(self, source: Source, desk: StreamDesk) -> None:
        self.source = source
        self._desk = desk
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"rtemo-source-{source.name}", daemon=True)

    @property
    def is_ended(self) -> bool:
        """Whether the source has delivered everything or has failed."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Start the thread and wait until the source is open; raises what `open` raises."""
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise self._error

    def stop(self, timeout_s: float) -> None:
        """Ask the source to end and wait for it, within a bound."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self.source.open(self._desk)
        except BaseException as error:
            self._error = error
            self.source.close()
            return
        finally:
            self._opened.set()
        try:
            while not self._stop.is_set():
                delay_s = self.source.pump()
                if delay_s is None:
                    break
                if delay_s > 0:
                    self._stop.wait(delay_s)
        except RtemoError as error:
            self._desk.report(Fault(where=self.source.name, problem=str(error), action="closed"))
        except Exception as error:
            self._desk.report(
                Fault(where=self.source.name, problem=f"{type(error).__name__}: {error}", action="closed")
            )
        finally:
            self.source.close()
