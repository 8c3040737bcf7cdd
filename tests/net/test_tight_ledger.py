"""A ledger whose queue is full or falls behind: nothing is said that is not written, nothing is lost."""
import os
import threading
import time

import peer_client as pc
from preon_process import BUILD, PATIENCE, Case, main, needs, wait_for


class TightLedger(Case):
    def setUp(self):
        super().setUp()
        self.full = self.net.env["PREON_LEDGER_FULL"] = self.net.path("full")
        self.pressed = self.net.env["PREON_LEDGER_PRESSED"] = self.net.path("pressed")
        self.net.tracker()
        self.master = self.net.peer("master", 0, program=os.path.join(BUILD, "preon_tight"))

    def ran(self):
        return [(r[1], r[3]) for r in self.net.runs("w0")]

    @needs("sandbox")
    def test_an_order_that_is_refused_is_not_carried_out(self):
        self.net.peer("w0", 1, "--jobs", "any")
        job = self.net.create("exec", "--slices", "1", "--quorum", "1", "--output", "out.txt", "--",
                              "sh", "-c", "sleep 4; echo fine > out.txt")
        wait_for(self.ran, 20, "the slice runs")
        open(self.full, "w").close()
        said = self.net.preon("job", "cancel", job)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("the ledger takes no more", said.stderr)
        time.sleep(1)  # the run begins anew meanwhile, and its worker comes again
        os.unlink(self.full)
        self.net.preon("job", "wait", job, check=0)
        self.assertEqual(self.ran(), [("start", 0), ("end", 0)])

    @needs("sandbox")
    def test_votes_that_are_refused_come_again(self):
        self.net.peer("w0", 2, "--jobs", "any")
        job = self.net.create("exec", "--slices", "40", "--quorum", "1", "--output", "out.txt", "--",
                              "sh", "-c", "sleep 0.1; echo fine > out.txt")
        for _ in range(3):
            before = len(self.ran())
            wait_for(lambda: len(self.ran()) > before + 4, 20, "slices run")
            open(self.full, "w").close()
            time.sleep(0.5)
            os.unlink(self.full)
        self.net.preon("job", "wait", job, check=0)
        started = [slice_ for what, slice_ in self.ran() if what == "start"]
        self.assertEqual(sorted(started), list(range(40)))
        with open(self.net.path("master.log")) as log:
            self.assertIn("the ledger takes no more", log.read())

    def test_links_are_not_read_while_it_is_behind(self):
        """The job's timeout is noted every two seconds: then the master looks how far the ledger is."""
        job = self.net.create("exec", "--slices", "1", "--timeout", "32s", "--", "true")
        known = pc.Worker(pc.Identity(self.net.dir, "known"), self.master.port, job)
        self.addCleanup(known.link.close)
        self.assertEqual(known.join(), pc.JOIN)
        open(self.pressed, "w").close()
        time.sleep(3)
        asking = threading.Thread(target=known.join, daemon=True)
        asking.start()
        asking.join(1)
        self.assertTrue(asking.is_alive(), "it was read all the same")
        os.unlink(self.pressed)
        asking.join(4 * PATIENCE)
        self.assertFalse(asking.is_alive(), "it is still not read")


if __name__ == "__main__":
    main()
