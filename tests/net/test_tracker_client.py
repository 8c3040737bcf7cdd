"""The peer's side against real trackers: hiring, a killed tracker, dead, strange and several ones."""
import os
import queue
import re
import socket
import subprocess
import threading
import time
import unittest

from tracker_process import PATIENCE, Lines, Tracker

JOB = "00112233445566778899aabbccddeeff" * 2
OTHER = "ff" * 32


class Client:
    """tracker_client_main as a child; its lines arrive in a queue."""

    def __init__(self, trackers, *words):
        program = os.path.join(os.environ["PREON_BUILD"], "tests", "net", "tracker_client_main")
        self.process = subprocess.Popen([program, trackers, *words], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        self.heard = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def wait_for(self, pattern, seconds=10):
        """The first line that matches, from now on."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} within {seconds} s: {self.heard}") from None
            self.heard.append(line)
            if re.search(pattern, line):
                return line

    def stop(self):
        self.process.stdin.close()
        status = self.process.wait(10)
        self.process.stdout.close()
        assert status == 0, f"client ended with {status}"


class TrackerClient(unittest.TestCase):
    def setUp(self):
        self.trackers = []
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.stop()
        for tracker in self.trackers:
            tracker.stop()

    def tracker(self, port=0):
        self.trackers.append(Tracker(port, list_unverified=1))
        return self.trackers[-1]

    def client(self, *words):
        self.clients.append(Client(*words))
        return self.clients[-1]

    def test_two_peers_find_each_other_and_work(self):
        at = f"127.0.0.1:{self.tracker().port}"
        master = self.client(at, f"serve={JOB}:5000", f"demand={JOB}:5000:16:nonce@1")
        master.wait_for("why no idle peer at tracker .*; start `preon peer`")
        worker = self.client(at, "idle=4:full nonce@1", f"query={JOB}")
        worker.wait_for(f"hire 127.0.0.1:5000 {JOB}")
        worker.wait_for(f"peers {JOB} 127.0.0.1:5000$")

    def fail_dials(self, port, count):
        """Hangs up on so many dials in all: who has lost a tracker already waits long between two."""
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(30)
            for _ in range(count):
                listener.accept()[0].close()

    def test_a_killed_tracker_knows_everybody_again_within_30_s(self):
        tracker = self.tracker()
        at = f"127.0.0.1:{tracker.port}"
        workers = [self.client(at, f"serve={JOB}:{4000 + i}", f"idle=1:w{i}") for i in range(12)]
        for worker in workers:
            worker.wait_for("ready 1")
        tracker.kill()
        self.trackers.remove(tracker)
        for worker in workers:
            worker.wait_for("ready 0")
        self.fail_dials(tracker.port, len(workers))
        again = self.tracker(tracker.port)
        started = time.monotonic()
        asker = Lines(again.port)
        while True:
            listed, _ = asker.ask_list(f"QUERY {JOB} 50")
            idle = asker.ask_list("QUERY idle 0")[1]
            if len(listed) == 12 and idle == "END 0 12":
                break
            self.assertLess(time.monotonic() - started, 30, (listed, idle))
            time.sleep(0.1)
        # and hires them again
        asker.ask(f"DEMAND 5000 {OTHER} 12")
        for worker in workers:
            worker.wait_for(f"hire 127.0.0.1:5000 {OTHER}")
        asker.close()

    def test_a_dead_tracker_among_two_is_no_harm(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            dead = f"127.0.0.1:{nobody.getsockname()[1]}"
            alive = f"127.0.0.1:{self.tracker().port}"
            worker = self.client(f"{dead},{alive}", "idle=2:")
            worker.wait_for(f"why tracker {dead}: connection refused; start")
            master = self.client(f"{alive},{dead}", f"demand={JOB}:5000:2:")
            worker.wait_for(f"hire 127.0.0.1:5000 {JOB}")
            master.wait_for("ready 1")

    def test_a_name_is_looked_up(self):
        worker = self.client(f"localhost:{self.tracker().port}", "idle=2:")
        worker.wait_for("ready 1")

    def strange(self, answer):
        """A listener that answers this to whatever comes."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                with conn:
                    conn.recv(4096)
                    conn.sendall(answer)
                    time.sleep(0.2)

        threading.Thread(target=serve, daemon=True).start()
        return self.client(f"127.0.0.1:{listener.getsockname()[1]}", "idle=2:")

    def test_garbage_is_called_garbage(self):
        self.strange(b"HTTP/1.1 400 Bad Request\r\n\r\n").wait_for(
            "why tracker .*: answers garbage: unknown word at the start of the line")
        self.strange(b"\x00" * 5000).wait_for("answers garbage: a line without end")
        self.strange(b"HELLO preon/1 127.0.0.1 300 45\nPEER 1.2.3.4 5\n").wait_for(
            "answers what was not asked: PEER 1.2.3.4 5")
        self.strange(b"").wait_for("closed the connection")


if __name__ == "__main__":
    unittest.main()
