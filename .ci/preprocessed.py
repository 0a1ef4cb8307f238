#!/usr/bin/env python3
"""Prints, for each source that standard input names, a hash and the source. The hash is of nearly
all that clang-tidy makes its verdict of: the preprocessed text without line numbers, the flags, and
the .clang-tidy of its folder and those above. Comments, and so NOLINT, are not in it. A source that the build's compile_commands.json
does not have has no hash, but "unknown".

    preprocessed.py BUILD_DIRECTORY <NAMES_RELATIVE_TO_THE_PROJECT
"""
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys


def arguments(entry):
    """Those of the compiler alone: no launcher, no output."""
    words = shlex.split(entry["command"])
    if os.path.basename(words[0]) == "ccache":
        words = words[1:]
    kept, skip = [], False
    for word in words:
        if skip or word in ("-o", "-MF", "-MT"):
            skip = not skip
        elif word not in ("-c", "-MD", entry["file"]):
            kept.append(word)
    return kept


def rules_for(path, root):
    text = b""
    while len(path) > len(root):
        path = os.path.dirname(path)
        if os.path.exists(f"{path}/.clang-tidy"):
            with open(f"{path}/.clang-tidy", "rb") as file:
                text += file.read()
    return text


def digest(root, entry):
    flags = arguments(entry)
    text = subprocess.run(
        [*flags, f"-fmacro-prefix-map={root}/=", "-w", "-E", "-P", entry["file"]],
        cwd=entry["directory"], capture_output=True, check=True).stdout
    relative = " ".join(flags[1:]).replace(root, "")
    rules = rules_for(entry["file"], root)
    return hashlib.sha256(rules + relative.encode() + text).hexdigest()


def main(build):
    root = os.getcwd()
    wanted = {os.path.join(root, line.strip()): line.strip() for line in sys.stdin}
    with open(os.path.join(build, "compile_commands.json")) as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = sorted(wanted)
        hashes = pool.map(
            lambda p: digest(root, entries[p]) if p in entries else "unknown", paths)
        for path, result in zip(paths, hashes):
            print(result, wanted[path])


main(sys.argv[1])
