"""What a job's program and its names could do to the user whose job it is: through the commands."""
import json
import os
import pty
import socket
import subprocess
import unittest

import peer_client as pc
from preon_process import PATIENCE, PREON, Case, main, needs


class HostileJob(Case):
    def setUp(self):
        super().setUp()
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

    @needs("sandbox")
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

    @needs("sandbox")
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
        for name in "a\x1bb", "a\x7fb", "a\x9bb", "a\x85", "a\u202eb":
            done = self.net.preon("job", "create", "exec", "--slices", "1", "--output", name, "--",
                                  "sh", "-c", "true")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("control characters", done.stderr)
            self.assertNotIn(name, done.stderr)

    def test_grants_that_are_worth_nothing(self):
        """Over the control socket, as a command of somebody else's making could."""
        me = bytes.fromhex(self.net.json("status")["id"])
        owner, thief = (pc.Identity(self.net.dir, name) for name in ("owner", "thief"))
        job, other = (pc.Job(owner, ["program:nonce@1", "--difficulty=40", "--start=1",
                                     "--count=4000"], 4, "[dynamic]\nnonce.bin\n[verify]\n"
                             "mode = proof\nstop = first\n") for _ in range(2))

        def create(papers):
            papers = papers[16:]  # without the run
            body = json.dumps({"manifest": job.text.decode(), "owner_signature": papers[:64].hex(),
                               "grant": papers[66:].hex()}).encode()
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10 * PATIENCE)
                s.connect(self.net.path("master", "control.sock"))
                s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n"
                          b"Content-Length: %d\r\n\r\n" % len(body) + body)
                answer = b"".join(iter(lambda: s.recv(65536), b""))
            return int(answer.split()[1]), answer.split(b"\r\n\r\n")[1].decode()

        forged = job.papers(me)[:-64] + thief.sign(b"preon-grant-1\0" + job.papers(me)[82:-64])
        cases = [
            (400, "is not by the manifest's owner", job.papers(me, signature=bytes(64))),
            (400, "is not signed by the manifest's owner", forged),
            (400, "is for another job", job.papers(me)[:82] + other.papers(me)[82:]),
            (403, "does not name this peer", job.papers(os.urandom(32))),
            (403, "has expired", job.papers(me, expires_ms=1)),
        ]
        for code, why, papers in cases:
            answer = create(papers)
            self.assertEqual(answer[0], code, answer)
            self.assertIn(why, answer[1])
            self.assertEqual(self.net.json("job", "list")["jobs"], [])
        self.assertEqual(create(job.papers(me))[0], 200)
        self.assertEqual(create(job.papers(me, serial=2))[0], 409)  # it is led already


if __name__ == "__main__":
    main()
