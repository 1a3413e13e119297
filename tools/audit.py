"""Ask for known vulnerabilities of all locked packages: `python tools/audit.py --pip-audit PATH`.

Ends with 0 when none is known, with 1 when some are, and with 3 when the advisory service could not be asked: what has
not been audited has not passed.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "requirements"
_CANNOT_BE_ASKED = "rtemo: the advisory service cannot be reached from here, so nothing was audited"


def locked() -> list[str]:
    """Give every locked package as `name==version ; marker`, without hashes: torch has none, and it is all or none."""
    entries = {
        line.rstrip(" \\\n") for path in FOLDER.glob("*.txt") for line in path.open() if re.match(r"\w.*==", line)
    }
    return sorted(entries)


def main() -> int:
    """Ask, and print what is known."""
    parser = argparse.ArgumentParser(description="Ask for known vulnerabilities of all locked packages.")
    parser.add_argument("--pip-audit", required=True, help="the program pip-audit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        names = Path(temporary, "locked.txt")
        names.write_text("\n".join(locked()) + "\n")
        command = [options.pip_audit, "--progress-spinner", "off", "--timeout", "20", "--format", "json"]
        done = subprocess.run(
            [*command, "--disable-pip", "--no-deps", "--requirement", str(names)], capture_output=True, text=True
        )
    try:
        answers = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        print(f"{_CANNOT_BE_ASKED} ({last[0].strip()})", file=sys.stderr)
        return 3
    asked = [answer for answer in answers if "vulns" in answer]
    if not asked:  # as behind a mirror that passes on packages and no advisories
        print(_CANNOT_BE_ASKED, file=sys.stderr)
        return 3
    for answer in answers:
        if "vulns" not in answer:
            print(f"not audited: {answer['name']}: {answer.get('skip_reason', 'no reason given')}")
        for found in answer.get("vulns", ()):
            mend = ", ".join(found["fix_versions"]) or "no release mends it yet"
            print(f"{answer['name']} {answer['version']}: {found['id']} ({mend})")
    count = sum(len(answer["vulns"]) for answer in asked)
    print(f"{len(asked)} packages audited, {count} known vulnerabilities")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
