#!/usr/bin/env python3
"""
coverage.py -- how much of each parser its fuzz target reaches, by lines.

    tests/fuzz/coverage.py                  with the corpora as they are in git; seconds
    tests/fuzz/coverage.py --seconds 60     and with what a minute of fuzzing adds
    tests/fuzz/coverage.py fuzz_order ...   only these targets
    tests/fuzz/coverage.py --pick           also copies inputs of build/fuzz/tests/fuzz/found that
                                            reach lines which the corpus does not into the corpus
    tests/fuzz/coverage.py --lines          also names the lines that are not reached

Build the preset `fuzz` first. Exit 1 when a parser is below --least (95 %). What is measured
stands in tests/fuzz/parsers; a file counts whole unless its functions are named there.
"""
import argparse
import concurrent.futures
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def read_table():
    """[(target, source, functions)] as in the file `parsers`."""
    rows = []
    for line in (HERE / "parsers").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            rows.append((words[0], words[1], words[2:]))
    return rows


class Target:
    """One fuzz program in a build folder."""

    def __init__(self, build, name):
        self.name = name
        self.program = build / "tests/fuzz" / name
        self.corpus = HERE / "corpus" / name
        self.found = build / "tests/fuzz/found" / name

    def profile(self, folder, arguments):
        """Runs the program; returns its merged profile."""
        raw = os.path.join(folder, self.name + ".profraw")
        merged = os.path.join(folder, self.name + ".profdata")
        environment = dict(os.environ, LLVM_PROFILE_FILE=raw)
        done = subprocess.run([self.program, f"-artifact_prefix={folder}/", *arguments],
                              env=environment, cwd=folder, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name} failed:\n{done.stdout[-3000:]}")
        subprocess.run(["llvm-profdata", "merge", "-sparse", raw, "-o", merged], check=True)
        return merged

    def lines(self, profile, sources):
        """{source: ({line: count}, {function: first line})}"""
        done = subprocess.run(["llvm-cov", "export", "-format=lcov", self.program,
                               "-instr-profile=" + profile,
                               *[str(ROOT / source) for source in sources]],
                              check=True, stdout=subprocess.PIPE, text=True)
        result = {}
        for line in done.stdout.splitlines():
            key, _, value = line.partition(":")
            if key == "SF":
                counts, functions = {}, {}
                result[os.path.relpath(value, ROOT)] = (counts, functions)
            elif key == "DA":
                number, count = value.split(",")[:2]
                counts[int(number)] = int(count)
            elif key == "FN":
                number, name = value.split(",")
                functions[name.split(":")[-1]] = int(number)
        return result


def reached(lines, wanted):
    """Of one file: ({line: count}) of the wanted functions, of all when none is named."""
    counts, functions = lines
    if not wanted:
        return counts
    missing = [name for name in wanted if name not in functions]
    if missing:
        raise RuntimeError("no such function: " + ", ".join(missing))
    starts = sorted(functions.values()) + [sys.maxsize]
    result = {}
    for name in wanted:
        first = functions[name]
        end = starts[starts.index(first) + 1]
        result.update({n: c for n, c in counts.items() if first <= n < end})
    return result


def measure(target, rows, arguments):
    """[(source, functions, {line: count})] after one run of the target."""
    with tempfile.TemporaryDirectory() as folder:
        profile = target.profile(folder, arguments)
        lines = target.lines(profile, [source for _, source, _ in rows])
    for _, source, _ in rows:
        if source not in lines:
            raise RuntimeError(f"{target.name} does not contain {source}")
    return [(source, wanted, reached(lines[source], wanted)) for _, source, wanted in rows]


def hit(measured):
    """The set of lines that were reached."""
    return {(source, n) for source, _, counts in measured for n, c in counts.items() if c > 0}


def pick(target, rows):
    """Copies those found inputs into the corpus that reach new lines; smallest first."""
    have = hit(measure(target, rows, ["-runs=0", target.corpus]))
    rest = hit(measure(target, rows, ["-runs=0", target.corpus, target.found])) - have
    inputs = sorted(glob.glob(str(target.found / "*")), key=os.path.getsize)
    while rest and inputs:
        # Halves of what is left, down to the one input that reaches something new.
        low, high = 0, len(inputs)
        while high - low > 1:
            middle = (low + high) // 2
            if hit(measure(target, rows, inputs[low:middle])) & rest:
                high = middle
            else:
                low = middle
        new = hit(measure(target, rows, [inputs[low]])) & rest
        if not new:
            break
        source, line = min(new)
        name = f"{os.path.basename(source).removesuffix('.c')}_{line}"
        shutil.copyfile(inputs[low], target.corpus / name)
        print(f"{target.name}: picked {name}, {len(new)} lines")
        rest -= new
        inputs = inputs[low + 1:] + inputs[:low]


def ranges(numbers):
    """[1, 2, 3, 7] as "1-3 7"."""
    parts = []
    for n in sorted(numbers):
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def one_target(target, rows, options):
    """The report's lines, and whether all is at least what is asked."""
    arguments = ["-runs=0", target.corpus]
    target.found.mkdir(parents=True, exist_ok=True)
    if options.seconds > 0:
        arguments = [f"-max_total_time={options.seconds}", "-timeout=10", target.found,
                     target.corpus]
    if options.pick:
        pick(target, rows)
    text, good = [], True
    for source, wanted, counts in measure(target, rows, arguments):
        missed = [n for n, c in counts.items() if c == 0]
        share = 100 * (len(counts) - len(missed)) / len(counts)
        good = good and share >= options.least
        text.append(f"{target.name:<20} {source:<32} {share:6.1f} % of {len(counts):4d}"
                    f"{'' if share >= options.least else '  TOO FEW'}")
        if options.lines and missed:
            text.append(f"{'':<20} not reached: {ranges(missed)}")
    return "\n".join(text), good


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/fuzz")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--least", type=float, default=95)
    parser.add_argument("--pick", action="store_true")
    parser.add_argument("--lines", action="store_true")
    options = parser.parse_args()
    options.build = options.build.resolve()
    table = read_table()
    names = options.targets or sorted({row[0] for row in table})
    all_good = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = []
        for name in names:
            rows = [row for row in table if row[0] == name]
            if not rows:
                sys.exit(f"coverage.py: no target '{name}' in tests/fuzz/parsers")
            jobs.append(pool.submit(one_target, Target(options.build, name), rows, options))
        for job in jobs:
            try:
                text, good = job.result()
            except RuntimeError as error:
                text, good = str(error), False
            print(text, flush=True)
            all_good = all_good and good
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
