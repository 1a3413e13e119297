"""Write the bill of materials of what rtemo runs with: `python tools/sbom.py --cyclonedx PATH --out FILE`.

CycloneDX, from requirements/base.txt; the version, which pyproject.toml leaves to rtemo/__init__.py, is filled in.
"""

import argparse
import ast
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def version() -> str:
    """Read the version of rtemo without importing it."""
    for line in (ROOT / "rtemo" / "__init__.py").read_text().splitlines():
        name, equals, value = line.partition(" = ")
        if name == "__version__" and equals:
            return str(ast.literal_eval(value))
    raise SystemExit("rtemo/__init__.py states no __version__")


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Write the bill of materials.")
    parser.add_argument("--cyclonedx", required=True, help="the program cyclonedx-py")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args()
    command = [options.cyclonedx, "requirements", "requirements/base.txt", "--pyproject", "pyproject.toml"]
    command += ["--mc-type", "library", "--output-reproducible", "--output-format", "JSON", "--output-file", "-"]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    bill = json.loads(made.stdout)
    own = bill["metadata"]["component"]
    own["version"] = version()
    own["purl"] = f"pkg:pypi/{own['name']}@{own['version']}"
    for part in bill["components"]:
        part.pop("description", None)  # the line of the lock, hashes and all, which stand in externalReferences too
    direct = sorted(part["bom-ref"] for part in bill["components"])
    bill["dependencies"] = [
        {**entry, "dependsOn": direct} if entry["ref"] == own["bom-ref"] else entry for entry in bill["dependencies"]
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(bill, indent=2) + "\n")
    print(f"{options.out}: {len(bill['components'])} components of {own['name']} {own['version']}")


if __name__ == "__main__":
    main()
