#!/usr/bin/env python3
"""
dispatch -- what it costs to give out work: a job of many tiny slices, and many jobs of one slice,
on a tracker, a master that lends nothing and two workers of two slots, all on this machine.

    tests/bench/dispatch.py [--build DIR] [--jobs 200,2048] [--check]

--check: exit 1 when a bar is missed. Each figure stands beside its bar and the ratio to it.
"""
import argparse
import concurrent.futures
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLICES = 2048
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Its number and its own pid; then whether a signal finds anybody else: kill -1 leaves out who sends
# it, and init. In slice 0 it is to find somebody, so that finding nobody means something.
NUMBER = """echo $PREON_SLICE $$ > out.txt
kill -0 -1 2>> out.txt && echo somebody >> out.txt
if [ $PREON_SLICE = 0 ]; then sleep 5 & kill -0 -1 && echo seen >> out.txt; fi
exit 0
"""

# What the original's experiments ran: one slice that says something.
ECHO = "echo $PREON_JOB > out.txt\n"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build", "release"))
    parser.add_argument("--jobs", default="200,2048", help="how many jobs of one slice")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


args = arguments()
os.environ["PREON_BUILD"] = os.path.abspath(args.build)
sys.path.insert(0, os.path.join(HERE, "..", "net"))
from preon_process import Net, wait_for  # noqa: E402

missed = []


def show(what, value, unit, bar=None, note=""):
    line = f"{what:<52} {value:10.3f} {unit:<3}"
    if bar is not None:
        line += f"  bar {bar:g} {unit}, ratio {value / bar:.2f}"
        if value > bar:
            missed.append(what)
    print(line + ("  " + note if note else ""), flush=True)


def cpu_s(server):
    """Processor time of a process so far, all its threads."""
    with open(f"/proc/{server.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class World:
    def __init__(self):
        self.net = Net()
        self.net.env["PREON_PRIORITY"] = "low"  # as a volunteer has it
        self.net.tracker()
        self.master = self.net.peer("master", 0)
        self.workers = [self.net.peer(f"w{i}", 2, "--jobs", "any") for i in range(2)]
        self.read = [0, 0]
        self.ends = 0
        for name, text in ("number.sh", NUMBER), ("echo.sh", ECHO):
            with open(self.net.path(name), "w") as f:
                f.write(text)

    def words(self, slices, script):
        return ["exec", "--slices", str(slices), "--quorum", "1", "--file", self.net.path(script),
                "--output", "out.txt", "--", "sh", script]

    def ended(self):
        """How many slices have ended; costs little, as it is asked while others are to work."""
        for i in range(2):
            path = self.net.path(f"w{i}", "runs.log")
            if os.path.exists(path):
                with open(path, "rb") as f:
                    f.seek(self.read[i])
                    more = f.read()
                self.read[i] += len(more)
                self.ends += more.count(b" end ")
        return self.ends

    def rows(self):
        """(job, slice) -> wall ms of "given", "start", "end"; "setup" in us. Of both workers."""
        found = {}
        for i in range(2):
            for at, what, job, slice_, rest in self.net.runs(f"w{i}", given=True):
                row = found.setdefault((job, slice_), {})
                assert what not in row, f"job {job} slice {slice_}: run twice"
                row[what] = at
                if what == "end":
                    row["setup"] = int(rest[rest.index("setup") + 1])
        return found

    def check_output(self, path, slice_):
        with open(path) as f:
            lines = f.read().split("\n")
        lines = [line for line in lines if line != ""]
        assert lines[0] == f"{slice_} 2", f"slice {slice_}: {lines}"
        assert lines[1].endswith("No such process"), f"slice {slice_}: {lines}"
        assert lines[2:] == (["seen"] if slice_ == 0 else []), f"slice {slice_}: {lines}"


def spread(what, values, mean_note="", p99_note=""):
    show(what + ", mean", statistics.mean(values), "ms", note=mean_note)
    show("  the same, p50", statistics.median(values), "ms")
    show("  the same, p99", percentile(values, 0.99), "ms", note=p99_note)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def many_slices():
    world = World()
    try:
        before = cpu_s(world.master)
        begin = time.monotonic()
        job = world.net.create(*world.words(SLICES, "number.sh"))
        world.net.preon("job", "wait", job, check=0, seconds=300)
        took = time.monotonic() - begin
        spent = cpu_s(world.master) - before
        out = world.net.path("results")
        world.net.preon("job", "results", job, "-o", out, check=0, seconds=300)
        for slice_ in range(SLICES):
            world.check_output(os.path.join(out, str(slice_), "out.txt"), slice_)
        setups = [row["setup"] / 1000 for row in world.rows().values()]
        assert len(setups) == SLICES
        print(f"one job of {SLICES} slices, sandbox on, each alone in its pid namespace")
        show("from create to the last slice final", took, "s", 8)
        show("slot free and slice at hand -> execve, p50", statistics.median(setups), "ms", 5)
        show("  the same, p99", percentile(setups, 0.99), "ms")
        show("master's processor time per final slice", spent * 1000 / SLICES, "ms", 1)
    except BaseException:
        print(world.net.logs())
        raise
    finally:
        world.net.close()


def many_jobs(count):
    """
    Dispatch: the slice is given, and has come to the worker. Executed: its program has ended, so its
    sandbox and files are part of it. From the job's start holds the wait for a free slot too.
    Made by `preon job create … --detach`, two at a time: its start is part of the whole time."""
    world = World()
    try:
        before = cpu_s(world.master)
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            made = [pool.submit(world.net.create, *world.words(1, "echo.sh")) for _ in range(count)]
            ids = [m.result() for m in made]
        created = time.monotonic() - begin
        wait_for(lambda: world.ended() == count, 60 + count * 0.2, f"{count} jobs executed")
        listed = wait_for(lambda: all_ended(world, count), 60, f"{count} jobs done")
        took = (max(j["ended_wall_ms"] for j in listed) -
                min(j["created_wall_ms"] for j in listed)) / 1000
        spent = cpu_s(world.master) - before
        assert all(j["state"] == "done" for j in listed)
        assert {j["id"] for j in listed} == set(ids)
        rows = {key[0]: row for key, row in world.rows().items()}
        mine = [rows[j["id"][:12]] for j in listed]
        print(f"{count} jobs of one slice, made by two commands at a time in {created:.2f} s")
        show("from the first created to the last done", took, "s",
             note="paper 1.96 s" if count == 200 else "the original never finished these")
        show("  beyond the commands' own time", max(0.0, took - created), "s")
        spread("from dispatch to executed", [r["end"] - r["given"] for r in mine],
               "paper 10.07 ms, its code here 52 ms", "the original's code here: 259 ms")
        spread("from the job's start to executed",
               [r["end"] - j["started_wall_ms"] for r, j in zip(mine, listed)])
        show("master's processor time per job", spent * 1000 / count, "ms")
    except BaseException:
        print(world.net.logs())
        raise
    finally:
        world.net.close()


def all_ended(world, count):
    jobs = world.net.json("job", "list")["jobs"]
    return jobs if len(jobs) == count and all(j["ended"] for j in jobs) else None


def main():
    with open("/proc/loadavg") as f:
        print("load average " + " ".join(f.read().split()[:3]), flush=True)
    many_slices()
    for count in args.jobs.split(","):
        many_jobs(int(count))
    for what in missed:
        print(f"missed: {what}")
    return 1 if missed and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
