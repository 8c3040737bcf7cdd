"""Jobs by the command alone: embedded mode, its answers, Ctrl-C, time-outs, resume."""
import hashlib
import os
import re
import signal
import subprocess
import unittest

from preon_process import PATIENCE, PREON, Case, main, needs, wait_for

ENDLESS = ["job", "create", "nonce", "--difficulty", "70", "--count", str(2**50), "--slices", "4096",
           "--threads", "1"]


class Embedded(Case):
    def setUp(self):
        super().setUp()
        # A port where no tracker is: embedded mode does without.
        self.alone = ["--tracker", "127.0.0.1:9"]

    def begin(self, words, data="master"):
        """A command that goes on; its stderr up to the job's ID."""
        process = subprocess.Popen([PREON] + words + ["--data", self.net.path(data)],
                                   env=self.net.env, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("preon: job "):
                return process, line.split()[-1]
        self.fail(f"{words}: no job ID: {said}; {process.wait(10)}")

    def state(self, job, data="master"):
        return self.net.json("job", "status", job, data=data)["state"]

    def no_peer_is_left(self, data="master"):
        wait_for(lambda: not os.path.exists(self.net.path(data, "control.sock")), 10,
                 "the child's socket is gone")

    def test_a_nonce_is_found_and_true(self):
        done = self.net.preon("job", "create", "nonce", "--difficulty", "14", "--slices", "4",
                              *self.alone, check=0)
        answer = dict(line.split(None, 1) for line in done.stdout.splitlines())
        block = ("COMSM0010cloud" + answer["nonce"]).encode()
        digest = hashlib.sha256(hashlib.sha256(block).digest()).hexdigest()
        self.assertEqual(answer["hash"], digest)
        self.assertEqual(int(digest, 16) >> (256 - 14), 0)
        for key in "rate", "search", "received", "check":
            self.assertIn(key, answer)
        checked = subprocess.run(["sh", "-c", answer["check"]], capture_output=True, text=True)
        self.assertEqual(checked.stdout.split()[0], digest)
        self.no_peer_is_left()
        # Told again by another process: the same, and at once.
        job = self.net.json("job", "list")["jobs"][0]["id"]
        again = self.net.preon("job", "follow", job, check=0)
        told = dict(line.split(None, 1) for line in again.stdout.splitlines())
        for key in "nonce", "hash", "search", "check":
            self.assertEqual(told[key], answer[key])
        status = self.net.json("job", "status", job)
        self.assertGreaterEqual(status["elapsed_ms"], status["answer"]["search_ms"])
        self.assertGreaterEqual(status["answer"]["received_ms"], status["answer"]["search_ms"])
        self.assertNotEqual(status["answer"]["worker"], "00" * 32)

    def test_none_exists(self):
        done = self.net.preon("job", "create", "nonce", "--difficulty", "60", "--count", "5000",
                              "--slices", "3", *self.alone, check=3)
        self.assertEqual(done.stdout, "none\n")
        self.assertIn("none exists", done.stderr)
        told = re.search(r"every slice searched by 1 identity, ([0-9.]+) % re-hashed, 0 lies",
                         done.stderr)
        self.assertTrue(told, done.stderr)
        self.assertGreater(float(told[1]), 0.1)
        # Another process tells the same: it follows from what is final.
        later = self.net.json("job", "list")["jobs"][0]
        self.assertEqual(later["assumption"], told[0])

    def test_json_is_json(self):
        found = self.net.json("job", "create", "nonce", "--difficulty", "10", *self.alone)
        self.assertEqual((found["schema"], found["state"], found["ended"]), (1, "found", True))
        self.assertEqual(self.net.json("job", "list")["jobs"][0]["id"], found["id"])
        self.assertEqual(self.net.json("job", "status", found["id"][:6])["id"], found["id"])
        self.assertEqual(self.net.json("job", "results", found["id"])["schema"], 1)

    @needs("sandbox")
    def test_exec_leaves_its_outputs(self):
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("echo out $PREON_SLICE; echo err >&2; echo $PREON_SLICE > $PREON_OUT/a.txt\n")
        results = self.net.path("results")
        self.net.preon("job", "create", "exec", "--data", self.net.path("master"), "--slices", "5",
                       "--file", script, "--output", "a.txt", "-o", results, *self.alone, "--",
                       "sh", "crunch.sh", data=None, check=0)
        for slice_number in range(5):
            with open(os.path.join(results, str(slice_number), "a.txt")) as f:
                self.assertEqual(f.read(), f"{slice_number}\n")
        job = self.net.json("job", "list")["jobs"][0]["id"]
        log = self.net.preon("job", "log", job[:8], "3", check=0)
        self.assertEqual(log.stdout, "out 3\n")
        self.assertIn("err\n", log.stderr)
        self.net.preon("job", "rm", job, check=0)
        self.assertEqual(self.net.json("job", "list")["jobs"], [])

    @needs("sandbox")
    def test_a_manifest_made_by_hand(self):
        os.mkdir(self.net.path("job"))
        script = self.net.path("job", "crunch.sh")
        with open(script, "w") as f:
            f.write("echo $PREON_SLICE of $PREON_SLICES > a.txt\n")
        text = self.net.preon("job", "create", "exec", "--file", script, "--output", "a.txt",
                              "--dry-run", "--", "sh", "crunch.sh", data=None, check=0).stdout
        self.assertIn("\nslices = 1\n", text)
        text = text.replace("\nslices = 1\n", "\nslices = 3\n")
        with open(self.net.path("job", "manifest"), "w") as f:
            f.write(text)
        results = self.net.path("results")
        done = self.net.preon("job", "submit", self.net.path("job"), "-o", results, *self.alone,
                              check=0)
        # The job is the text as it stands there.
        job = hashlib.sha256(text.encode()).hexdigest()
        self.assertIn(f"preon: job {job}\n", done.stderr)
        self.assertEqual([j["id"] for j in self.net.json("job", "list")["jobs"]], [job])
        for number in range(3):
            with open(os.path.join(results, str(number), "a.txt")) as f:
                self.assertEqual(f.read(), f"{number} of 3\n")

    def test_the_beginning_of_an_id_must_be_one_jobs(self):
        ids = []
        while len({i[0] for i in ids}) == len(ids):  # at most 17 jobs
            ids.append(self.net.json("job", "create", "nonce", "--difficulty", "1", "--start",
                                     str(len(ids)), "--count", "40", *self.alone)["id"])
        first, = (i[0] for i in ids[:-1] if i[0] == ids[-1][0])
        for verb in "status", "rm":
            done = self.net.preon("job", verb, first, check=2)
            self.assertEqual((done.stdout, done.stderr),
                             ("", f"preon: job ID '{first}': 2 jobs begin so; give more digits\n"))
        longer = os.path.commonprefix([i for i in ids if i[0] == first])
        longer = ids[-1][:len(longer) + 1]
        self.assertEqual(self.net.json("job", "status", longer)["id"], ids[-1])
        self.assertEqual(len(self.net.json("job", "list")["jobs"]), len(ids))
        done = self.net.preon("job", "status", "0" * 64, check=1)
        self.assertIn("no such job here", done.stderr)

    @needs("sandbox")
    def test_a_thousand_files(self):
        """More than a sandbox mounts one by one; outputs may lie in a folder of theirs."""
        os.mkdir(self.net.path("in"))
        words = []
        for number in range(1000):
            path = self.net.path("in", f"f{number}")
            with open(path, "w") as f:
                f.write(f"{number}\n")
            words += ["--file", f"in/f{number}={path}"]
        deep = "/".join("abcdefghijklmnop")
        script = self.net.path("sum.sh")
        with open(script, "w") as f:
            f.write("s=0; for f in in/*; do read x <$f && s=$((s+x)); done 2>/dev/null\n"
                    f"touch in/f7 && exit 9; cat {deep} .hidden >> in/sum; echo $s >> in/sum\n")
        words += ["--file", f"{deep}={self.net.path('in', 'f7')}",
                  "--file", f".hidden={self.net.path('in', 'f8')}", "--file", script]
        results = self.net.path("results")
        self.net.preon("job", "create", "exec", "--data", self.net.path("master"), "--slices", "3",
                       *words, "--output", "in/sum", "-o", results, *self.alone, "--", "sh",
                       "sum.sh", data=None, check=0)
        for number in range(3):
            with open(os.path.join(results, str(number), "in", "sum")) as f:
                self.assertEqual(f.read(), "7\n8\n499500\n")
        self.net.preon("job", "rm", self.net.json("job", "list")["jobs"][0]["id"], check=0)
        self.assertEqual(os.listdir(self.net.path("master", "tmp")), [])
        self.assertEqual(os.listdir(self.net.path("master", "files")), [])

    @needs("sandbox")
    def test_failed_slices_are_named(self):
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("echo slice $PREON_SLICE; exit $((PREON_SLICE % 2))\n")
        done = self.net.preon("job", "create", "exec", "--data", self.net.path("master"),
                              "--slices", "4", "--file", script, *self.alone, "--", "sh",
                              "crunch.sh", data=None, check=1)
        self.assertIn("failed: 2 of 4 slices; some slices failed\n", done.stderr)
        job = self.net.json("job", "list")["jobs"][0]["id"]
        for number in 1, 3:
            self.assertIn(f"slice {number}: exit 1; `preon job log {job[:12]} {number}`", done.stderr)
        self.assertEqual(self.net.preon("job", "log", job, "3", check=0).stdout, "slice 3\n")
        done = self.net.preon("job", "log", job, "4", check=2)
        self.assertIn(f"slice 4: job {job[:12]} has slices 0 to 3", done.stderr)
        self.assertIn("4 of 4 final, 2 failed", self.net.preon("job", "status", job, check=0).stdout)

    def test_interrupt_stops_and_resume_goes_on(self):
        process, job = self.begin(ENDLESS + self.alone)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(15 * PATIENCE), 130)
        self.assertIn(f"preon job resume {job[:12]}", process.stderr.read())
        self.no_peer_is_left()
        self.assertEqual(self.state(job), "stopped")
        again, _ = self.begin_resume(job)
        again.send_signal(signal.SIGINT)
        self.assertEqual(again.wait(15 * PATIENCE), 130)
        self.net.preon("job", "rm", job, check=0)
        self.assertEqual(self.net.json("job", "list")["jobs"], [])

    def begin_resume(self, job):
        process = subprocess.Popen([PREON, "job", "resume", job, "--data", self.net.path("master"),
                                    "--threads", "1", *self.alone],
                                   env=self.net.env, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        wait_for(lambda: os.path.exists(self.net.path("master", "control.sock")), 20)
        wait_for(lambda: self.state(job) in ("running", "waiting"), 20, "the job runs again")
        return process, job

    def test_a_second_interrupt_ends_at_once(self):
        """Its child is frozen, so that the first one cannot come to its end."""
        process, job = self.begin(ENDLESS + self.alone)
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
            child, = (int(pid) for pid in f.read().split())
        os.kill(child, signal.SIGSTOP)
        try:
            process.send_signal(signal.SIGINT)
            while "preon job resume" not in process.stderr.readline():
                self.assertIsNone(process.poll())
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(5 * PATIENCE), 130)
        finally:
            os.kill(child, signal.SIGCONT)
        wait_for(lambda: self.state(job) != "running", 10, "it ends without its command")

    def test_a_job_may_have_a_timeout(self):
        done = self.net.preon(*ENDLESS, *self.alone, "--timeout", "1s", check=6)
        self.assertIn("timed-out", done.stderr)


class WithPeer(Embedded):
    """The same with a peer that runs: the commands speak to it."""

    test_a_second_interrupt_ends_at_once = None  # nothing holds up the first one

    def setUp(self):
        super().setUp()
        self.net.tracker()
        self.peer = self.net.peer("master", 2)

    def no_peer_is_left(self, data="master"):
        pass

    def test_interrupt_stops_and_resume_goes_on(self):
        process, job = self.begin(ENDLESS)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(15 * PATIENCE), 130)
        self.assertIn(f"preon job follow {job[:12]}", process.stderr.read())
        self.assertIn(self.state(job), ("running", "waiting"))
        self.net.preon("job", "follow", job, "--timeout", "1s", check=6)
        self.net.preon("job", "wait", job, "--timeout", "500ms", check=6)
        self.net.preon("job", "cancel", job, check=0)
        self.net.preon("job", "wait", job, check=1)
        self.assertEqual(self.state(job), "cancelled")

    def test_elapsed_time_survives_a_crash(self):
        job = self.net.create(*ENDLESS[2:-2])
        wait_for(lambda: self.net.json("job", "status", job)["elapsed_ms"] > 1500, 20)
        self.peer.kill()
        self.peer = self.net.peer("master", 2)
        status = self.net.json("job", "status", job)
        self.assertGreater(status["elapsed_ms"], 1500)
        self.assertLess(status["elapsed_ms"], 60000 * PATIENCE)

    def test_looking_changes_nothing(self):
        """Without its peer a job stands still: it is neither led on nor stopped by who looks."""
        job = self.net.create(*ENDLESS[2:-2])
        wait_for(lambda: self.net.json("job", "status", job)["slices"]["running"] > 0, 20)
        self.assertEqual(self.peer.stop(), 0)
        for _ in range(2):
            status = self.net.json("job", "status", job)
            self.assertEqual(status["state"], "waiting")
            self.assertIn("no peer runs here", status["waiting"]["cause"])
        for verb in "follow", "wait":
            done = self.net.preon("job", verb, job, check=4)
            self.assertIn(f"`preon job resume {job[:12]}`", done.stderr)
        self.peer = self.net.peer("master", 2)
        wait_for(lambda: self.net.json("job", "status", job)["state"] == "running", 20,
                 "the peer goes on with it")
        follower = subprocess.Popen([PREON, "job", "follow", job, "--data",
                                     self.net.path("master")], env=self.net.env, text=True,
                                    stderr=subprocess.PIPE)
        self.addCleanup(follower.stderr.close)
        self.addCleanup(follower.kill)
        wait_for(lambda: self.connected(follower), 10, "it follows")
        self.assertEqual(self.peer.stop(), 0)
        self.assertEqual(follower.wait(10 * PATIENCE), 4)
        self.assertIn("the peer has ended; start it", follower.stderr.read())
        self.net.preon("job", "cancel", job, check=0)  # an order is carried out all the same
        self.assertEqual(self.net.json("job", "status", job)["state"], "cancelled")

    @staticmethod
    def connected(process):
        """Whether it has a socket open: to the peer, it knows no others."""
        fds = f"/proc/{process.pid}/fd"
        return any(os.readlink(os.path.join(fds, fd)).startswith("socket:")
                   for fd in os.listdir(fds))

    def test_what_it_was_started_with_stays(self):
        """Options for a peer of a job's own do not reach one that runs: said, not silent."""
        words = ["job", "create", "nonce", "--difficulty", "8"]
        done = self.net.preon(*words, "--tracker", "tracker.example", "--threads", "7", check=0)
        self.assertIn("--tracker tracker.example: a peer runs here", done.stderr)
        self.assertIn("--threads: a peer runs here, and keeps its own: 2\n", done.stderr)
        done = self.net.preon(*words, "--tracker", f"127.0.0.1:{self.net.tracker_port}",
                              "--threads", "2", check=0)
        self.assertNotIn("a peer runs here", done.stderr)

    def test_detached_it_goes_on(self):
        job = self.net.create("nonce", "--difficulty", "14")
        self.net.preon("job", "wait", job, check=0)
        answer = self.net.json("job", "follow", job)
        self.assertEqual(answer["state"], "found")
        status = self.net.json("status")
        self.assertEqual((status["schema"], status["slots"], status["embedded"]), (1, 2, False))


if __name__ == "__main__":
    main()
