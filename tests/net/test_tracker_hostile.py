"""What strangers do to a tracker: silence, floods, half lines, garbage, no reading, no descriptors."""
import os
import random
import resource
import socket
import time
import unittest

from tracker_process import PATIENCE, Lines, Tracker, connect, read_all

JOB = "00112233445566778899aabbccddeeff" * 2


def memory_bytes(tracker):
    with open(f"/proc/{tracker.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def cpu_seconds(tracker):
    with open(f"/proc/{tracker.process.pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def is_closed(s, within):
    """Whether the other side ends the stream, or resets it, within that many seconds."""
    s.settimeout(within)
    try:
        while s.recv(65536):
            pass
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


class Hostile(unittest.TestCase):
    def setUp(self):
        self.tracker = None
        self.open = []

    def start(self, **limits):
        self.tracker = Tracker(**limits)

    def keep(self, thing):
        self.open.append(thing)
        return thing

    def tearDown(self):
        for thing in self.open:
            thing.close()
        self.tracker.stop()

    def assert_serves(self, within=5.0):
        start = time.monotonic()
        with connect(self.tracker.port) as s:
            s.sendall(b"INFORM 1 idle\n")
            self.assertEqual(read_all(s), b"OK\n")
        self.assertLess(time.monotonic() - start, within * PATIENCE)

    def test_the_silent_and_the_slow_are_closed_and_hinder_nobody(self):
        self.start()
        silent = [self.keep(connect(self.tracker.port)) for _ in range(300)]
        slow = [self.keep(connect(self.tracker.port)) for _ in range(20)]
        start = time.monotonic()
        # a byte every second renews nothing
        for second in range(11):
            for s in slow:
                try:
                    s.send(b"QUERY 0011"[second % 10:second % 10 + 1])
                except ConnectionError:
                    pass
            self.assert_serves()
            time.sleep(max(0, start + second + 1 - time.monotonic()))
        for s in silent + slow:
            self.assertTrue(is_closed(s, 2))
        self.assert_serves()

    def test_garbage_of_every_kind(self):
        self.start()
        rng = random.Random(3)
        for _ in range(300):
            with connect(self.tracker.port) as s:
                try:
                    if rng.random() < 0.5:
                        s.sendall(b"HELLO preon/1\n")
                    s.sendall(rng.randbytes(rng.randrange(1, 2000)))
                    s.shutdown(socket.SHUT_WR)
                except ConnectionError:
                    continue
                self.assertTrue(is_closed(s, 5))
        self.assert_serves()

    def test_a_line_without_end(self):
        self.start()
        a = self.keep(Lines(self.tracker.port))
        a.socket.sendall(b"INFORM " + b"9" * 10000)
        self.assertTrue(a.hear().startswith("ERROR "))
        self.assertTrue(is_closed(a.socket, 5))

    def test_clients_that_ask_and_do_not_read(self):
        self.start(list_unverified=1)
        peers = self.keep(Lines(self.tracker.port, "127.0.0.2"))
        for port in range(2000, 2100):
            self.assertEqual(peers.ask(f"INFORM {port} {JOB} 600"), "OK 600")
        before = memory_bytes(self.tracker)
        batch = (f"QUERY {JOB} 100\n" * 500).encode()
        for _ in range(20):
            s = self.keep(connect(self.tracker.port))
            s.setblocking(False)
            s.send(b"HELLO preon/1\n")
            try:
                for _ in range(100):
                    s.send(batch)
            except (BlockingIOError, ConnectionError):
                pass
            self.assert_serves()
        self.assertLess(memory_bytes(self.tracker) - before, 32 << 20)
        self.assert_serves()

    def test_a_flood_of_requests_delays_nobody_else(self):
        """Megabytes of requests that each look at many demands wait at the tracker's sockets."""
        self.start()
        hirer = self.keep(Lines(self.tracker.port))
        for job in range(64):
            self.assertTrue(hirer.ask(f"DEMAND 4000 {job:064} 9 rare").startswith("OK"))
        requests = b"IDLE 9\n" * 150000
        for _ in range(16):
            s = self.keep(connect(self.tracker.port))
            s.sendall(b"HELLO preon/1\n")
            s.setblocking(False)
            try:
                while True:
                    s.send(requests)
            except BlockingIOError:
                pass
        client = self.keep(Lines(self.tracker.port))
        longest = 0
        for _ in range(10):
            start = time.monotonic()
            self.assertEqual(client.ask("PING"), "PONG")
            longest = max(longest, time.monotonic() - start)
        self.assertLess(longest, 1.5)

    def test_a_flood_of_job_ids_meets_its_budget(self):
        self.start(host_entries=1000, lan_too=1, entries=50000)
        a = self.keep(Lines(self.tracker.port, "127.0.0.7"))
        answers = {}
        for start in range(0, 100000, 5000):
            a.say(*[f"INFORM 4000 {i:064x} 600" for i in range(start, start + 5000)])
            for _ in range(5000):
                answer = a.hear()
                answers[answer] = answers.get(answer, 0) + 1
        self.assertEqual(answers, {"OK 600": 1000,
                                   "BUSY 60 too many entries from your address": 99000})
        b = self.keep(Lines(self.tracker.port, "127.0.1.7"))
        self.assertEqual(b.ask(f"INFORM 4000 {JOB} 600"), "OK 600")

    def test_connections_have_a_budget_by_address(self):
        self.start(host_connections=20, net_connections=30, lan_too=1)
        first = [self.keep(connect(self.tracker.port, "127.0.0.2")) for _ in range(25)]
        self.assertEqual(sum(is_closed(s, 0.2) for s in first), 5)
        second = [self.keep(connect(self.tracker.port, "127.0.0.3")) for _ in range(15)]
        self.assertEqual(sum(is_closed(s, 0.2) for s in second), 5)
        with connect(self.tracker.port, "127.0.9.1") as s:
            s.sendall(b"QUERY idle\n")
            self.assertEqual(read_all(s), b"")

    def test_accepting_goes_on_when_descriptors_run_out(self):
        def few_descriptors():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

        self.start(preexec=few_descriptors, connections=1000)
        for _ in range(3):
            flood = [connect(self.tracker.port) for _ in range(300)]
            until = time.monotonic() + 10 * PATIENCE
            while sum(is_closed(s, 0.01) for s in flood) <= 200:
                self.assertLess(time.monotonic(), until)
            before = cpu_seconds(self.tracker)
            time.sleep(0.5)
            self.assertLess(cpu_seconds(self.tracker) - before, 0.3, "the loop spins")
            for s in flood:
                s.close()
            time.sleep(0.2)
            self.assert_serves()

    def test_resets_in_the_middle(self):
        self.start()
        for i in range(300):
            s = connect(self.tracker.port)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            s.send([b"QUERY idle", b"HELLO preon/1\nIDLE 4\n", b"INF", b""][i % 4])
            s.close()
        self.assert_serves()
        a = self.keep(Lines(self.tracker.port))
        for _ in range(100):
            if a.ask_list("QUERY idle 0")[1] == "END 0 0":
                break
            time.sleep(0.02)
        self.assertEqual(a.ask_list("QUERY idle 0"), ([], "END 0 0"))


if __name__ == "__main__":
    unittest.main()
