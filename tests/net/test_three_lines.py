"""The three lines of the README, verbatim: no settings, the default port, and a user's home folder."""
import hashlib
import os
import pty
import socket
import subprocess
import threading
import unittest

import lab
from preon_process import LACKS, PATIENCE, Case, main, need

SOME = 1 << 25  # nonces: seconds of work
NONCE = ["job", "create", "nonce", "--slices", "256", "--difficulty"]


class Terminal:
    """Where a command's stderr may go: what arrives is kept."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.heard = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        try:
            while piece := os.read(self.master, 4096):
                self.heard += piece
        except OSError:  # how a terminal says that nobody has its other end any more
            pass

    def close(self):
        os.close(self.slave)
        self.reader.join(10)
        os.close(self.master)
        return self.heard.decode()


class ThreeLines(Case):
    def setUp(self):
        super().setUp()  # HOME is a folder of its own
        self.tracker = self.net.server(["tracker"], "tracker")
        self.peer = self.net.server(["peer", "--threads", "16"], "peer")

    def checked(self, stdout, bits):
        """The result is all that stdout holds, and its nonce is true."""
        rows = [line.split(None, 1) for line in stdout.splitlines()]
        self.assertEqual([key for key, _ in rows], ["nonce", "hash", "zero_bits", "rate", "search",
                                                    "received", "check"])
        answer = dict(rows)
        text = ("COMSM0010cloud" + str(int(answer["nonce"]))).encode()
        digest = hashlib.sha256(hashlib.sha256(text).digest()).hexdigest()
        self.assertEqual(answer["hash"], digest)
        self.assertEqual(int(digest, 16) >> (256 - bits), 0)

    def test_they_do_the_job_together(self):
        self.assertEqual(self.tracker.port, 7600)
        done = self.net.preon(*NONCE, "18", data=None, check=0)
        self.checked(done.stdout, 18)
        # It was the peer of the second line that led it, found by the default data folder.
        status = self.net.json("status", data=None)
        self.assertEqual((status["slots"], status["embedded"]), (16, False))
        self.assertEqual([job["state"] for job in self.net.json("job", "list", data=None)["jobs"]],
                         ["found"])
        self.assertTrue(os.path.exists(os.path.join(self.net.home, ".config/preon/owner.key")))
        self.assertEqual((self.peer.stop(), self.tracker.stop()), (0, 0))

    def test_progress_is_for_a_terminal(self):
        # None of so few has 40 zero bits: all slices are searched.
        words = [*NONCE, "40", "--count", str(SOME)]
        done = self.net.preon(*words, data=None, check=3)
        self.assertEqual(done.stdout, "none\n")
        self.assertNotIn("\r", done.stderr)
        self.assertNotIn("/256 slices", done.stderr)
        terminal = Terminal()
        done = subprocess.run([lab.PREON, *words], env=self.net.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=terminal.slave, text=True, timeout=90 * PATIENCE)
        said = terminal.close()
        self.assertEqual((done.returncode, done.stdout), (3, "none\n"), said)
        self.assertIn("/256 slices", said)
        self.assertIn("\r", said)


def nobody_has(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    if "networks" not in LACKS:
        lab.in_a_namespace_of_its_own()
        lab.ip("link set lo up")
    elif not nobody_has(7600):
        need("networks")
    main()
