"""Commands that do not get to their end: Ctrl-C at any place, and peers that freeze or forget."""
import contextlib
import os
import re
import signal
import subprocess
import time
import unittest

from between import Between
from preon_process import PATIENCE, PREON, Case, wait_for

ENDLESS = ["job", "create", "nonce", "--difficulty", "70", "--count", str(2**50), "--slices", "4096"]
SILENCE = 20  # tools/client_sys.c


class Interrupt(Case):
    def begin(self, *words):
        words = list(words)
        end = words.index("--") if "--" in words else len(words)
        words[end:end] = ["--data", self.net.path("master")]
        process = subprocess.Popen([PREON] + words, env=self.net.env, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        for pipe in process.stdout, process.stderr:
            self.addCleanup(pipe.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def hear(self, process, pattern):
        said = ""
        for line in process.stderr:
            said += line
            found = re.search(pattern, line)
            if found:
                return found
        self.fail(f"no {pattern!r}: {said}; exit {process.wait(10)}")

    def between(self):
        """A peer, and somebody between it and the commands."""
        self.net.tracker_port = 9
        self.peer = self.net.peer("true", 1)
        between = Between(self.net)
        self.addCleanup(between.close)
        return between

    def end(self, process, code, seconds=5):
        self.assertEqual(process.wait(seconds * PATIENCE), code)
        return process.stderr.read()

    def wake(self, frozen):
        with contextlib.suppress(ProcessLookupError):  # its kernel has, and its init took its end
            os.kill(frozen, signal.SIGCONT)

    def test_the_second_one_ends_at_once(self):
        """The first waits for a child that does not end: it is frozen."""
        process = self.begin(*ENDLESS, "--threads", "1", "--tracker", "127.0.0.1:9")
        self.hear(process, "preon: job ")
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
            child, = map(int, f.read().split())
        os.kill(child, signal.SIGSTOP)
        self.addCleanup(self.wake, child)
        process.send_signal(signal.SIGINT)
        self.hear(process, "stopping; go on with")
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        self.assertEqual(process.wait(5 * PATIENCE), 130)
        self.assertLess(time.monotonic() - begin, 1 * PATIENCE)

    def test_an_upload(self):
        between = self.between()
        big = self.net.path("big")
        with open(big, "wb") as f:
            f.write(b"x" * (4 << 20))
        between.holds = lambda asked: b"PUT /v1/" in asked
        process = self.begin("job", "create", "exec", "--file", big, "--", "true")
        wait_for(lambda: b"PUT /v1/" in between.asked, 20)
        process.send_signal(signal.SIGINT)
        self.assertIn("interrupted", self.end(process, 130))
        between.let_go.set()
        self.assertEqual(self.net.json("job", "list")["jobs"], [])  # nothing half is left

    def test_a_download_and_a_question(self):
        between = self.between()
        self.net.preon("job", "create", "mandelbrot", "--width", "9", "--height", "9", "--slices",
                       "1", check=0)
        job = self.net.json("job", "list")["jobs"][0]["id"]
        for words, part in ((["results", job, "--raw", "-o", self.net.path("out")], b"/outputs/0"),
                            (["list"], b"GET /v1/jobs "), (["log", job, "0"], b"/log "),
                            (["status", job], f"GET /v1/jobs/{job} ".encode())):
            between.asked = b""
            between.holds = lambda asked, part=part: part in asked
            process = self.begin("job", *words)
            wait_for(lambda part=part: part in between.asked, 20, words)
            process.send_signal(signal.SIGINT)
            self.assertIn("interrupted", self.end(process, 130))
            self.assertEqual(process.stdout.read(), "")

    def test_a_job_that_was_never_started_and_is_removed(self):
        between = self.between()
        between.holds = lambda asked: re.search(rb"POST /v1/jobs/\w+/start", asked)
        process = self.begin(*ENDLESS)
        job = wait_for(lambda: re.search(rb"POST /v1/jobs/(\w+)/start", between.asked), 20)[1]
        process.kill()
        process.wait()
        between.holds = lambda asked: False
        job = job.decode()
        self.assertEqual(self.net.json("job", "status", job)["state"], "created")
        watchers = [self.begin("job", verb, job) for verb in ("follow", "wait")]
        wait_for(lambda: between.asked.count(f"/{job}/events".encode()) == 2, 20)
        self.hear(watchers[0], "waiting: it was created, and not started for .*; `preon job resume`")
        listed = self.net.json("job", "list")["jobs"][0]
        self.assertEqual((listed["state"], listed["waiting"]["remedy"]),
                         ("created", "`preon job resume`, or `preon job rm` it"))
        self.net.preon("job", "rm", job, check=0)
        for watcher in watchers:
            self.assertIn(f"job {job[:12]}: ", self.end(watcher, 1))

    def test_a_frozen_peer(self):
        self.net.tracker()
        peer = self.net.peer("master", 1)
        job = self.net.create(*ENDLESS[2:])
        watchers = [self.begin("job", verb, job) for verb in ("follow", "wait")]
        time.sleep(2)  # they have had a look
        peer.process.send_signal(signal.SIGSTOP)
        self.addCleanup(peer.process.send_signal, signal.SIGCONT)
        begin = time.monotonic()
        for watcher in watchers:
            said = self.end(watcher, 4, SILENCE + 15)
            self.assertIn(f"process {peer.process.pid} has said nothing for {SILENCE} s", said)
        self.assertGreater(time.monotonic() - begin, SILENCE - 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
