"""Hostile workers against a real master, hostile masters against a real worker.

Nothing may crash, hang, be accepted or leak, and an honest job still completes after each attack.
"""
import os
import socket
import ssl
import struct
import time

import peer_client as pc
from preon_process import PATIENCE, Case, main, needs, wait_for

WINDOW = ["--block=hostile", "--difficulty=40", "--start=1000"]


class HostileCase(Case):
    def setUp(self):
        super().setUp()
        self.net.tracker()
        self.links = []
        self.made = 0

    def tearDown(self):
        for link in self.links:
            link.close()

    def identity(self):
        self.made += 1
        return pc.Identity(self.net.dir, f"id{self.made}")

    def honest(self):
        """A small job from create to its end, by whoever works here."""
        done = self.net.preon("job", "create", "nonce", "--difficulty", "40", "--start", "1000",
                              "--count", "4000", "--slices", "4")
        self.assertEqual(done.returncode, 3, done.stderr + self.net.logs())

    def closes(self, link, within=8):
        begun = time.monotonic()
        link.until_closed()
        self.assertLess(time.monotonic() - begun, within * PATIENCE)
        link.close()


class AgainstMaster(HostileCase):
    """The master lends nothing, so the hostile worker is given all that the honest one leaves."""

    def setUp(self):
        super().setUp()
        self.master = self.net.peer("master", 0)
        # A job of 16 slices, for nobody but ourselves: the honest worker comes later.
        self.job = self.net.create("nonce", "--difficulty", "40", "--start", "0", "--count",
                                   "16000", "--slices", "16")

    def worker(self, identity=None):
        w = pc.Worker(identity or self.identity(), self.master.port, self.job)
        self.links.append(w.link)
        return w

    def enlisted(self, slots=2):
        w = self.worker()
        self.assertEqual(w.join(), pc.JOIN)
        self.assertEqual(w.enlist(slots), pc.ENLIST)
        return w

    def raw(self, hello=True):
        link = pc.Link.dial(self.identity(), self.master.port, hello)
        self.links.append(link)
        return link

    def finals(self):
        return self.net.json("job", "status", self.job)["slices"]["final"]

    def finish(self):
        """An honest worker comes, does all of it, and nothing that we sent has counted."""
        self.assertEqual(self.finals(), 0)
        self.net.peer("w0", 2)
        self.honest()
        done = self.net.preon("job", "wait", self.job, seconds=50)
        self.assertEqual(done.returncode, 3, done.stderr)

    def test_garbage_and_frames_out_of_order(self):
        with socket.create_connection(("127.0.0.1", self.master.port)) as s:
            s.sendall(os.urandom(4096))
            s.settimeout(8)
            try:
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass
        hello = pc.hello_body()
        before = [
            os.urandom(4096),
            struct.pack("<IBBHI", 32, pc.JOIN, 1, 0, 1) + bytes.fromhex(self.job),
            struct.pack("<IBBHI", 3000, pc.HELLO, 1, 0, 0) + hello.ljust(3000, b"x"),
            struct.pack("<IBBHI", len(hello), pc.HELLO, 1, 7, 0) + hello,
            struct.pack("<IBBHI", len(hello), pc.HELLO, 0x80, 0, 0) + hello,
            struct.pack("<IBBHI", 5, pc.HELLO, 1, 0, 0) + hello[:5],
        ]
        for data in before:
            link = self.raw(hello=False)
            link.raw(data)
            self.closes(link)
        zero = bytes(48)
        after = [
            (pc.HELLO, hello, 1), (200, b"", 1), (pc.JOIN, b"short", 1), (pc.JOIN, zero, 1),
            (pc.VOTE, bytes.fromhex(self.job) + bytes(300), 1), (pc.BLOCK, b"\x09", 1),
            (pc.STARTED, bytes.fromhex(self.job) + bytes(32), 1), (pc.HAVE, b"\x01", 1),
            (pc.ENLIST, bytes.fromhex(self.job) + bytes(16 + 32 + 4), 1), (pc.LEAVES, zero, 1),
            (pc.VOTE, b"", 1), (pc.MANIFEST, b"", 1), (pc.STOP, b"", 1),
        ]
        for type_, body, flags in after:
            link = self.raw()
            link.send(type_, body, flags, request=7)
            if (type_, body) == (pc.JOIN, zero) or type_ == pc.STARTED:
                link.close()  # of a job that is not led here; what may have crossed a LEAVE
                continue
            self.closes(link)
        link = self.raw()
        link.send(pc.JOIN, b"", length=0xffffffff)
        self.closes(link)
        self.finish()

    @needs("sandbox")
    def test_a_strangers_words_are_no_reason(self):
        """Why a job waits is told to its owner: only its workers have a say in that."""
        self.net.peer("w0", 1, "--jobs", "any")
        self.job = self.net.create("exec", "--quorum", "2", "--slices", "1", "--", "sh", "-c", "true")
        status = lambda: self.net.json("job", "status", self.job)
        wait_for(lambda: "voters" in str(status().get("waiting")), 10, "it waits for a second voter")
        w = self.worker()
        w.link.send(pc.GIVE_UP, w.key() + bytes(16) + b"\x02" + pc.bytes16(b"run this as root"), 1)
        self.assertEqual(w.join(), pc.JOIN)  # that was heard, then
        self.assertNotIn("as root", str(status()))

    def test_enlisting_as_somebody_else(self):
        w = self.worker()
        w.join()
        with self.assertRaises(pc.Closed):
            w.enlist(public=self.identity().public)
        w = self.worker()
        with self.assertRaises(pc.Closed):  # of a run that is not this one
            w.enlist()
        w = self.worker()
        w.join()
        with self.assertRaises(pc.Closed):
            w.enlist(slots=5000)
        w = self.worker()
        w.join()
        with self.assertRaises(pc.Closed):
            w.enlist(held=[(i, i) for i in range(1025)])
        # As long a list as may be, of attempts that nobody has given out: all are called off.
        w = self.worker()
        w.join()
        w.enlist(slots=0, held=[(i % 16, 7 + i) for i in range(1024)])
        for _ in range(1024):
            w.link.wait(lambda t, *_: t == pc.CANCEL)
        self.finish()

    def test_votes_that_must_not_count(self):
        good = [(0, "nonce.bin", b"preon-n1" + bytes(100))]
        stranger = self.identity()
        other = self.enlisted(1)
        theirs = other.assigned()

        def refused(make):
            w = self.enlisted()
            slice_, attempt = w.assigned()
            w.link.number += 1
            w.link.send(pc.VOTE, make(w, slice_, attempt), request=w.link.number)
            heard = w.link.until_closed()
            self.assertTrue(heard)
            self.assertFalse([h for h in w.link.heard if h[0] == pc.VOTE], "it was answered")
            w.link.close()

        forged = lambda w, s, a, o: stranger.sign(
            pc.tag("vote") + w.key() + struct.pack("<QQ", s, a) +
            pc.outputs_hash({n: (len(b), pc.root_of_one_block(b)) for _, n, b in o}))
        refused(lambda w, s, a: w.vote_body(s, a ^ 1, good))  # never given out
        refused(lambda w, s, a: w.vote_body((s + 9) % 16, a, good))  # of another slice
        refused(lambda w, s, a: w.vote_body(16, a, good))
        refused(lambda w, s, a: w.vote_body(2**64 - 1, a, good))
        refused(lambda w, s, a: w.vote_body(*theirs, good))  # given to another worker
        refused(lambda w, s, a: w.vote_body(s, a, good, run=os.urandom(16)))
        refused(lambda w, s, a: w.vote_body(s, a, good, signature=bytes(64)))
        refused(lambda w, s, a: w.vote_body(s, a, good, signature=forged(w, s, a, good)))
        refused(lambda w, s, a: w.vote_body(s, a, good, hash_=os.urandom(32)))
        refused(lambda w, s, a: w.vote_body(s, a, [(1, "nonce.bin", b"x")]))  # no such output
        refused(lambda w, s, a: w.vote_body(s, a, good, code=1))  # outputs of a failure
        refused(lambda w, s, a: w.vote_body(s, a, []))  # a success without its outputs
        refused(lambda w, s, a: w.vote_body(s, a, good)[:-1])
        refused(lambda w, s, a: w.vote_body(s, a, good, tail=bytes(9000)))
        other.link.close()
        self.finish()

    def test_outputs_that_are_no_reports_are_lies(self):
        liars = []
        for content in b"preon-n1" + bytes(100), b"", bytes(40 * 1024 - 1):
            w = self.enlisted()
            slice_, attempt = w.assigned()
            output = [(0, "nonce.bin", content)]
            self.assertEqual(w.vote(slice_, attempt, output), pc.KEEP)
            w.link.wait(lambda t, *_: t == pc.ENDED)
            # Once more, and another content: a vote is given once, and a liar has none.
            self.assertEqual(w.vote(slice_, attempt, output), pc.DROP)
            self.assertEqual(w.vote(slice_, attempt, [(0, "nonce.bin", b"more")]), pc.DROP)
            self.assertEqual(w.enlist(2), pc.ENLIST)
            liars.append(w.identity.id.hex())
        status = str(self.net.json("job", "status", self.job))
        for liar in liars:
            self.assertIn(liar, status, "a liar is not named")
        self.finish()

    def test_floods(self):
        for type_, body in ((pc.JOIN, bytes.fromhex(self.job)), (pc.PING, b""),
                            (pc.MANIFEST, bytes.fromhex(self.job) + bytes(4)),
                            (200, bytes(64))):  # unknown, and not critical: skipped
            link = self.raw()
            frame = struct.pack("<IBBHI", len(body), type_, 0, 0, 1) + body
            try:
                link.stream.settimeout(3)
                for _ in range(200):  # never reading what is answered
                    link.raw(frame * 200)
            except pc.Closed:
                pass
        self.net.preon("status", check=0)
        idle = [self.raw() for _ in range(100)]
        self.finish()
        self.assertTrue(idle)

    def test_silence_after_an_assignment(self):
        silent = self.enlisted(slots=4)
        silent.assigned()
        gone = self.enlisted(slots=4)
        gone.assigned()
        gone.link.close()
        self.finish()
        silent.link.wait(lambda t, *_: t == pc.ENDED)


class AgainstWorker(HostileCase):
    def setUp(self):
        super().setUp()
        self.net.peer("master", 0)
        self.liar = pc.LyingTracker()
        self.links.append(self.liar)
        self.net.peer("w0", 4, "--tracker", f"127.0.0.1:{self.liar.port}", "--jobs", "any")
        wait_for(lambda: self.liar.clients, 10)
        self.owner = self.identity()
        self.me = self.identity()
        self.listener = pc.Listener(self.me)
        self.links.append(self.listener)

    def job(self, slices=4):
        window = WINDOW + [f"--count={slices * 1000}"]
        return pc.Job(self.owner, ["program:nonce@1"] + window, slices,
                      "[dynamic]\nnonce.bin\n[verify]\nmode = proof\nstop = first\n")

    def hired(self, job):
        """The worker's link, whose JOIN is there: (link, its number)."""
        self.liar.hire(self.listener.port, job.id.hex())
        link = self.listener.accept()
        self.links.append(link)
        type_, _, number, body = link.frame()
        self.assertEqual((type_, body), (pc.JOIN, job.id))
        return link, number

    def welcome(self, job):
        """Up to ENLIST and its answer."""
        link, number = self.hired(job)
        link.send(pc.JOIN, job.papers(self.me.id), pc.ANSWER, number)
        while True:
            type_, flags, number, body = link.frame()
            if type_ == pc.MANIFEST:
                self.assertEqual(body[:32], job.id)
                link.send(pc.MANIFEST, struct.pack("<I", len(job.text)) + job.text, pc.ANSWER,
                          number)
            elif type_ == pc.ENLIST:
                link.send(pc.ENLIST, b"", pc.ANSWER, number)
                return link

    def ran(self, job):
        return [r for r in self.net.runs("w0") if job.id.hex().startswith(r[2])]

    def assign(self, link, job, slice_, attempt, lease=600):
        link.send(pc.ASSIGN, job.id + job.run + struct.pack("<QQI", slice_, attempt, lease))

    def test_papers_that_are_not_in_order(self):
        thief = self.identity()
        other = pc.Job(thief, ["program:nonce@1"] + WINDOW)
        cases = [
            ("unsigned", lambda j: j.papers(self.me.id, signature=bytes(64)), None),
            ("another's signature",
             lambda j: j.papers(self.me.id, signature=thief.sign(b"preon-owner-1\0" + j.id)), None),
            ("to another peer", lambda j: j.papers(thief.id), None),
            ("expired", lambda j: j.papers(self.me.id, expires_ms=1), None),
            ("of another job", lambda j: j.run + j.papers(self.me.id)[16:82] +
             other.papers(self.me.id)[82:], None),
            ("of another run", lambda j: os.urandom(16) + j.papers(self.me.id)[16:], None),
            ("cut", lambda j: j.papers(self.me.id)[:-1], None),
            ("another manifest", lambda j: j.papers(self.me.id), lambda j: other.text),
            ("longer", lambda j: j.papers(self.me.id), lambda j: j.text + b"\n"),
            ("no text", lambda j: j.papers(self.me.id), lambda j: os.urandom(500)),
        ]
        for name, papers, text in cases:
            with self.subTest(name):
                job = self.job()
                link, number = self.hired(job)
                link.send(pc.JOIN, papers(job), pc.ANSWER, number)
                try:
                    while True:
                        type_, _, number, _ = link.frame()
                        self.assertEqual(type_, pc.MANIFEST, "it was welcome")
                        sent = text(job) if text else job.text
                        link.send(pc.MANIFEST, struct.pack("<I", len(sent)) + sent, pc.ANSWER,
                                  number)
                except pc.Closed:
                    pass
                self.assertEqual(self.ran(job), [])
        self.honest()

    def test_a_grant_that_was_replaced(self):
        job = self.job()
        link, number = self.hired(job)
        link.send(pc.JOIN, job.papers(self.me.id, serial=5), pc.ANSWER, number)
        _, _, number, _ = link.frame()
        link.send(pc.MANIFEST, struct.pack("<I", len(job.text)) + job.text, pc.ANSWER, number)
        self.assertEqual(link.frame()[0], pc.ENLIST)
        link.stream.close()
        for serial, expected in (4, pc.LEAVE), (5, pc.ENLIST):
            # It remembers so through a restart.
            worker = [s for s in self.net.servers if self.net.path("w0") in s.words][-1]
            worker.kill()
            self.liar.clients.clear()
            self.net.server(worker.words, "w0")
            wait_for(lambda: self.liar.clients, 10)
            link, number = self.hired(job)
            link.send(pc.JOIN, job.papers(self.me.id, serial=serial), pc.ANSWER, number)
            self.assertEqual(link.frame()[0], expected)
            link.stream.close()
        self.honest()

    def test_other_jobs_over_the_same_link(self):
        job, other = self.job(), self.job()
        link = self.welcome(job)
        link.send(pc.OFFER, b"short", 0, 7)
        self.closes(link)
        link = self.welcome(job)
        link.send(pc.OFFER, job.id, 0, 7)  # it works on that already
        _, body = link.wait(lambda t, flags, number, _: t == pc.OFFER and number == 7)
        self.assertEqual(body, b"\3")
        link.send(pc.OFFER, other.id, 0, 8)
        _, body = link.wait(lambda t, flags, number, _: t == pc.OFFER and number == 8)
        self.assertEqual(body, b"\1")
        _, body = link.wait(lambda t, *_: t == pc.JOIN)
        self.assertEqual(body, other.id)
        for number in range(9, 300):  # as many as it has slots, and no more
            link.send(pc.OFFER, os.urandom(32), 0, number)
        replies = [link.wait(lambda t, flags, n, _: t == pc.OFFER and n == number)[1]
                   for number in range(9, 300)]
        self.assertEqual(replies, [b"\1"] * 2 + [b"\2"] * 289)
        link.stream.close()
        self.honest()

    def test_assignments_out_of_range_or_without_end(self):
        job = self.job()
        link = self.welcome(job)
        for slice_ in 4, 2**32, 2**32 + 1, 2**64 - 1:
            self.assign(link, job, slice_, 77)
            _, body = link.wait(lambda t, *_: t == pc.GIVE_UP)
            self.assertEqual(struct.unpack("<QQ", body[48:64]), (slice_, 77))
        self.assertEqual(self.ran(job), [])
        # Of another run, and of a job that nobody works for here: given back.
        link.send(pc.ASSIGN, job.id + bytes(16) + struct.pack("<QQI", 1, 1, 9))
        link.wait(lambda t, *_: t == pc.GIVE_UP)
        for type_ in pc.CANCEL, pc.RELEASE, pc.ENDED:
            link.send(type_, job.id + os.urandom(16) +
                      (b"\1" if type_ == pc.ENDED else bytes(16)))
        # A real one is still done, and voted on as it should be.
        self.assign(link, job, 0, 5)
        _, body = link.wait(lambda t, *_: t == pc.VOTE)
        self.assertEqual(struct.unpack("<QQ", body[48:64]), (0, 5))
        # More than anybody may give: the link goes, and the worker stays.
        try:
            for attempt in range(100000):
                self.assign(link, job, attempt % 4, 1000 + attempt)
        except pc.Closed:
            pass
        else:
            self.closes(link)
        self.honest()

    def test_frames_that_are_no_masters(self):
        for type_, body in ((pc.ASSIGN, b"short"), (pc.RELEASE, bytes(63)), (pc.ENDED, bytes(3)),
                            (pc.VOTE, b"\7"), (pc.JOIN, b"x")):
            job = self.job()
            link, number = (self.welcome(job), 1) if type_ != pc.JOIN else self.hired(job)
            link.send(type_, body, pc.ANSWER if type_ in (pc.VOTE, pc.JOIN) else pc.CRITICAL,
                      number)
            self.closes(link)
        # One that never says anything more.
        self.hired(self.job())
        self.honest()

    @needs("sandbox")
    def test_progress_without_end_is_told_now_and_then(self):
        """Lines of progress cost a job nothing, but the peers a frame and a step of two cores each."""
        script = "seq -f 'progress %.0f 300000' 300000; echo progress 300000 300000"
        job = pc.Job(self.owner, ["system:sh", "-c", script], 4, "[requires]\nsystem\n")
        link = self.welcome(job)
        begun = time.monotonic()
        self.assign(link, job, 0, 5)
        link.wait(lambda t, *_: t == pc.VOTE)
        told = [h for h in link.heard if h[0] == pc.PROGRESS]
        self.assertGreater(len(told), 0)
        self.assertLess(len(told), 3 + 2 * (time.monotonic() - begun))
        self.honest()

    def test_a_lost_masters_work_goes_to_nobody_else(self):
        """A lying tracker sends a worker whose master is away to somebody else."""
        net = self.net
        master = [s for s in net.servers if s.words[0] == "peer"][0]
        words = ["--difficulty", "60", "--start", "0", "--count", "40000000000", "--slices", "3"]
        job = net.create("nonce", *words)
        wait_for(lambda: net.runs("w0"), 15)
        probe = pc.Worker(self.identity(), master.port, job)
        self.assertEqual(probe.join(), pc.JOIN)
        probe.link.close()
        runs = wait_for(lambda: [r for r in net.runs("w0") if r[1] == "start"][2:] and
                        net.runs("w0"), 15, "all three run")
        ran = len(runs)
        master.kill()
        self.liar.hire(self.listener.port, job)
        heard = []
        try:
            link = self.listener.accept(15)
            self.links.append(link)
            type_, _, number, _ = link.frame()
            heard.append(type_)
            link.send(pc.JOIN, probe.papers, pc.ANSWER, number)
            heard.append(link.frame()[0])
        except (pc.Closed, ConnectionError, ssl.SSLError):
            pass  # it has seen who we are not
        self.assertEqual(heard, [], "it told a stranger of its work")
        words = list(master.words)
        words[words.index("--port") + 1] = str(master.port)
        net.server(words, "master")
        own = net.json("status", data="w0")["id"]
        wait_for(lambda: own in str(net.json("job", "status", job)), 40, "it came back")
        self.assertEqual(len(net.runs("w0")), ran, "it had to begin anew")
        net.preon("job", "cancel", job, check=0)
        self.honest()


if __name__ == "__main__":
    main()
