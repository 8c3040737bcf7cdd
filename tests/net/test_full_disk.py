"""A data folder whose disk is full: one clear line, exit 1, and what was there before still works."""
import os
import subprocess
import sys
import unittest

from preon_process import Net

INSIDE = "PREON_TEST_MOUNTS"  # set in a mount namespace of our own
SIZE = 4 << 20


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.net = Net()
        self.addCleanup(self.net.close)
        self.disk = self.net.path("disk")
        os.mkdir(self.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=1777", "tmpfs", self.disk],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.data = os.path.join("disk", "data")
        self.alone = ["--tracker", "127.0.0.1:9"]

    def fill(self, leave):
        """All of the disk but `leave` bytes."""
        free = os.statvfs(self.disk)
        with open(os.path.join(self.disk, "filler"), "wb") as f:
            f.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))

    def create(self, *words, check):
        words = list(words)
        words[words.index("--"):words.index("--")] = self.alone
        return self.net.preon("job", "create", "exec", *words, data=self.data, check=check)

    def jobs(self):
        return self.net.json("job", "list", data=self.data)["jobs"]

    def test_no_room_to_begin(self):
        self.fill(16 << 10)
        done = self.net.preon("job", "create", "nonce", "--difficulty", "1", *self.alone,
                              data=self.data, check=1)
        self.assertRegex(done.stderr, "disk is full|No space left on device")

    def test_a_file_that_does_not_fit(self):
        big = self.net.path("big")
        with open(big, "wb") as f:
            f.write(os.urandom(2 * SIZE))
        done = self.create("--file", big, "--output", "o", "--", "true", check=1)
        self.assertIn(f"file {big}: the data folder's disk is full", done.stderr)
        self.assertEqual(self.jobs(), [])  # no half a job is left
        self.create("--", "true", check=0)

    def test_outputs_that_do_not_fit(self):
        done = self.create("--slices", "4", "--output", "o", "--", "sh", "-c",
                           "head -c 1500000 /dev/urandom > $PREON_OUT/o", check=1)
        self.assertIn("the data folder's disk is full", done.stderr)
        job, = self.jobs()
        self.assertGreater(job["slices"]["failed"], 0)
        self.assertLess(job["slices"]["failed"], 4)
        self.net.preon("job", "rm", job["id"], data=self.data, check=0)
        self.create("--output", "o", "--", "sh", "-c", "echo 1 > $PREON_OUT/o", check=0)


if __name__ == "__main__":
    if INSIDE in os.environ:
        unittest.main(verbosity=2)
    # A user namespace's root could mount too, but is no user whom slices may run as.
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        print("only root can mount a small disk: a full one is tried by unit/test_store_sys alone")
        sys.exit(0)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
