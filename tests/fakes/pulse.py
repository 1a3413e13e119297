"""PulseServer: a private PulseAudio daemon with a virtual microphone, for tests that need a real sound server."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SINK = "virtual"
SPEAKER = "loudspeaker"
RATE_HZ = 48_000


def why_missing() -> str:
    """What keeps the daemon from running here; empty when nothing does."""
    for program in ("pulseaudio", "paplay", "pactl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    plugins = [
        *Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"),
        *Path("/usr/lib").glob("alsa-lib/*pulse*"),
    ]
    return "" if plugins else "ALSA's plugin for PulseAudio (libasound2-plugins) is not installed"


class PulseServer:
    """A daemon of its own in a folder of its own: a null sink to play into, whose monitor is the microphone.

    A second null sink is the loudspeaker of programs that are started with `PULSE_SINK` set to `SPEAKER`.

    PortAudio reaches it through ALSA's plugin, by the environment in `environment`. That must be set before
    PortAudio is first used, so programs under test run as processes of their own.

    Attributes:
        environment: What a program needs to use this daemon and no other.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pulse-"))
        for name in ("run", "home"):
            (self._folder / name).mkdir(mode=0o700)
        (self._folder / "home" / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self._socket = self._folder / "run" / "sound"
        self.environment = {
            **os.environ,
            "HOME": str(self._folder / "home"),
            "XDG_RUNTIME_DIR": str(self._folder / "run"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_SOURCE": f"{SINK}.monitor",
            "PULSE_SINK": SINK,
        }
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        self._daemon = subprocess.Popen(
            [
                *(
                    "pulseaudio",
                    "-n",
                    "--daemonize=no",
                    "--exit-idle-time=-1",
                    "--use-pid-file=no",
                    "--disable-shm=yes",
                ),
                # Without rewinds the monitor delivers at once and steadily, as a sound card does.
                f"--load=module-null-sink sink_name={SINK} rate={RATE_HZ} channels=2 norewinds=1",
                f"--load=module-null-sink sink_name={SPEAKER} rate={RATE_HZ} channels=2 norewinds=1",
                f"--load=module-native-protocol-unix socket={self._socket} auth-anonymous=1",
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + 10
        while not self._answers():
            if time.monotonic() > deadline_s or self._daemon.poll() is not None:
                raise RuntimeError("the private PulseAudio daemon did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the daemon without warning, as when a device is unplugged."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None
            self._socket.unlink(missing_ok=True)

    def play(self, path: Path) -> "subprocess.Popen[bytes]":
        """Begin to play a file into the virtual microphone."""
        return subprocess.Popen(["paplay", str(path)], env=self.environment)

    def record(self, path: Path, rate_hz: int = 16_000) -> "subprocess.Popen[bytes]":
        """Begin to record what the loudspeaker plays, as mono float32; ends when it is terminated."""
        device, form = f"--device={SPEAKER}.monitor", ["--format=float32le", f"--rate={rate_hz}", "--channels=1"]
        with path.open("wb") as file:
            return subprocess.Popen(
                ["parec", device, *form, "--latency-msec=20", "--raw"], env=self.environment, stdout=file
            )

    def python(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Run this interpreter with this daemon as its sound server; standard output and error are piped."""
        return subprocess.Popen(
            [sys.executable, "-u", *arguments],
            env={**self.environment, **(environment or {})},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the daemon and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        if not self._socket.exists():
            return False
        asked = subprocess.run(["pactl", "info"], env=self.environment, capture_output=True, timeout=5, check=False)
        return asked.returncode == 0
