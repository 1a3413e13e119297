"""Write what `make demo`, `make test`, `make sbom` and `make audit` install: every package by version and hash.

`python tools/lock.py --uv PATH [--keep]` writes into requirements/:

- base.txt: what rtemo needs to run;
- web.txt: base.txt and the extra `web`, for deploy/Dockerfile;
- build.txt: what builds it;
- test.txt: base.txt and the extra `test`, without torch;
- torch.txt: torch by its version alone. A hash would forbid either the CPU build or the build for GPUs:
  they share a version and no file;
- torch-gpu.txt: what the build for GPUs wants beyond that, for machines where no other is to be had;
- frameworks.txt: all of that, the frameworks for voice assistants and Ray, chosen by itself: they hold others back;
- tools.txt: the makefile's own tools.

The files hold for Python 3.11 and newer on Linux and macOS, and name no package index: any mirror will do.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
HEAD = "# Written by `make lock` from pyproject.toml. Do not edit.\n"
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")
NOT_BUILT = ("docopt",)
"""Left out of frameworks.txt: there is no wheel of it, and what asks for it needs it for a command line alone."""
GPU = re.compile(r"^(nvidia-|cuda-|triton$)")


def resolve(uv: str, out: Path, arguments: list[str], keep: bool) -> dict[str, str]:
    """Let uv choose versions and give the text of each entry by the name of its package, in uv's order."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--only-binary", ":all:", "--no-header", "--no-annotate", "--no-config", "--output-file", str(out)]
    subprocess.run([*command, *([] if keep else ["--upgrade"]), *arguments], cwd=ROOT, check=True)
    entries: dict[str, str] = {}
    name = ""
    for line in out.read_text().splitlines(keepends=True):
        if match := ENTRY.match(line):
            name = match["name"]
        if name:
            entries[name] = entries.get(name, "") + line
    return entries


def write(name: str, entries: dict[str, str], more: str = "") -> None:
    """Write one file of requirements/."""
    (FOLDER / name).write_text(HEAD + more + "".join(entries.values()))
    print(f"requirements/{name}: {len(entries)} packages")


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description="Lock what the makefile installs.")
    parser.add_argument("--uv", required=True, help="the program uv")
    parser.add_argument("--keep", action="store_true", help="keep the versions that are locked; add and remove only")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        lock = Path(temporary, "all.txt")
        if options.keep:
            kept = sorted(set(FOLDER.glob("*.txt")) - {FOLDER / "frameworks.txt"})
            lock.write_text("".join(path.read_text() for path in kept))
        everything = ["pyproject.toml", "--extra", "test", "--group", "build", "--group", "tools"]
        resolve(options.uv, lock, everything, options.keep)  # so that the files agree with each other
        parts = [Path(temporary, f"{name}.txt") for name in ("base", "test", "web", "build", "tools")]
        project = ["pyproject.toml"]
        asked = [project, [*project, "--extra", "test"], [*project, "--extra", "web"]]
        asked += [["--group", "build"], ["--group", "tools"]]
        base, test, web, build, tools = (
            resolve(options.uv, part, [*arguments, "--constraints", str(lock)], options.keep)
            for part, arguments in zip(parts, asked, strict=True)
        )
        left_out = Path(temporary, "left_out.txt")
        left_out.write_text("\n".join(NOT_BUILT))
        frameworks_lock = Path(temporary, "frameworks.txt")
        if options.keep and (FOLDER / "frameworks.txt").exists():
            frameworks_lock.write_text((FOLDER / "frameworks.txt").read_text())
        arguments = ["pyproject.toml", "--extra", "frameworks", "--group", "build", "--excludes", str(left_out)]
        frameworks = resolve(options.uv, frameworks_lock, arguments, options.keep)
    del frameworks["torch"]
    torch = test.pop("torch")
    gpu = {name: text for name, text in test.items() if GPU.match(name)}
    write("base.txt", base)
    write("web.txt", web)
    write("build.txt", build)
    write("test.txt", {name: text for name, text in test.items() if name not in gpu})
    write("torch-gpu.txt", gpu)
    write("frameworks.txt", {name: text for name, text in frameworks.items() if not GPU.match(name)})
    write("tools.txt", tools)
    why = "# No hash: the CPU build and the build for GPUs share this version and no file.\n"
    write("torch.txt", {"torch": ENTRY.match(torch)[0] + "\n"}, why)


if __name__ == "__main__":
    main()
