"""Data folders and ports that a peer cannot have: one clear line each, and nothing changed."""
import os
import subprocess
import unittest

from preon_process import PATIENCE, PREON, Case


class DataFolder(Case):
    def setUp(self):
        super().setUp()
        self.net.tracker()

    def refused(self, folder, says, port=0):
        done = subprocess.run(
            [PREON, "peer", "--data", folder, "--host", "127.0.0.1", "--port", str(port),
             "--tracker", f"127.0.0.1:{self.net.tracker_port}", "--threads", "1"],
            env=self.net.env, text=True, capture_output=True, timeout=20 * PATIENCE)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)

    def test_taken(self):
        peer = self.net.peer("a", 1)
        self.refused(self.net.path("a"), "in use by another peer")
        self.refused(self.net.path("b"), "address already in use", peer.port)
        self.assertEqual(peer.stop(), 0)

    def test_not_a_folder(self):
        with open(self.net.path("file"), "w") as f:
            f.write("kept")
        self.refused(self.net.path("file"), "a ")  # "a folder", "a directory"
        self.refused(self.net.path("file", "inside"), "directory")
        with open(self.net.path("file")) as f:
            self.assertEqual(f.read(), "kept")

    def test_root_gives_away_only_what_is_empty(self):
        folder = self.net.path("theirs")
        os.mkdir(folder)
        with open(os.path.join(folder, "precious"), "w") as f:
            f.write("kept")
        owner = os.stat(folder).st_uid
        if owner == 0:
            self.refused(folder, "is not empty")
        else:  # ours: a peer that is no root's has nothing to give away
            self.assertEqual(self.net.peer("theirs", 1).stop(), 0)
        self.assertEqual(os.stat(folder).st_uid, owner)


if __name__ == "__main__":
    unittest.main(verbosity=2)
