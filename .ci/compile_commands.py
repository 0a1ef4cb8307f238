"""What CMake leaves in a build directory's compile_commands.json, for the scripts beside this file."""
import json
import os
import shlex


def entries(build):
    with open(os.path.join(build, "compile_commands.json")) as file:
        return json.load(file)


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
