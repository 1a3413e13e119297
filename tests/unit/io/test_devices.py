import subprocess
import sys
from pathlib import Path

import pytest

from bench.fakes.portaudio import HEADSET, WEBCAM, FakePortAudio
from rtemo.api import ConfigError, DeviceError
from rtemo.io.sources.capture import InputDevice, choose_device
from rtemo.io.sources.capture_backends import capture_backend
from rtemo.io.sources.devices import list_devices

pytestmark = pytest.mark.unit

TWIN = InputDevice(index=2, name="Webcam", host_api="JACK", channels=2, default_rate_hz=44_100)
LONGER = InputDevice(index=3, name="Webcam Pro", host_api="ALSA", channels=2, default_rate_hz=44_100)


@pytest.mark.parametrize(
    ("wanted", "host_api", "found"),
    [
        ("", "", HEADSET),
        (1, "", WEBCAM),
        ("1", "", WEBCAM),
        ("head", "", HEADSET),
        ("WEBCAM PRO", "", LONGER),
        ("Webcam", "ALSA", WEBCAM),
        ("Webcam", "JACK", TWIN),
    ],
)
def test_a_device_is_found_by_index_or_part_of_its_name(wanted: int | str, host_api: str, found: InputDevice) -> None:
    assert choose_device([HEADSET, WEBCAM, TWIN, LONGER], wanted, host_api) == found


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (9, "there is no capture device number 9; choose one of 0: USB Headset, 1: Webcam"),
        ("piano", "no capture device has 'piano' in its name; choose one of 0: USB Headset"),
        ("Webcam", r"2 capture devices match 'Webcam'; choose one by index: 1: Webcam \(ALSA\), 2: Webcam \(JACK\)"),
    ],
)
def test_a_choice_that_fails_names_what_there_is(wanted: int | str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        choose_device([HEADSET, WEBCAM, TWIN, LONGER], wanted)


def test_without_a_default_device_the_first_one_is_taken() -> None:
    assert choose_device([WEBCAM, TWIN]) == WEBCAM


def test_a_machine_without_devices_says_so_and_what_would_help() -> None:
    port = FakePortAudio()
    port.present.clear()
    with pytest.raises(DeviceError, match=r"no capture device was found; \w+"):
        list_devices(port, is_refreshed=True)


def test_the_list_shows_new_devices_only_after_a_refresh() -> None:
    port = FakePortAudio()
    port.present.append(TWIN)
    assert list_devices(port) == (HEADSET, WEBCAM)
    assert list_devices(port, is_refreshed=True) == (HEADSET, WEBCAM, TWIN)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown capture backend 'jack'; use sounddevice or pyaudio"):
        capture_backend("jack")


def test_a_missing_portaudio_library_is_named_with_the_command_that_installs_it() -> None:
    code = (
        "import ctypes.util, sys\n"
        "ctypes.util.find_library = lambda name: None\n"  # how sounddevice looks for it
        "import os; os.environ['PATH'] = ''\n"
        "from rtemo.api import DeviceError\n"
        "from rtemo.io.sources.devices import list_devices\n"
        "try:\n    list_devices()\n"
        "except DeviceError as error:\n    print(error)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.startswith("the PortAudio library was not found (PortAudio library not found); install it:")
    assert "apt install libportaudio2" in process.stdout


@pytest.mark.parametrize(("backend", "package"), [("sounddevice", "sounddevice"), ("pyaudio", "pyaudio")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(backend: str, package: str) -> None:
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from rtemo.api import DeviceError\n"
        "from rtemo.io.sources.devices import list_devices\n"
        f"try:\n    list_devices({backend!r})\n"
        "except DeviceError as error:\n    print(error)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install" in process.stdout


def test_the_package_and_its_sources_import_without_portaudio() -> None:
    code = (
        "import sys\nsys.modules['sounddevice'] = sys.modules['pyaudio'] = None\n"
        "import rtemo.io.sources.devices, rtemo.io.sources.probe\n"
        "from rtemo.io.sources.microphone import MicrophoneSource\n"
        "print(MicrophoneSource().name)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "mic:default"


def test_the_options_import_nothing_heavy() -> None:
    code = (
        "import sys\nimport rtemo.io.sources.options\n"
        "print(sorted({'numba', 'soundfile', 'sounddevice', 'scipy'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert process.stdout.strip() == "[]"
