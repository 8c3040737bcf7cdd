"""What a job's program and its names could do to the user whose job it is: through the commands."""
import os
import pty
import subprocess
import unittest

from preon_process import PATIENCE, PREON, Net


class HostileJob(unittest.TestCase):
    def setUp(self):
        self.net = Net()
        self.addCleanup(self.net.close)
        self.net.tracker()
        self.net.peer("master", 1, "--jobs", "any")

    def job(self, script, output):
        """A slice of a script, which ends well; the job's ID."""
        path = self.net.path("s.sh")
        with open(path, "w", encoding="ascii") as f:
            f.write(script)
        words = ["--slices", "1", "--file", path, "--output", output, "--", "sh", "s.sh"]
        self.net.preon("job", "create", "exec", "--quorum", "1", *words, check=0)
        return self.net.json("job", "list")["jobs"][0]["id"]

    def on_a_terminal(self, *words):
        """All that a command writes to stdout and stderr when both are a terminal."""
        ours, theirs = pty.openpty()
        with subprocess.Popen([PREON, *words, "--data", self.net.path("master")], env=self.net.env,
                              stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as command:
            os.close(theirs)
            heard = b""
            try:
                while data := os.read(ours, 4096):
                    heard += data
            except OSError:
                pass  # how a terminal ends
            os.close(ours)
            self.assertEqual(command.wait(20 * PATIENCE), 0, heard)
        return heard

    def test_logs_do_nothing_to_a_terminal(self):
        job = self.job("printf '\\033]0;title\\007\\033[31m\\302\\2332J \\233 a\\n\\tb'\n"
                       "printf '\\033[2J\\302\\220 c' >&2; echo >$PREON_OUT/out\n", "out")
        heard = self.on_a_terminal("job", "log", job, "0")
        self.assertIn(b"?]0;title??[31m??2J ", heard)
        self.assertIn(b"\n\tb", heard.replace(b"\r", b""))
        self.assertIn(b"?[2J?? c", heard)
        for words in ["log", job, "0"], ["log", job, "0", "--json"]:
            heard = self.on_a_terminal("job", *words)
            for bad in b"\x1b", b"\x07", b"\xc2\x9b", b"\xc2\x90":
                self.assertNotIn(bad, heard, words)
        # A file gets what was written.
        done = self.net.preon("job", "log", job, "0", check=0)
        self.assertIn("\x1b]0;title\x07\x1b[31m\x9b2J", done.stdout)

    def test_results_are_not_written_through_links(self):
        name = "n" * 255  # the longest there is
        job = self.job(f"echo right >$PREON_OUT/{name}", name)
        into = self.net.path("into")
        victim = self.net.path("victim")
        os.makedirs(into + "/0")
        for link in name, "=part", name[:250] + ".part":
            os.symlink(victim, f"{into}/0/{link}")
        self.net.preon("job", "results", job, "-o", into, check=0)
        self.assertFalse(os.path.exists(victim))
        self.assertFalse(os.path.lexists(into + "/0/=part"))
        with open(f"{into}/0/{name}", encoding="ascii") as f:
            self.assertEqual(f.read(), "right\n")

    def test_names_hold_no_control_characters(self):
        for name in "a\x1bb", "a\x7fb", "a\x9bb", "a\x85":
            done = self.net.preon("job", "create", "exec", "--slices", "1", "--output", name, "--",
                                  "sh", "-c", "true")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("control characters", done.stderr)
            self.assertNotIn(name, done.stderr)


if __name__ == "__main__":
    unittest.main()
