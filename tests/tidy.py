#!/usr/bin/env python3
"""tidy.py FROM TO: the compile commands of one build tree, for clang-tidy.

The simulator's defects compile the same cores a dozen times, and the fuzz targets the same main.
Kept is each file once, and once more for every set of macros on the command line that it speaks of.
"""
import json
import os
import re
import sys


def commands(folder):
    seen = set()
    with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as f:
        for entry in json.load(f):
            with open(entry["file"], encoding="utf-8") as source:
                text = source.read()
            words = sorted(set(re.findall(r" -D(\w+)[^ ]*", entry["command"])))
            key = entry["file"], tuple(word for word in words if word in text)
            if key not in seen:
                seen.add(key)
                yield entry


def main():
    kept = list(commands(sys.argv[1]))
    os.makedirs(sys.argv[2], exist_ok=True)
    with open(os.path.join(sys.argv[2], "compile_commands.json"), "w", encoding="utf-8") as f:
        json.dump(kept, f, indent=1)


if __name__ == "__main__":
    main()
