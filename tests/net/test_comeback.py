"""A worker that comes back to a master that has only just started: nothing in hand is lost."""
import os
import shutil
import unittest

from preon_process import BUILD, PREON, Net, wait_for


class Comeback(unittest.TestCase):
    def setUp(self):
        self.net = Net()
        self.addCleanup(self.net.close)
        self.net.tracker()

    def tearDown(self):
        if not self._outcome.success:
            print(self.net.logs())

    def slow_preon(self):
        """The same program, but its sandbox is ready two seconds after its port."""
        home = self.net.path("slow")
        shutil.copytree(os.path.join(BUILD, "libexec"), os.path.join(home, "libexec"))
        shutil.copy(os.path.join(BUILD, "slow_launcher"),
                    os.path.join(home, "libexec", "preon", "launcher"))
        return shutil.copy(PREON, home)

    def test_a_master_that_is_not_ready_yet(self):
        master = self.net.peer("master", 0)
        self.net.peer("w0", 4, "--jobs", "any")
        job = self.net.create("exec", "--slices", "4", "--quorum", "1", "--output", "out.txt", "--",
                              "sh", "-c", "sleep 6; echo fine > out.txt")
        started = lambda: [r[3] for r in self.net.runs("w0") if r[1] == "start"]
        wait_for(lambda: len(started()) == 4, 20, "all slices run")
        master.kill()
        # The port of before: whoever was linked dials it, and is heard before any run goes on.
        words = list(master.words)
        words[words.index("--port") + 1] = str(master.port)
        self.net.server(words, "master", self.slow_preon())
        self.net.preon("job", "wait", job, check=0)
        self.assertEqual(sorted(started()), [0, 1, 2, 3], "a slice was run again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
