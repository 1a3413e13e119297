"""Take the picture of the rating page that the docs show: `python tools/corpus_picture.py`.

The turns are tones, nobody's voice. Needs the extras corpus and test, and Chromium.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

from tests.fakes.browser import Browser
from tests.fakes.corpus_work import chosen_corpus

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "corpus.png"
KEYS = ("u", "j", "Enter", "6", "5")


def main() -> None:
    """Serve a corpus, answer half of a turn, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        chosen_corpus(Path(folder), turns=40)
        words = ["-m", "rtemo", "corpus", "rate", folder, "--rater", "anna", "--port", "0"]
        server = subprocess.Popen([sys.executable, "-u", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert server.stdout is not None
        browser = Browser(server.stdout.readline().split()[1], width=980, height=1130)
        try:
            browser.wait_for("document.querySelector('#task')?.hidden === false")
            for key in KEYS:
                browser.do("Input.dispatchKeyEvent", type="keyDown", key=key)
                browser.do("Input.dispatchKeyEvent", type="keyUp", key=key)
            browser.wait_for("document.querySelector('#dominance[data-current]') !== null")
            browser.tell("scrollTo(0, 0), 1")
            browser.picture(PICTURE)
        finally:
            browser.close()
            server.send_signal(signal.SIGINT)
            server.wait(20)
    picture = Image.open(PICTURE).convert("RGB").quantize(64)
    picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
