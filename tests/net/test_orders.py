"""Orders to a peer: what was answered with success is durable, and what was not done is refused."""
import sqlite3
import subprocess
import unittest

from preon_process import PREON, Case, main, needs, wait_for

JOBS = 8


class Orders(Case):
    def setUp(self):
        super().setUp()
        self.net.tracker()
        self.master = self.net.peer("master", 2)

    def state(self, job):
        return self.net.json("job", "status", job)["state"]

    def restart(self):
        self.restart_after(lambda: None)

    def restart_after(self, then):
        self.master.kill()
        then()
        self.master = self.net.peer("master", 2)

    def test_what_was_cancelled_stays_so(self):
        for _ in range(JOBS):
            job = self.net.create("exec", "--slices", "4", "--", "sleep", "30")
            self.net.preon("job", "cancel", job, check=0)
            self.restart()
            self.assertEqual(self.state(job), "cancelled")

    @needs("sandbox")
    def test_nothing_is_answered_before_it_is_written(self):
        """Somebody's sqlite3 holds the ledger: the order waits, and a kill shows that it had to."""
        job = self.net.create("exec", "--slices", "4", "--", "sleep", "30")
        wait_for(lambda: self.net.json("job", "status", job)["slices"]["running"], 10, "it runs")
        with sqlite3.connect(self.net.path("master", "ledger.db"), isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            order = subprocess.Popen([PREON, "job", "cancel", job, "--data", self.net.path("master")],
                                     env=self.net.env, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            self.addCleanup(order.wait)
            with self.assertRaises(subprocess.TimeoutExpired):
                order.wait(1)
            self.restart_after(lambda: other.execute("ROLLBACK"))
        self.assertNotEqual(order.wait(10), 0)
        self.assertIn(self.state(job), ("running", "waiting"))

    @needs("sandbox")
    def test_a_locked_ledger_holds_up_nothing_else(self):
        with sqlite3.connect(self.net.path("master", "ledger.db"), isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            done = self.net.preon("job", "create", "exec", "--detach", "--", "true", seconds=10)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("locked by another program", done.stderr)
            self.net.preon("job", "list", check=0, seconds=5)
            other.execute("ROLLBACK")
        job = self.net.create("exec", "--", "true")
        self.net.preon("job", "wait", job, check=0)

    def test_what_was_resumed_stays_so(self):
        job = self.net.create("exec", "--slices", "4", "--", "sleep", "30")
        for _ in range(JOBS):
            self.net.preon("job", "cancel", job, check=0)
            self.net.preon("job", "resume", "--detach", job, check=0)
            self.restart()
            wait_for(lambda: self.state(job) in ("running", "waiting"), 10, "it runs")

    @needs("sandbox")
    def test_what_has_ended_cannot_be_cancelled(self):
        job = self.net.create("exec", "--", "true")
        self.net.preon("job", "wait", job, check=0)
        done = self.net.preon("job", "cancel", job, check=1)
        self.assertIn("does not run", done.stderr)


if __name__ == "__main__":
    main()
