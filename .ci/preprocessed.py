#!/usr/bin/env python3
"""Prints, for each translation unit with a source that standard input names, a hash and its file:
one that includes a dozen sources, where CMake makes such, or else the source. The hash is of nearly
all that clang-tidy makes its verdict of: the preprocessed text without line numbers, the flags, the
.clang-tidy of its folder and those above, and its own version. Comments, and so NOLINT, are not in
it. A source that the build's compile_commands.json does not have has no hash, but "unknown".

    preprocessed.py BUILD_DIRECTORY <NAMES_RELATIVE_TO_THE_PROJECT
"""
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys

from compile_commands import arguments, entries


def rules_for(path, root):
    text = b""
    while len(path) > len(root):
        path = os.path.dirname(path)
        if os.path.exists(f"{path}/.clang-tidy"):
            with open(f"{path}/.clang-tidy", "rb") as file:
                text += file.read()
    return text


def tidy_version():
    said = subprocess.run(["clang-tidy-19", "--version"], capture_output=True, check=True).stdout
    return re.search(rb"version \S+", said).group()


def digest(root, entry, version):
    flags = arguments(entry)
    text = subprocess.run(
        [*flags, f"-fmacro-prefix-map={root}/=", "-w", "-E", "-P", entry["file"]],
        cwd=entry["directory"], capture_output=True, check=True).stdout
    relative = " ".join(flags[1:]).replace(root, "")
    rules = rules_for(entry["file"], root)
    return hashlib.sha256(version + rules + relative.encode() + text).hexdigest()


def sources(entry):
    """Those that the entry's file stands for."""
    if "/Unity/" not in entry["file"]:
        return {entry["file"]}
    with open(entry["file"]) as file:
        return set(re.findall(r'^#include "(.*)"$', file.read(), re.MULTILINE))


def main(build):
    root = os.getcwd()
    wanted = {os.path.join(root, line.strip()) for line in sys.stdin}
    known = {entry["file"]: entry for entry in entries(build)}
    units = {path: found for path, entry in known.items() if (found := sources(entry)) & wanted}
    version = tidy_version()
    lost = sorted(wanted.difference(*units.values()))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = sorted(units)
        hashes = pool.map(lambda p: digest(root, known[p], version), paths)
        for path, result in zip(paths, hashes):
            print(result, os.path.relpath(path, root))
    for path in lost:
        print("unknown", os.path.relpath(path, root))


main(sys.argv[1])
