"""The original's text over real sockets: one request per connection, read until close."""
import socket
import time
import unittest

from tracker_process import Tracker, connect, read_all

JOB = "00112233445566778899aabbccddeeff" * 2


def ask(port, text):
    """As the original's client does it: connect, send, read until the other side closes."""
    with connect(port) as s:
        s.sendall(text.encode())
        return read_all(s).decode()


class Original(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tracker = Tracker()
        cls.port = cls.tracker.port

    @classmethod
    def tearDownClass(cls):
        cls.tracker.stop()

    def test_announce_list_withdraw(self):
        for job in "idle", JOB:
            self.assertEqual(ask(self.port, f"QUERY {job}\n"), "")
            self.assertEqual(ask(self.port, f"INFORM 42069 {job}\n"), "OK\n")
            self.assertEqual(ask(self.port, f"INFORM 42069 {job}\n"), "OK\n")
            self.assertEqual(ask(self.port, f"QUERY {job}\n"), "127.0.0.1 42069\n")
            self.assertEqual(ask(self.port, f"INFORM 42070 {job}\n"), "OK\n")
            listed = sorted(ask(self.port, f"QUERY {job}\n").splitlines())
            self.assertEqual(listed, ["127.0.0.1 42069", "127.0.0.1 42070"])
            self.assertEqual(ask(self.port, f"DELETE 42069 {job}\n"), "OK\n")
            self.assertEqual(ask(self.port, f"DELETE 42069 {job}\n"), "OK\n")
            self.assertEqual(ask(self.port, f"QUERY {job}\n"), "127.0.0.1 42070\n")
            self.assertEqual(ask(self.port, f"DELETE 42070 {job}\n"), "OK\n")

    def test_no_line_end_needed(self):
        self.assertEqual(ask(self.port, "INFORM 5000 idle"), "OK\n")
        self.assertEqual(ask(self.port, "QUERY idle"), "127.0.0.1 5000\n")
        self.assertEqual(ask(self.port, "DELETE 5000 idle\r\n"), "OK\n")
        self.assertEqual(ask(self.port, f"QUERY {JOB}"), "")

    def test_split_in_every_way(self):
        for text in "QUERY idle", f"INFORM 65535 {JOB}\n", f"DELETE 65535 {JOB}":
            wanted = "" if text.startswith("QUERY") else "OK\n"
            for cut in range(1, len(text)):
                with connect(self.port) as s:
                    s.sendall(text[:cut].encode())
                    if cut % 8 == 0:
                        time.sleep(0.002)
                    s.sendall(text[cut:].encode())
                    self.assertEqual(read_all(s).decode(), wanted, (text, cut))

    def test_a_byte_at_a_time(self):
        with connect(self.port) as s:
            for byte in b"INFORM 7001 idle":
                s.sendall(bytes([byte]))
                time.sleep(0.001)
            self.assertEqual(read_all(s), b"OK\n")
        self.assertEqual(ask(self.port, "DELETE 7001 idle\n"), "OK\n")

    def test_a_line_end_that_comes_late_does_not_reset(self):
        """The request is complete at its last word; the rest arrives after the answer."""
        with connect(self.port) as s:
            s.sendall(b"QUERY idle")
            time.sleep(0.05)
            s.sendall(b"\n")
            time.sleep(0.05)
            self.assertEqual(read_all(s), b"")

    def test_what_is_wrong_is_answered_and_not_kept(self):
        for text in (
            "INFORM 0 idle\n", "INFORM 70000 idle\n", "INFORM x idle\n", "INFORM 42069 hiring\n",
            "INFORM 42069 " + JOB[:-1] + "\n", "INFORM 42069 " + JOB.upper() + "\n",
            "GET / HTTP/1.1\r\n", "\n", "QUERY\n", "query idle\n", "QUERY idle idle\n",
            "\x16\x03\x01\x02\x00\n", "A" * 128,
        ):
            answer = ask(self.port, text)
            self.assertTrue(answer.startswith("ERROR "), (text, answer))
            self.assertEqual(answer.count("\n"), 1, (text, answer))
        self.assertEqual(ask(self.port, "QUERY idle\n"), "")

    def test_lists_are_in_random_order(self):
        ports = [str(port) for port in range(20000, 20010)]
        for port in ports:
            self.assertEqual(ask(self.port, f"INFORM {port} {JOB}\n"), "OK\n")
        orders = set()
        for _ in range(5):
            listed = [line.split()[1] for line in ask(self.port, f"QUERY {JOB}\n").splitlines()]
            self.assertEqual(sorted(listed), ports)
            orders.add(tuple(listed))
        self.assertGreater(len(orders), 1)
        for port in ports:
            self.assertEqual(ask(self.port, f"DELETE {port} {JOB}\n"), "OK\n")

    def test_not_hired_and_not_listed_to_persistent_clients(self):
        self.assertEqual(ask(self.port, f"INFORM 42069 {JOB}\n"), "OK\n")
        self.assertEqual(ask(self.port, "INFORM 42069 idle\n"), "OK\n")
        with connect(self.port) as s:
            s.sendall(f"HELLO preon/1\nQUERY {JOB} 50\nDEMAND 5000 {JOB} 4\nPING\n".encode())
            lines = s.makefile()
            self.assertEqual(lines.readline(), "HELLO preon/1 127.0.0.1 1800 45\n")
            self.assertEqual(lines.readline(), "END 0 0\n")
            self.assertEqual(lines.readline(), "OK 0\n")
            self.assertEqual(lines.readline(), "PONG\n")
        self.assertEqual(ask(self.port, f"DELETE 42069 {JOB}\n"), "OK\n")
        self.assertEqual(ask(self.port, "DELETE 42069 idle\n"), "OK\n")

    def test_end_of_stream_in_the_middle(self):
        with connect(self.port) as s:
            s.sendall(b"INFORM 42")
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(s), b"")


if __name__ == "__main__":
    unittest.main()
