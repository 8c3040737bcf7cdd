"""A data folder whose disk is full: one clear line, exit 1, and what was there before still works."""
import ctypes
import os
import re
import subprocess
import sys
import unittest

from preon_process import Case, main, need, needs, wait_for

PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
MNT_DETACH = 2
libc = ctypes.CDLL(None, use_errno=True)

INSIDE = "PREON_TEST_MOUNTS"  # set in a mount namespace of our own
SIZE = 4 << 20


class FullDisk(Case):
    def setUp(self):
        super().setUp()
        self.disk = self.net.path("disk")
        os.mkdir(self.disk)
        if libc.mount(b"tmpfs", self.disk.encode(), b"tmpfs", 0, b"size=%d,mode=1777" % SIZE):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), self.disk)
        self.addCleanup(libc.umount2, self.disk.encode(), MNT_DETACH)
        self.addCleanup(self.net.end_all)  # they have it open
        self.data = os.path.join("disk", "data")
        self.alone = ["--tracker", "127.0.0.1:9"]

    def fill(self, leave):
        """All of the disk but `leave` bytes."""
        free = os.statvfs(self.disk)
        with open(os.path.join(self.disk, "filler"), "wb") as f:
            f.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))

    def job(self, job):
        return self.net.json("job", "status", job, data=self.data)

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

    @needs("sandbox")
    def test_a_file_that_does_not_fit(self):
        big = self.net.path("big")
        with open(big, "wb") as f:
            f.write(os.urandom(2 * SIZE))
        done = self.create("--file", big, "--output", "o", "--", "true", check=1)
        self.assertIn(f"file {big}: the data folder's disk is full", done.stderr)
        self.assertEqual(self.jobs(), [])  # no half a job is left
        self.create("--", "true", check=0)

    @needs("sandbox")
    def test_outputs_that_do_not_fit(self):
        done = self.create("--slices", "4", "--output", "o", "--", "sh", "-c",
                           "head -c 1500000 /dev/urandom > $PREON_OUT/o", check=1)
        self.assertIn("the data folder's disk is full", done.stderr)
        job, = self.jobs()
        self.assertGreater(job["slices"]["failed"], 0)
        self.assertLess(job["slices"]["failed"], 4)
        self.net.preon("job", "rm", job["id"], data=self.data, check=0)
        self.create("--output", "o", "--", "sh", "-c", "echo 1 > $PREON_OUT/o", check=0)

    @needs("sandbox")
    def test_a_moment_without_room(self):
        """The run stalls, says so, refuses orders, and goes on by itself when there is room."""
        self.net.tracker()
        self.net.server(["peer", "--data", self.net.path(self.data), "--host", "127.0.0.1",
                         "--port", "0", "--tracker", f"127.0.0.1:{self.net.tracker_port}",
                         "--threads", "1"], "master")  # its log is not on that disk
        worker = self.net.peer("worker", 2)
        job = self.net.create("exec", "--slices", "60", "--output", "o", "--", "sh", "-c",
                              "sleep 0.3; echo $PREON_SLICE > $PREON_OUT/o", data=self.data)
        wait_for(lambda: self.job(job)["slices"]["final"] > 2, 30, "it begins")
        self.fill(0)
        wait_for(lambda: re.search("stalled: .*full", str(self.job(job).get("waiting"))), 30,
                 "it stalls")
        done = self.net.preon("job", "cancel", job, data=self.data)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("full", done.stderr)
        os.unlink(os.path.join(self.disk, "filler"))
        wait_for(lambda: self.job(job)["state"] == "done", 60, "it goes on")
        self.assertEqual(self.job(job)["slices"]["final"], 60)
        self.assertIsNone(worker.process.poll())
        self.create("--output", "o", "--", "sh", "-c", "echo 1 > $PREON_OUT/o", check=0)


def namespace(*how):
    """unshare's words for a mount namespace of our own, None where it is refused."""
    words = ["unshare", *how, "--mount"]
    return None if subprocess.run([*words, "true"], stderr=subprocess.DEVNULL).returncode else words


if __name__ == "__main__":
    if INSIDE in os.environ:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)  # what we start may not mount
        main()
    need("mounts")
    # Not as a user namespace's root: that is no user whom slices may run as.
    words = namespace() or namespace("--user", "--map-current-user", "--keep-caps")
    if words is None:
        sys.exit("a small disk cannot be mounted here: neither as root nor in a user namespace")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*words, sys.executable, *sys.argv])
