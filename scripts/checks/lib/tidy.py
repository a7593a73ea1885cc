"""Run clang-tidy over the compile commands of a build; see scripts/checks/tidy."""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

FOLDERS = ("core/", "loopback/", "harness/")


def preprocessed(entry):
    """What the compiler sees of a file: unchanged text needs no second look."""
    command = [part for part in shlex.split(entry["command"])]
    if "-o" in command:
        at = command.index("-o")
        del command[at:at + 2]
    command[command.index("-c")] = "-E"
    out = subprocess.run(command, cwd=entry["directory"], capture_output=True, check=False)
    return out.stdout if out.returncode == 0 else os.urandom(32)


def look(entry, build, salt, cache):
    path = os.path.relpath(entry["file"])
    digest = hashlib.sha256(salt + preprocessed(entry)).hexdigest()
    stamp = os.path.join(cache, digest)
    if os.path.exists(stamp):
        return path, ""
    # Warnings are those of gcc in the build; clang-tidy must not stop at an option that only gcc knows.
    out = subprocess.run(["clang-tidy-14", "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option", path],
                         capture_output=True, text=True, check=False)
    text = "\n".join(line for line in out.stdout.splitlines() if not re.match(r"^\d+ warnings? ", line))
    if out.returncode != 0 or text.strip():
        return path, text.strip() or out.stderr.strip() or f"clang-tidy ended with {out.returncode}"
    with open(stamp, "w", encoding="ascii"):
        pass
    return path, ""


def main(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    chosen = [entry for path, entry in entries.items()
              if os.path.relpath(path).startswith(FOLDERS) and os.path.exists(path)]
    if not chosen:
        print("the compile commands name no file of " + ", ".join(FOLDERS))
        return 1
    cache = os.path.join(build, "tidy")
    os.makedirs(cache, exist_ok=True)
    with open(".clang-tidy", "rb") as file:
        salt = file.read()
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _, text in pool.map(lambda entry: look(entry, build, salt, cache), chosen):
            if text:
                bad += 1
                print(text)
    print(f"note: {len(chosen)} files")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
