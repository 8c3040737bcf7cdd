"""What a job was told when it was made holds through restarts of its master."""
import json
import socket
import time
import unittest

from preon_process import Case, main, needs, wait_for


class Restart(Case):
    def setUp(self):
        super().setUp()
        self.net.tracker()
        self.master = self.net.peer("master", 0)

    def create(self, *more):
        return self.net.create("exec", "--quorum", "1", *more, "--output", "out.txt", "--",
                               "sh", "-c", "sleep 0.4; echo fine > out.txt")

    def restart(self):
        self.master.kill()
        self.master = self.net.peer("master", 0)

    def job(self):
        return self.net.json("job", "list")["jobs"][0]

    def most_at_once(self):
        running, most = set(), 0
        for _, what, _, slice_, _ in self.net.runs("w0"):
            (running.add if what == "start" else running.discard)(slice_)
            most = max(most, len(running))
        return most

    def ended(self):
        return sum(r[1] == "end" for r in self.net.runs("w0"))

    @needs("sandbox")
    def test_workers_hires_no_more_than_that(self):
        self.net.peer("w0", 4, "--jobs", "any")
        job = self.create("--slices", "40", "--workers", "1")
        wait_for(lambda: self.ended() >= 3, 30, "slices are run")
        for _ in range(2):
            before = self.ended()
            self.restart()
            wait_for(lambda: self.ended() >= before + 3, 30, "slices are run after the restart")
        self.assertRegex(self.job()["workers_shown"][0]["address"], r"^127\.0\.0\.1:\d+$")
        self.net.preon("job", "cancel", job, check=0)
        self.assertEqual(self.most_at_once(), 1)

    def slices(self, job):
        """slice -> state, as any program may ask for it."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.net.path("master", "control.sock"))
            s.sendall(f"GET /v1/jobs/{job}/slices HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        return {x["slice"]: x["state"] for x in json.loads(answer.split(b"\r\n\r\n")[1])["slices"]}

    def test_what_is_final_is_said_after_the_end_too(self):
        """Of a search that ended at its first answer only the slices that were searched."""
        self.net.peer("w0", 2)
        job = self.net.create("nonce", "--difficulty", "14", "--start", "0", "--count", "40000",
                              "--slices", "400")
        self.net.preon("job", "wait", job, check=0)
        before = self.slices(job)
        self.assertIn("open", before.values())
        self.restart()
        after = self.slices(job)
        self.assertEqual({s for s in after if after[s] == "final"},
                         {s for s in before if before[s] == "final"})
        self.assertIn("final", after.values())

    def test_a_timeout_does_not_begin_anew(self):
        """Nobody works for it. Each life of the master is shorter than the timeout."""
        self.create("--slices", "2", "--timeout", "6s")
        left = 6000
        for _ in range(3):
            time.sleep(4)
            if self.job()["ended"]:
                break
            self.restart()
            left -= 4000 - 1000  # a crash forgets a second of so short a timeout
            self.assertLessEqual(self.job()["timeout_in_ms"], left)
        self.assertEqual(self.job()["state"], "timed-out")


if __name__ == "__main__":
    main()
