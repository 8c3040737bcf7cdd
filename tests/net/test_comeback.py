"""A worker that comes back to a master that has only just started: nothing in hand is lost."""
import glob
import os
import shutil
import signal
import subprocess

import peer_client as pc
from preon_process import BUILD, PATIENCE, PREON, Case, main, needs, wait_for


@needs("sandbox")
class Comeback(Case):
    def setUp(self):
        super().setUp()
        self.net.tracker()

    def slow_preon(self):
        """The same program, but its sandbox is ready two seconds after its port."""
        home = self.net.path("slow")
        shutil.copytree(os.path.join(BUILD, "libexec"), os.path.join(home, "libexec"))
        shutil.copy(os.path.join(BUILD, "slow_launcher"),
                    os.path.join(home, "libexec", "preon", "launcher"))
        return shutil.copy(PREON, home)

    def at_work(self, seconds):
        """Four slices at once, and their master gone."""
        self.master = self.net.peer("master", 0)
        self.worker = self.net.peer("w0", 4, "--jobs", "any")
        self.job = self.net.create("exec", "--slices", "4", "--quorum", "1", "--output", "out.txt",
                                   "--", "sh", "-c", f"sleep {seconds}; echo fine > out.txt")
        wait_for(lambda: len(self.started()) == 4, 20, "all slices run")
        self.master.kill()

    def started(self):
        return [r[3] for r in self.net.runs("w0") if r[1] == "start"]

    def comes_back(self, program=None):
        """On the port of before, which its workers dial; then nothing is run again."""
        words = list(self.master.words)
        words[words.index("--port") + 1] = str(self.master.port)
        self.net.server(words, "master", program)
        self.net.preon("job", "wait", self.job, check=0)
        self.assertEqual(sorted(self.started()), [0, 1, 2, 3], "a slice was run again")

    def test_a_master_that_is_not_ready_yet(self):
        """Who was linked is heard before any run goes on."""
        self.at_work(6)
        self.comes_back(self.slow_preon())

    def test_small_outputs_outlive_their_worker_too(self):
        """They would ride in votes; while nobody takes those, they lie in the outbox."""
        self.at_work(2)
        outbox = self.net.path("w0", "outbox", self.job)
        wait_for(lambda: len(glob.glob(os.path.join(outbox, "*", "*", "note"))) == 4, 20,
                 "all outputs are stored")
        self.worker.kill()
        self.net.peer("w0", 4, "--jobs", "any")
        self.comes_back()
        self.net.preon("job", "results", self.job, "-o", self.net.path("results"), check=0)
        for slice_ in range(4):
            with open(self.net.path("results", str(slice_), "out.txt")) as f:
                self.assertEqual(f.read(), "fine\n")

    def stopped_job(self):
        """Its command was interrupted."""
        words = ["job", "create", "exec", "--data", self.net.path("master"),
                 "--tracker", f"127.0.0.1:{self.net.tracker_port}", "--", "sleep", "100"]
        with subprocess.Popen([PREON] + words, env=self.net.env, text=True,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as command:
            told = next(line for line in command.stderr if line.startswith("preon: job "))
            command.send_signal(signal.SIGINT)
            command.communicate(timeout=20 * PATIENCE)
        return told.split()[-1]

    def test_a_stopped_run_costs_its_sibling_no_link(self):
        """Who has nothing but the stopped run comes again; who works for another goes on."""
        stopped = self.stopped_job()
        port = self.net.peer("master", 0).port
        running = self.net.create("exec", "--slices", "4", "--", "true")
        worker = pc.Worker(pc.Identity(self.net.dir, "worker"), port, running)
        self.addCleanup(worker.link.close)
        self.assertEqual(worker.join(), pc.JOIN)
        self.assertEqual(worker.enlist(1), pc.ENLIST)
        self.assertEqual(worker.link.ask(pc.JOIN, bytes.fromhex(stopped))[0], pc.ERROR)
        self.assertEqual(worker.enlist(2), pc.ENLIST)
        only = pc.Worker(pc.Identity(self.net.dir, "only"), port, stopped)
        self.addCleanup(only.link.close)
        with self.assertRaises(pc.Closed):
            only.join()


if __name__ == "__main__":
    main()
