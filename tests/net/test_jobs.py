"""Jobs from create to their answer, on real trackers and peers."""
import hashlib
import os
import subprocess
import time
import unittest

from preon_process import BUILD, LIAR, PATIENCE, PREON, Case, main, needs, wait_for

CRUNCH = """n=$PREON_SLICE
i=0
while [ $i -lt 200 ]; do n=$(( (n * 1103515245 + 12345) % 2147483648 )); i=$((i + 1)); done
echo "slice $PREON_SLICE of $PREON_SLICES: $n" > out.txt
"""


def crunched(slice_, slices):
    n = slice_
    for _ in range(200):
        n = (n * 1103515245 + 12345) % 2147483648
    return f"slice {slice_} of {slices}: {n}\n"


def double_sha(text):
    return hashlib.sha256(hashlib.sha256(text.encode()).digest()).digest()


def lowest_nonce(block, bits, start=0):
    """The plain reference."""
    n = start
    while int.from_bytes(double_sha(block + str(n)), "big") >> (256 - bits):
        n += 1
    return n


class JobCase(Case):
    def write(self, name, text):
        path = self.net.path(name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def results(self, folder, name):
        """slice -> content of the output of that name."""
        found = {}
        for slice_ in os.listdir(folder):
            path = os.path.join(folder, slice_, name)
            if os.path.isfile(path):
                with open(path) as f:
                    found[int(slice_)] = f.read()
        return found


class Embedded(JobCase):
    def test_alone_on_a_bare_machine(self):
        done = self.net.preon("job", "create", "nonce", "--difficulty", "14", "--lowest",
                              "--tracker", "127.0.0.1:9", data="alone", check=0)
        nonce = lowest_nonce("COMSM0010cloud", 14)
        self.assertIn(f"nonce      {nonce}\n", done.stdout)
        self.assertIn(f"hash       {double_sha(f'COMSM0010cloud{nonce}').hex()}\n", done.stdout)
        check = [l for l in done.stdout.splitlines() if l.startswith("check")][0].split(None, 1)[1]
        shown = subprocess.run(["sh", "-c", check], capture_output=True, text=True, check=True)
        self.assertTrue(shown.stdout.startswith(double_sha(f"COMSM0010cloud{nonce}").hex()))


class Swarm(JobCase):
    """A tracker, a master that lends nothing, and three workers."""

    def world(self, *more, workers=3, threads=2):
        self.net.tracker()
        self.net.peer("master", 0)
        for i in range(workers):
            self.net.peer(f"w{i}", threads, *more)

    def workers_that_ran(self):
        return [w for w in ("w0", "w1", "w2") if self.net.runs(w)]

    def test_nonce_against_the_plain_reference(self):
        self.world()
        done = self.net.preon("job", "create", "nonce", "--difficulty", "16", "--slices", "24",
                              "--lowest", check=0)
        nonce = lowest_nonce("COMSM0010cloud", 16)
        self.assertIn(f"nonce      {nonce}\n", done.stdout)
        self.assertTrue(self.workers_that_ran())  # it lies in the first slices: one may have all

    def test_a_range_without_an_answer(self):
        self.world()
        done = self.net.preon("job", "create", "nonce", "--difficulty", "40", "--start", "1000",
                              "--count", "200000", "--slices", "16")
        self.assertEqual(done.returncode, 3, done.stderr)

    @needs("sandbox")
    def test_exec_equals_a_local_run(self):
        self.world("--jobs", "any")
        out = self.net.path("results")
        self.net.preon("job", "create", "exec", "--slices", "64", "--file",
                       self.write("crunch.sh", CRUNCH), "--output", "out.txt", "-o", out, "--",
                       "sh", "crunch.sh", check=0)
        self.assertEqual(self.results(out, "out.txt"), {i: crunched(i, 64) for i in range(64)})
        self.assertGreaterEqual(len(self.workers_that_ran()), 2)

    def right_picture(self, words, slices, out):
        """The slices in a folder of raw results are what the program makes of them here."""
        program = os.path.join(BUILD, "libexec", "preon", "mandelbrot@1")
        for slice_ in range(slices):
            env = {"PREON_SLICE": str(slice_), "PREON_SLICES": str(slices)}
            mine = subprocess.run([program] + words, env=env, check=True, capture_output=True)
            with open(os.path.join(out, str(slice_), "mandelbrot.raw"), "rb") as theirs:
                self.assertEqual(mine.stdout, theirs.read())

    def test_mandelbrot_pixel_for_pixel(self):
        self.world()
        out = self.net.path("results")
        words = ["--width", "640", "--height", "400", "--iterations", "500"]
        job = self.net.create("mandelbrot", *words, "--slices", "8", "--quorum", "1")
        self.net.preon("job", "wait", job, check=0)
        self.net.preon("job", "results", job, "--raw", "-o", out, check=0)
        self.right_picture(words, 8, out)
        self.assertEqual(self.net.runs("master"), [], "outputs were pulled, not made again")

    @needs("sandbox")
    def test_a_failing_slice_fails_alone(self):
        self.world("--jobs", "any")
        out = self.net.path("results")
        script = self.write("some.sh", 'echo "about $PREON_SLICE" >&2\n'
                                       "[ $PREON_SLICE = 3 ] && exit 7\necho fine > out.txt\n")
        done = self.net.preon("job", "create", "exec", "--slices", "6", "--file", script,
                              "--output", "out.txt", "-o", out, "--", "sh", "some.sh")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(sorted(self.results(out, "out.txt")), [0, 1, 2, 4, 5])
        job = self.net.json("job", "list")["jobs"][0]["id"]
        log = self.net.preon("job", "log", job, "3", check=0)
        self.assertIn("about 3", log.stdout + log.stderr)

    @needs("sandbox")
    def test_a_foreign_owner_is_refused_by_default(self):
        self.world()
        job = self.net.create("exec", "--slices", "2", "--file", self.write("crunch.sh", CRUNCH),
                              "--output", "out.txt", "--", "sh", "crunch.sh")
        wait_for(lambda: "refused: a foreign program" in self.net.logs(), 15)
        self.assertEqual(self.workers_that_ran(), [])
        self.net.preon("job", "cancel", job, check=0)

    @needs("sandbox")
    def test_limits_over_a_volunteers_are_refused_and_named(self):
        self.world("--jobs", "any")
        job = self.net.create("exec", "--memory", "1000G", "--", "true")
        wait_for(lambda: "refused: limits: memory = 1073741824000 asked for" in self.net.logs(), 15)
        cause = wait_for(lambda: self.net.json("job", "status", job).get("waiting"), 15)
        self.assertIn("its limits", cause["remedy"])
        self.assertEqual(self.workers_that_ran(), [])
        self.net.preon("job", "cancel", job, check=0)

    @needs("sandbox")
    def test_workers_share_the_files(self):
        self.world("--jobs", "any")
        path = self.net.path("data.bin")
        # Incompressible: what is counted is what was sent. So big that it takes a while even on
        # loopback: until the tracker has dialled the workers back, only the master has anything.
        content = os.urandom(48 << 20)
        with open(path, "wb") as f:
            f.write(content)
        script = self.write("sum.sh", "sleep 0.5\nsha256sum data.bin | cut -c1-64 > out.txt\n")
        out = self.net.path("results")
        self.net.preon("job", "create", "exec", "--slices", "12", "--file", script, "--file", path,
                       "--output", "out.txt", "-o", out, "--", "sh", "sum.sh", check=0)
        wanted = hashlib.sha256(content).hexdigest() + "\n"
        self.assertEqual(self.results(out, "out.txt"), {i: wanted for i in range(12)})
        sent = {w: self.net.json("status", data=w)["bytes_sent"]
                for w in ("master", "w0", "w1", "w2")}
        # How much depends on how soon they are dialled back: on loopback that may be late.
        self.assertGreater(sent["w0"] + sent["w1"] + sent["w2"], 0, sent)

    @needs("sandbox")
    def test_the_liar_is_named_and_nothing_wrong_is_final(self):
        self.net.tracker()
        self.net.peer("master", 0)  # its own runs would be final at once, before any lie
        self.net.peer("liar", 2, "--jobs", "any", program=LIAR)
        for i in range(2):
            self.net.peer(f"w{i}", 2, "--jobs", "any")
        liar_id = self.net.json("status", data="liar")["id"]
        out = self.net.path("results")
        job = self.net.create("exec", "--slices", "48", "--quorum", "2", "--file",
                              self.write("crunch.sh", "sleep 0.1\n" + CRUNCH), "--output",
                              "out.txt", "--", "sh", "crunch.sh")
        self.net.preon("job", "wait", job, check=0, seconds=100)
        self.net.preon("job", "results", job, "-o", out, check=0)
        self.assertEqual(self.results(out, "out.txt"), {i: crunched(i, 48) for i in range(48)})
        status = self.net.json("job", "status", job)
        self.assertEqual({shown["worker"] for shown in status["liars_shown"]}, {liar_id})
        said = self.net.preon("job", "status", job, check=0)
        self.assertRegex(said.stdout, f"liar +{liar_id[:12]}  slice [0-9]+: ")
        # One false pixel of a thousand: no sample of a few would have met it.
        words = ["--width", "256", "--height", "192", "--iterations", "9000"]
        job = self.net.create("mandelbrot", *words, "--slices", "48")
        self.net.preon("job", "wait", job, check=0)
        self.net.preon("job", "results", job, "--raw", "-o", out + "2", check=0)
        self.right_picture(words, 48, out + "2")

    @needs("sandbox")
    def test_a_peer_that_is_ended_returns_its_slices(self):
        self.net.tracker()
        self.net.peer("master", 0)
        leaving = self.net.peer("w0", 2, "--jobs", "any")
        job = self.net.create("exec", "--slices", "2", "--quorum", "1", "--file",
                              self.write("long.sh", "sleep 300\n"), "--", "sh", "long.sh")
        wait_for(lambda: len(self.net.runs("w0")) == 2, 20, "both slices run")
        self.net.peer("w1", 2, "--jobs", "any")
        with open(self.net.path("w1.log")) as log:
            wait_for(lambda: ": connected" in log.read(), 20, "the other one is idle")
        self.assertEqual(self.net.runs("w1"), [], "nothing is left for it")
        asked = time.time()
        self.assertEqual(leaving.stop(), 0)
        self.assertLess(time.time() - asked, 5 * PATIENCE)
        self.assertEqual([r[4][1] for r in self.net.runs("w0") if r[1] == "end"],
                         ["cancelled"] * 2)
        runs = wait_for(lambda: [r for r in self.net.runs("w1") if r[1] == "start"][1:] and
                        self.net.runs("w1"), 5, "the other one has them")
        self.assertEqual(sorted(r[3] for r in runs), [0, 1])
        self.assertLess(max(r[0] for r in runs) / 1000 - asked, 5 * PATIENCE)
        self.assertEqual(self.net.json("job", "status", job)["slices"]["running"], 2)
        self.net.preon("job", "cancel", job, check=0)

    @needs("sandbox")
    def test_the_tracker_may_be_restarted(self):
        tracker = self.net.tracker()
        self.net.peer("master", 0)
        self.net.peer("w0", 2, "--jobs", "any")
        script = self.write("slow.sh", "sleep 0.3\necho $PREON_SLICE > out.txt\n")
        job = self.net.create("exec", "--slices", "600", "--quorum", "1", "--file", script,
                              "--output", "out.txt", "--", "sh", "slow.sh")
        wait_for(lambda: self.net.runs("w0"), 15)
        tracker.kill()
        before = len(self.net.runs("w0"))
        wait_for(lambda: len(self.net.runs("w0")) > before + 8, 15, "work goes on")
        self.net.tracker(tracker.port)
        self.net.peer("w1", 2, "--jobs", "any")
        wait_for(lambda: self.net.runs("w1"), 30, "a new peer gets work")
        self.net.preon("job", "cancel", job, check=0)


if __name__ == "__main__":
    main()
