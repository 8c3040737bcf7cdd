#!/usr/bin/env python3
"""
nonce_job -- a whole search as a job, through tracker, master and a worker with the sandbox on, against
the bare kernel on the same cores in the same run.

    tests/bench/nonce_job.py [--build DIR] [--bits 32] [--slices 256] [--cores 0,1] [--check]
    tests/bench/nonce_job.py --headers [--bits 32]

Everything is pinned to --cores, one slot a core. The bare rate is what `nonce@1` by hand does there,
one process a core, before and after the job; its mean is what the job's rate is divided by (bar
0.97). What neither the slices nor the servers used of the cores was idle, or somebody else's: on a
shared machine only the processor times mean something. --headers: five known block headers, each
searched over 2^BITS nonces (32: all of them) by `preon job create nonce --header … --nbits … --all`;
a header may have hits besides the nonce that was published.
--check: exit 1 when a bar is missed or a nonce is not found.
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
BAR = 0.97
DECIMAL_FROM = 2**31  # where shorter ranges begin: ten digits, as most of 2^32 have
BARE_BITS = 29  # searched by all cores together for a bare rate; 7 s at 80 MH/s


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build", "release"))
    parser.add_argument("--bits", type=int, default=32, help="2^BITS nonces are searched")
    parser.add_argument("--slices", type=int, default=256)
    parser.add_argument("--cores", default="0,1")
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


args = arguments()
cores = [int(c) for c in args.cores.split(",")]
os.sched_setaffinity(0, cores)  # and with us whatever we start
os.environ["PREON_BUILD"] = os.path.abspath(args.build)
sys.path.insert(0, os.path.join(HERE, "..", "net"))
from nonce_reference import HEADERS  # noqa: E402
from preon_process import BUILD, Net  # noqa: E402

NONCE = os.path.join(BUILD, "libexec", "preon", "nonce@1")


def show(what, value, unit, note=""):
    print(f"{what:<56} {value:12.3f} {unit:<6}{note}", flush=True)


def span(bits):
    """Options of a range of 2^bits nonces in which nothing is found."""
    first = 0 if bits >= 32 else DECIMAL_FROM
    return ["--difficulty", "128", "--start", str(first), "--count", str(2**bits)]


def target(nbits):
    """The short form of a header: 256 bits from exponent and mantissa."""
    return int(nbits[2:], 16) << 8 * (int(nbits[:2], 16) - 3)


def bare():
    """Million hashes a second of nonce@1 by hand, one process a core; and of processor time."""
    begin = time.monotonic()
    before = os.times()
    running = []
    for i, core in enumerate(cores):
        env = {"PREON_SLICE": str(i), "PREON_SLICES": str(len(cores))}
        running.append(subprocess.Popen(["taskset", "-c", str(core), NONCE, *span(BARE_BITS)],
                                        env={**os.environ, **env}, stdout=subprocess.DEVNULL))
    for process in running:
        assert process.wait() == 3, "something was found"
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return 2**BARE_BITS / (time.monotonic() - begin) / 1e6, 2**BARE_BITS / spent / 1e6


def stat(pid):
    """Parent, own and reaped children's processor seconds."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    ticks = [int(x) / TICKS_PER_S for x in fields[11:15]]
    return int(fields[1]), ticks[0] + ticks[1], ticks[2] + ticks[3]


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and stat(name)[0] == pid:
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class World:
    def __init__(self):
        self.net = Net()
        self.tracker = self.net.tracker()
        self.master = self.net.peer("master", 0)
        self.worker = self.net.peer("worker", len(cores))

    def spent(self):
        """Processor seconds so far: of the servers by name, and of all slices."""
        launchers = children(self.worker.process.pid)
        return {
            "tracker": stat(self.tracker.process.pid)[1],
            "master (audits, votes, ledger)": stat(self.master.process.pid)[1],
            "worker (votes, links)": stat(self.worker.process.pid)[1],
            "launcher": sum(stat(p)[1] for p in launchers),
            # Sandboxes that stay warm keep what their slices used until they are reaped.
            "slices": sum(stat(p)[2] + sum(sum(stat(q)[1:]) for q in children(p))
                          for p in launchers),
        }

    def close(self):
        self.net.close()


def gaps(rows):
    """Milliseconds that a slot stood empty between two slices, each; from the run log."""
    found = []
    free = []
    for at, what, *_ in sorted(rows, key=lambda row: (row[0], row[1])):
        if what == "end":
            free.append(at)
        elif what == "start" and free:
            found.append(at - free.pop(0))
    return found


def whole_job():
    first = bare()
    world = World()
    try:
        before = world.spent()
        begin = time.monotonic()
        words = ["nonce", *span(args.bits), "--slices", str(args.slices)]
        job = world.net.create(*words)
        world.net.preon("job", "wait", job, check=3, seconds=3600)
        took = time.monotonic() - begin
        after = world.spent()
        empty = gaps(world.net.runs("worker"))
    finally:
        world.close()
    second = bare()
    bare_wall, bare_cpu = ((a + b) / 2 for a, b in zip(first, second))
    rate = 2**args.bits / took / 1e6
    show("bare kernel, before the job", first[0], "MH/s")
    show("bare kernel, after it", second[0], "MH/s")
    show(f"job of 2^{args.bits} nonces in {args.slices} slices", rate, "MH/s", f"{took:.2f} s")
    print("\nwhere the cores' time went, share of the job's:")
    total = took * len(cores)
    used = 0.0
    for who in after:
        spent = after[who] - before[who]
        used += spent
        show("  " + who, spent / total, "", f"{spent:.3f} s")
    show("  idle, or somebody else's", 1 - used / total, "")
    show("a slot empty between two slices, mean", sum(empty) / max(len(empty), 1), "ms")
    slices_rate = 2**args.bits / (after["slices"] - before["slices"]) / 1e6
    show("slices' rate / bare rate, in processor time", slices_rate / bare_cpu, "")
    show("all processor time / bare kernel's for as much", used * bare_cpu * 1e6 / 2**args.bits, "")
    ratio = rate / bare_wall
    reached = ratio >= BAR
    show("job's rate / bare rate", ratio, "",
         f"at least {BAR}: {'reached' if reached else 'MISSED'}")
    return reached


def headers():
    """Each header's nonce, found in all of its 2^bits nonces."""
    world = World()
    well = True
    try:
        for height, (header, nbits, nonce, shown) in HEADERS.items():
            span_ = 2**args.bits
            start = min(max(0, nonce - span_ // 2), 2**32 - span_)
            begin = time.monotonic()
            done = world.net.preon("job", "create", "nonce", "--header", header, "--nbits", nbits,
                                   "--start", str(start), "--count", str(span_), "--all",
                                   "--slices", str(args.slices), seconds=3600)
            hits = {int(words[1]): bytes.fromhex(words[3])[::-1].hex()
                    for words in map(str.split, done.stdout.splitlines())}
            found = hits.get(nonce) == shown and all(int(h, 16) < target(nbits)
                                                     for h in hits.values())
            well = well and found
            show(f"header {height}: nonce {nonce}", time.monotonic() - begin, "s",
                 f"found; hits: {', '.join(map(str, hits))}" if found else f"MISSED: {hits}")
    finally:
        world.close()
    return well


if __name__ == "__main__":
    done_well = headers() if args.headers else whole_job()
    sys.exit(1 if args.check and not done_well else 0)
