"""Persistent clients over real sockets: HELLO, lists, hiring, many requests in one packet."""
import time
import unittest

from tracker_process import PATIENCE, Lines, Tracker

JOB = "00112233445566778899aabbccddeeff" * 2


class Persistent(unittest.TestCase):
    def setUp(self):
        self.tracker = Tracker(ttl=5, list_unverified=1)
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.tracker.stop()

    def client(self, source=None):
        self.clients.append(Lines(self.tracker.port, source))
        return self.clients[-1]

    def test_inform_query_expire(self):
        a, b = self.client(), self.client("127.0.0.2")
        self.assertEqual(a.hello, "HELLO preon/1 127.0.0.1 5 45")
        self.assertEqual(b.hello, "HELLO preon/1 127.0.0.2 5 45")
        self.assertEqual(a.ask(f"INFORM 4000 {JOB} 300"), "OK 5")
        self.assertEqual(b.ask_list(f"QUERY {JOB} 50"), (["PEER 127.0.0.1 4000"], "END 1 1"))
        self.assertEqual(a.ask_list(f"QUERY {JOB} 50"), ([], "END 0 1"))
        self.assertEqual(a.ask(f"DELETE 4000 {JOB}"), "OK 0")
        self.assertEqual(b.ask_list(f"QUERY {JOB} 50"), ([], "END 0 0"))
        self.assertEqual(a.ask(f"INFORM 4000 {JOB} 5"), "OK 5")
        until = time.monotonic() + 10 * PATIENCE
        while b.ask_list(f"QUERY {JOB} 50") != ([], "END 0 0"):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)

    def test_hire_take_pass(self):
        worker, master = self.client("127.0.0.3"), self.client("127.0.0.2")
        self.assertEqual(worker.ask("IDLE 4 full nonce@1"), "OK 0")
        start = time.monotonic()
        self.assertEqual(master.ask(f"DEMAND 5000 {JOB} 16 nonce@1"), "OK 1")
        word, token, ip, port, job = worker.hear().split()
        self.assertLess(time.monotonic() - start, 5 * PATIENCE)  # pushed; else it is never said
        self.assertEqual((word, ip, port, job), ("HIRE", "127.0.0.2", "5000", JOB))
        worker.say(f"TAKE {token}")
        late = self.client("127.0.0.4")
        self.assertEqual(late.ask("IDLE 4 nonce@1"), "OK 1")
        token = late.hear().split()[1]
        late.say(f"PASS {token}")
        self.assertEqual(late.ask("PING"), "PONG")
        self.assertEqual(worker.ask("IDLE 0"), "OK 0")
        self.assertEqual(master.ask_list("QUERY idle 0"), ([], "END 0 1"))
        self.assertEqual(late.ask_list("QUERY hiring 9"),
                         ([f"WANT 127.0.0.2 5000 {JOB} 12"], "END 1 1"))
        master.close()
        self.clients.remove(master)
        until = time.monotonic() + 10 * PATIENCE
        while time.monotonic() < until:
            if late.ask_list("QUERY hiring 9") == ([], "END 0 0"):
                break
            time.sleep(0.02)
        self.assertEqual(late.ask_list("QUERY hiring 9"), ([], "END 0 0"))

    def test_many_requests_in_one_packet_are_answered_in_order(self):
        a = self.client()
        count = 5000
        a.say(*[f"INFORM {1024 + i % 60000} {JOB} 2" if i % 2 else "PING" for i in range(count)])
        for i in range(count):
            self.assertEqual(a.hear(), "OK 2" if i % 2 else "PONG")

    def test_the_first_wrong_line_is_answered_and_the_last(self):
        for wrong in "HELLO preon/1", "INFORM 1 idle 5", "inform", "", "TAKE x", "\xff" * 300:
            a = self.client()
            self.assertTrue(a.ask(wrong).startswith("ERROR "), wrong)
            self.assertEqual(a.hear(), "", wrong)

    def test_split_at_every_byte(self):
        a = self.client()
        text = f"INFORM 4000 {JOB} 2\r\nPING\nQUERY {JOB} 0\n".encode()
        for byte in text:
            a.socket.sendall(bytes([byte]))
        self.assertEqual([a.hear() for _ in range(3)], ["OK 2", "PONG", "END 0 1"])


if __name__ == "__main__":
    unittest.main()
