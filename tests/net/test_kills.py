"""kill -9 of masters and workers at random moments: nothing final is lost or run again."""
import os
import random
import sqlite3
import time
import unittest

from preon_process import PATIENCE, Case, main, needs, wait_for

SLICES = 400  # more than are final when the last kill comes
SEED = int(os.environ.get("PREON_SEED", "1"))


@needs("sandbox")
class Kills(Case):
    def setUp(self):
        super().setUp()
        print(f"PREON_SEED={SEED}")
        self.random = random.Random(SEED)
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("sleep 0.1\necho $((PREON_SLICE * PREON_SLICE)) > out.txt\n")
        self.words = ["exec", "--slices", str(SLICES), "--quorum", "1", "--file", script,
                      "--output", "out.txt", "--", "sh", "crunch.sh"]

    def final_slices(self):
        """slice -> wall ms at which it became final, from the ledger itself."""
        path = self.net.path("master", "ledger.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as db:
            return dict(db.execute("select slice, at_ms from finals"))

    def until_final(self, count):
        """Kills follow the job, not the clock: on any machine all of them hit it."""
        wait_for(lambda: len(self.final_slices()) >= count, 60, f"{count} slices are final")

    def kill(self, victim):
        self.assertLess(len(self.final_slices()), SLICES, "the job was over before the last kill")
        victim.kill()

    def check(self):
        self.net.preon("job", "wait", self.job, check=0, seconds=120)
        out = self.net.path("results")
        self.net.preon("job", "results", self.job, "-o", out, check=0)
        for slice_ in range(SLICES):
            with open(os.path.join(out, str(slice_), "out.txt")) as f:
                self.assertEqual(int(f.read()), slice_ * slice_)
        final = self.final_slices()
        self.assertEqual(len(final), SLICES)
        for worker in "w0", "w1", "w2":
            for at, what, _, slice_, _ in self.net.runs(worker):
                if what == "start":
                    # An assignment on its way when the slice became final may still begin.
                    self.assertLessEqual(at, final[slice_] + 1000 * PATIENCE,
                                         f"{worker} ran slice {slice_} after it was final")

    def test_the_master_dies_twenty_times(self):
        self.net.tracker()
        master = self.net.peer("master", 0)
        for i in range(3):
            self.net.peer(f"w{i}", 2, "--jobs", "any")
        self.job = self.net.create(*self.words)
        for i in range(20):
            self.until_final(15 * i)
            time.sleep(self.random.uniform(0.05, 0.5))
            self.kill(master)
            master = self.net.peer("master", 0)
        self.check()

    def test_workers_die_twenty_times(self):
        self.net.tracker()
        self.net.peer("master", 0)
        workers = [self.net.peer(f"w{i}", 2, "--jobs", "any") for i in range(3)]
        self.job = self.net.create(*self.words)
        wait_for(lambda: self.net.runs("w0"), 20)
        for i in range(20):
            self.until_final(15 * i)
            time.sleep(self.random.uniform(0.05, 0.4))
            i = self.random.randrange(3)
            self.kill(workers[i])
            workers[i] = self.net.peer(f"w{i}", 2, "--jobs", "any")
        self.check()

    def test_a_master_moves_while_its_worker_is_busy(self):
        """The worker has no slot for a tracker to ask for, but a vote to give: it looks itself."""
        self.net.tracker()
        master = self.net.peer("master", 0)
        self.net.peer("w0", 1, "--jobs", "any")
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("sleep $((5 + PREON_SLICE * 60))\necho fine > out.txt\n")
        self.job = self.net.create(*[w if w != str(SLICES) else "2" for w in self.words])
        wait_for(lambda: self.net.runs("w0"), 20)
        wait_for(lambda: len(self.net.runs("w0", given=True)) == 3, 20, "both slices are given")
        master.kill()
        moved = self.net.peer("master", 0)
        self.assertNotEqual(moved.port, master.port)
        wait_for(lambda: 0 in self.final_slices(), 30, "the vote found its master")
        self.assertEqual([r[3] for r in self.net.runs("w0") if r[1] == "start"], [0, 1])
        self.net.preon("job", "cancel", self.job, check=0)

    def test_stored_outputs_outlive_master_and_worker(self):
        """Outputs too large for a vote, made while the master was away: nothing is run again."""
        self.net.tracker()
        master = self.net.peer("master", 0)
        worker = self.net.peer("w0", 1, "--jobs", "any")
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("sleep 4\nhead -c 100000 /dev/zero | tr '\\0' $PREON_SLICE > out.txt\n")
        self.job = self.net.create(*[w if w != str(SLICES) else "1" for w in self.words])
        wait_for(lambda: self.net.runs("w0"), 20)
        master.kill()
        outbox = self.net.path("w0", "outbox")
        wait_for(lambda: [f for f in os.walk(outbox) if "note" in f[2]], 20, "the outputs are stored")
        worker.kill()
        self.net.peer("w0", 1, "--jobs", "any")
        self.net.peer("master", 0)
        self.net.preon("job", "wait", self.job, check=0, seconds=60)
        self.assertEqual([r[1] for r in self.net.runs("w0")], ["start", "end"])
        out = self.net.path("results")
        self.net.preon("job", "results", self.job, "-o", out, check=0)
        with open(os.path.join(out, "0", "out.txt")) as f:
            self.assertEqual(f.read(), "0" * 100000)
        wait_for(lambda: not [f for f in os.walk(outbox) if "note" in f[2]], 20, "delivered")


if __name__ == "__main__":
    main()
