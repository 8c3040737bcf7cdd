"""Who is given out as dialable: real hosts, one behind a router, liars, and ports that hang."""
import contextlib
import os
import socket
import ssl
import threading
import time
import unittest

import lab
from lab import Lab
from peer_client import CRITICAL, HELLO, Identity, Link, LyingTracker, hello_body
from preon_process import PATIENCE, Case, main, need, needs, wait_for
from tracker_process import Lines

JOB = "00112233445566778899aabbccddeeff" * 2
OTHER = "ff" * 32
UNDER_WAY_MAX = 64  # an eighth of the tracker's descriptors
CONNECT_S = 3
HOST_PORTS_MAX = 4


class Listener:
    """A port that takes connections; with a token it is a peer's, without one it hangs."""

    def __init__(self, host, address, port, identity=None, token=None):
        with host.here():
            self.socket = socket.create_server((address, port))
        self.identity = identity
        self.token = token
        self.taken = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                stream, (address, _) = self.socket.accept()
                self.taken.append(stream)
                self.dialler = address
                if self.token is not None:
                    self._be_peer(stream)

    def _be_peer(self, stream):
        with contextlib.suppress(OSError, ssl.SSLError):
            link = Link(self.identity.tls(server=True).wrap_socket(stream, server_side=True))
            link.send(HELLO, hello_body(token=self.token), flags=CRITICAL)
            self.taken[-1] = link

    def close(self):
        self.socket.close()
        for taken in self.taken:
            (taken.stream if isinstance(taken, Link) else taken).close()


class DialBack(Case):
    make_net = Lab

    def setUp(self):
        super().setUp()
        self.tracker_host = self.net.host("t", "192.0.2.10")
        self.net.tracker_at(self.tracker_host, ["prlimit", f"--nofile={8 * UNDER_WAY_MAX}"])

    def client(self, host, proof=None, source=None):
        """A tracker's client in that host."""
        with host.here():
            lines = Lines(7600, source, hello=False, at="192.0.2.10")
        self.addCleanup(lines.close)
        answer = lines.ask("HELLO preon/1" + (f" proof={proof}" if proof is not None else ""))
        self.assertTrue(answer.startswith("HELLO preon/1 "), answer)
        return lines

    def listener(self, *words, **more):
        listener = Listener(*words, **more)
        self.addCleanup(listener.close)
        return listener

    def listed(self, asker, job=JOB):
        return sorted(line.split()[1] for line in asker.ask_list(f"QUERY {job} 100")[0])

    @needs("sandbox")
    def test_who_can_be_reached_is_listed_and_who_cannot_is_hired_all_the_same(self):
        master = self.net.host("master", "192.0.3.20")
        reachable = self.net.host("open", "198.51.100.30")
        hidden = self.net.hidden_host("hidden", "203.0.113.40")
        asker = self.client(self.net.host("asker", "192.0.9.9"))
        for host, threads in (master, 0), (reachable, 2), (hidden, 2):
            self.net.peer_at(host, threads, *(["--jobs", "any"] if threads else []))
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("sleep 1\necho $PREON_SLICE > out.txt\n")
        data = self.net.path("data.bin")
        with open(data, "wb") as f:
            f.write(os.urandom(4 << 20))  # worth sharing among workers
        job = self.net.create("exec", "--slices", "200", "--quorum", "1", "--file", script,
                              "--file", data, "--output", "out.txt", "--", "sh", "crunch.sh")
        wanted = ["192.0.3.20", "198.51.100.30"]
        wait_for(lambda: self.listed(asker, job) == wanted, 10, "the reachable ones are listed")
        wait_for(lambda: all(self.net.runs(name) for name in ("open", "hidden")), 10, "both work")
        # the hidden one has told the tracker its port as well: it is known, but not given out
        wait_for(lambda: asker.ask_list(f"QUERY {job} 100")[1] == "END 2 3", 10, "it is known")
        self.net.preon("job", "cancel", job, check=0)
        self.assertEqual(self.net.preon("status", data="hidden").returncode, 0)

    def test_the_token_decides(self):
        host = self.net.host("h", "198.51.100.30")
        asker = self.client(self.net.host("asker", "192.0.9.9"))
        identity = Identity(self.net.dir, "somebody")
        liar = self.listener(host, "198.51.100.30", 4000, identity=identity, token=66)
        honest = self.listener(host, "198.51.100.30", 4001, identity=identity, token=7)
        client = self.client(host, proof=7)
        for port in 4000, 4001, 4002:
            self.assertEqual(client.ask(f"INFORM {port} {JOB} 600"), "OK 600")
        listed = ["PEER 198.51.100.30 4001"]
        wait_for(lambda: asker.ask_list(f"QUERY {JOB} 9") == (listed, "END 1 3"), 5)
        wait_for(lambda: liar.taken and isinstance(liar.taken[0], Link), 5)
        liar.taken[0].until_closed()  # the tracker has judged its token
        self.assertEqual(asker.ask("PING"), "PONG")
        self.assertEqual(asker.ask_list(f"QUERY {JOB} 9"), (listed, "END 1 3"))
        # each is asked once, and what it said counts for whoever claims it
        again = self.client(host, proof=66)
        for port in 4000, 4001, 4002:
            self.assertEqual(again.ask(f"INFORM {port} {OTHER} 600"), "OK 600")
        self.assertEqual(asker.ask_list(f"QUERY {OTHER} 9"),
                         (["PEER 198.51.100.30 4000"], "END 1 3"))
        self.assertEqual((len(liar.taken), len(honest.taken)), (1, 1))
        self.assertEqual(honest.dialler, "192.0.2.10")

    def test_ports_that_hang_cost_the_deadline(self):
        places = UNDER_WAY_MAX // HOST_PORTS_MAX
        addresses = [f"198.51.{100 + i}.1" for i in range(places)]
        hanging = self.net.host("hanging", *addresses)
        host = self.net.host("h", "192.0.3.20")
        good = self.listener(host, "192.0.3.20", 4000,
                             identity=Identity(self.net.dir, "somebody"), token=7)
        ports = [self.listener(hanging, address, 5000 + i)
                 for address in addresses for i in range(HOST_PORTS_MAX + 2)]
        client = self.client(host, proof=7)
        asker = self.client(self.net.host("asker", "192.0.9.9"))
        started = time.monotonic()  # when the first dial may begin
        for address in addresses:
            hangs = self.client(hanging, proof=7, source=address)
            for i in range(HOST_PORTS_MAX + 2):
                self.assertEqual(hangs.ask(f"INFORM {5000 + i} {JOB} 600"), "OK 600")
        wait_for(lambda: sum(len(p.taken) for p in ports) == UNDER_WAY_MAX, 5)
        self.assertEqual(client.ask(f"INFORM 4000 {JOB} 600"), "OK 600")
        self.assertEqual(self.listed(asker), [])  # all places are taken; nobody waits but it
        asked = time.monotonic()
        self.assertEqual(asker.ask("PING"), "PONG")
        self.assertLess(time.monotonic() - asked, CONNECT_S / 2)
        wait_for(lambda: self.listed(asker) == ["192.0.3.20"], CONNECT_S + 5)
        self.assertGreater(time.monotonic() - started, CONNECT_S - 1)
        self.assertEqual(len(good.taken), 1)
        # A later dial is done, and nobody was dialled again before it.
        self.listener(host, "192.0.3.20", 4001, identity=good.identity, token=7)
        self.assertEqual(client.ask(f"INFORM 4001 {OTHER} 600"), "OK 600")
        wait_for(lambda: self.listed(asker, OTHER) == ["192.0.3.20"], 5)
        self.assertEqual(asker.ask("PING"), "PONG")
        self.assertEqual(sum(len(p.taken) for p in ports), UNDER_WAY_MAX)

    def test_a_lying_tracker_turns_no_peer_against_a_host(self):
        liar_host = self.net.host("liar", "192.0.2.66")
        with liar_host.here():
            liar = LyingTracker(("192.0.2.66", 7600))
        self.addCleanup(liar.close)
        victim_host = self.net.host("victim", "198.51.100.30")
        victims = [self.listener(victim_host, "198.51.100.30", port)
                   for port in (25, 4000, 4001, 4002)]
        volunteer = self.net.host("volunteer", "192.0.3.20")
        own = self.listener(volunteer, "127.0.0.1", 4000)
        self.net.tracker_address = "192.0.2.66:7600"
        self.net.peer_at(volunteer, 64)
        wait_for(lambda: liar.clients, 10)
        for i in range(100):
            for port in 25, 4000, 4001, 4002:
                liar.hire(port, f"{i:02x}{port:04x}" + "0" * 58, "198.51.100.30")
            for lan in "127.0.0.1", "10.0.0.1", "224.0.0.1":
                liar.hire(4000, f"{i:02x}" + "1" * 62, lan)
        wait_for(lambda: len(liar.taken) + len(liar.passed) == liar.tokens, 10)
        wait_for(lambda: any(v.taken for v in victims), 5)
        time.sleep(1)
        self.assertEqual([len(v.taken) for v in victims], [0, 1, 0, 0])
        self.assertEqual(own.taken, [])
        self.assertEqual(len(liar.taken), 1)
        # more hosts than a minute has dials for, each in a network of its own
        for net in range(200):
            liar.hire(4000, f"{net:02x}" + "2" * 62, f"203.0.{net}.1")
        wait_for(lambda: len(liar.taken) + len(liar.passed) == liar.tokens, 10)
        self.assertEqual(len(liar.taken), 30)


if __name__ == "__main__":
    need("networks")
    lab.in_a_namespace_of_its_own()
    main()
