"""Workers that lie about a nonce search: caught by a real master, shown, and their slices done anew."""
import time
import unittest

import peer_client as pc
from nonce_reference import Puzzle, Report
from preon_process import Case, wait_for

COUNT, SLICES, BITS = 40000, 4, 14  # the lowest hit is 9248, in the first slice
OUTPUT = "nonce.bin"


class Liars(Case):
    def setUp(self):
        super().setUp()
        self.net.tracker()
        self.master = self.net.peer("master", 0)
        self.made = 0

    def start(self, *words, bits=BITS, count=COUNT, slices=SLICES):
        self.puzzle = Puzzle(bits=bits)
        self.slices = slices
        self.count = count
        self.job = self.net.create("nonce", "--difficulty", str(bits), "--start", "0", "--count",
                                   str(count), "--slices", str(slices), *words)

    def worker(self):
        """Somebody new, with a slice in hand."""
        self.made += 1
        w = pc.Worker(pc.Identity(self.net.dir, f"id{self.made}"), self.master.port, self.job)
        self.addCleanup(w.link.close)
        self.assertEqual(w.join(), pc.JOIN)
        self.assertEqual(w.enlist(1), pc.ENLIST)
        return w, *w.assigned()

    def truth(self, slice_, everything=False):
        first = self.count * slice_ // self.slices
        last = self.count * (slice_ + 1) // self.slices - 1
        return Report(self.puzzle, first, last, everything)

    def status(self):
        return self.net.json("job", "status", self.job)

    def caught(self, w, slice_, attempt, report, reason):
        """The vote is kept, judged, and condemned; the master says who, where and why."""
        before = self.status()
        self.assertEqual(w.vote(slice_, attempt, [(0, OUTPUT, report.bytes())]), pc.KEEP)
        w.link.wait(lambda t, *_: t == pc.ENDED)
        # Shown when it is durable, which is a moment later.
        shown = wait_for(lambda: [x for x in self.status()["liars_shown"]
                                  if x["worker"] == w.identity.id.hex()], 10)
        now = self.status()
        self.assertEqual(now["slices"]["final"], before["slices"]["final"])
        self.assertEqual(now["liars"], before["liars"] + 1)
        self.assertEqual([x["slice"] for x in shown], [slice_])
        self.assertRegex(shown[0]["reason"], reason)
        # What is wrong in particular is for the owner, not for the liar.
        self.assertNotIn(b"window", b"".join(h[3] for h in w.link.heard))
        said = self.net.preon("job", "status", self.job, check=0)
        self.assertIn(w.identity.id.hex()[:12], said.stdout + said.stderr)

    def finish(self, answer):
        """An honest worker does the rest, and what the liars were caught at."""
        self.net.peer("honest", 2)
        done = self.net.preon("job", "wait", self.job, seconds=60)
        if answer is None:
            self.assertEqual((done.returncode, done.stdout), (3, "none\n"), done.stderr)
        else:
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"nonce      {answer}\n", done.stdout)
        self.assertIn("lied about slice", done.stderr)

    def test_the_truth_is_accepted(self):
        self.start(bits=60)
        w, slice_, attempt = self.worker()
        for left in reversed(range(SLICES)):
            self.assertEqual(w.vote(slice_, attempt, [(0, OUTPUT, self.truth(slice_).bytes())]),
                             pc.KEEP)
            slice_, attempt = w.assigned() if left else (None, None)
        wait_for(lambda: self.status()["ended"], 20, "all slices were told truly")
        status = self.status()
        self.assertEqual((status["state"], status["liars"]), ("none", 0))

    def test_a_speed_that_nobody_has_seen(self):
        """It says 5 ms a slice, two million nonces a second, but has been here for two seconds."""
        self.start(bits=60)
        w, slice_, attempt = self.worker()
        time.sleep(2)
        self.assertEqual(w.vote(slice_, attempt, [(0, OUTPUT, self.truth(slice_).bytes())]),
                         pc.KEEP)
        w.assigned()
        rate = self.status()["progress"]["rate_per_s"]
        self.assertGreater(rate, 1000)
        self.assertLess(rate, 150000)

    def test_a_master_that_ends_does_not_wait_for_an_audit(self):
        """Each window of so large a slice takes minutes to search again."""
        self.start(bits=200, count=1 << 41, slices=1)
        w, slice_, attempt = self.worker()
        r = Report(self.puzzle, 0, 1023)  # true words, one nonce a window ...
        step = self.count // len(r.windows)
        r.range = 0, self.count - 1  # ... of windows that are far larger
        for i, window in enumerate(r.windows):
            window[:2] = [i * step, self.puzzle.key(i * step) >> 224]
        self.assertEqual(w.vote(slice_, attempt, [(0, OUTPUT, r.bytes())]), pc.KEEP)
        time.sleep(1)
        status = self.status()
        self.assertEqual((status["slices"]["final"], status["liars"]), (0, 0), "still at it")
        began = time.monotonic()
        self.assertEqual(self.master.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_half_that_was_not_searched(self):
        """Each window's second half is left out: whichever is drawn, its sum is short."""
        self.start("--lowest")
        w, slice_, attempt = self.worker()
        r = self.truth(slice_)
        for i in range(len(r.windows)):
            begin, end = (r.ends[i - 1] if i else 0), r.ends[i]
            skipped = range(r.range[0] + (begin + end + 1) // 2, r.range[0] + end)
            r.windows[i] = r.window(i, skipped)
        if r.hits:
            r.windows[-1] = r.window(len(r.windows) - 1)  # the hit itself is true
        self.caught(w, slice_, attempt, r, r"^window \d+ was not searched as claimed$")
        self.finish(9248)

    def test_one_nonce_a_window_is_left_out(self):
        self.start(bits=60)
        w, slice_, attempt = self.worker()
        r = self.truth(slice_)
        for i, (nonce, word, sum_) in enumerate(r.windows):
            other = r.range[0] + r.ends[i] - 1
            other = other if other != nonce else other - 1
            r.windows[i] = [nonce, word, (sum_ - r.words[other - r.range[0]]) % 2**32]
        self.caught(w, slice_, attempt, r, r"^window \d+ was not searched as claimed$")
        self.finish(None)

    def test_a_forged_list(self):
        """Re-hashing all that is claimed finds one forged word among a thousand."""
        self.start(bits=60)
        for forge in "lower", "other", "invented":
            w, slice_, attempt = self.worker()
            r = self.truth(slice_)
            at = 700
            if forge == "lower":
                r.windows[at][1] -= 1
            elif forge == "other":  # a nonce of the window that is not its lowest
                r.windows[at][0] = r.range[0] + r.ends[at] - 1 - (
                    r.windows[at][0] == r.range[0] + r.ends[at] - 1)
            else:
                r.windows = [[r.range[0] + end - 1, 12345, 678] for end in r.ends]
            self.caught(w, slice_, attempt, r, r"^window \d+: nonce \d+ has another word$")
        self.finish(None)

    def test_a_hit_kept_back(self):
        """Its nonce is the lowest of its window, which names it."""
        self.start("--lowest")
        held = []
        while True:
            w, slice_, attempt = self.worker()
            r = self.truth(slice_)
            if 9248 in r.hits:
                break
            held.append(w)  # not given back, so the next is given another
        r = self.truth(slice_, everything=True)
        r.hits, r.total = [], 0
        self.caught(w, slice_, attempt, r, r"^window \d+: hit 9248 is kept back$")
        for other in held:
            other.link.close()
        self.finish(9248)

    def test_a_hit_kept_back_and_its_window_forged(self):
        """Seen when that window is drawn: for certain in a slice of three."""
        self.start("--lowest", bits=4, count=3, slices=1)
        hits = self.puzzle.hits(0, 3)
        self.assertEqual(hits, [2])
        w, slice_, attempt = self.worker()
        r = self.truth(slice_, everything=True)
        r.hits, r.total = [], 0
        r.windows[2] = [2, 0x20000000, 0x20000000]
        self.caught(w, slice_, attempt, r, r"^window 2: nonce 2 has another word$")
        self.finish(2)

    def test_a_hit_that_is_none(self):
        self.start(bits=60)
        w, slice_, attempt = self.worker()
        r = self.truth(slice_)
        nonce = r.windows[3][0]
        r.hits, r.total, r.windows = [nonce], 1, r.windows[:4]
        self.caught(w, slice_, attempt, r, rf"^nonce {nonce} is no hit$")
        self.finish(None)

    def test_a_report_of_another_slice(self):
        self.start(bits=60)
        w, slice_, attempt = self.worker()
        self.caught(w, slice_, attempt, self.truth((slice_ + 1) % SLICES), "another slice")
        self.finish(None)


if __name__ == "__main__":
    unittest.main()
