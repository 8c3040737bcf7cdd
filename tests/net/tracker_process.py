"""A tracker as a child process, for the tests of this folder."""
import os
import signal
import socket
import subprocess

PATIENCE = float(os.environ.get("PREON_PATIENCE", "1"))


class Tracker:
    """Starts at once; port 0 takes any free one. Limits as in tracker_main.c: entries=10."""

    def __init__(self, port=0, preexec=None, **limits):
        program = os.path.join(os.environ["PREON_BUILD"], "tests", "net", "tracker_main")
        words = [f"{name.replace('_', '-')}={value}" for name, value in limits.items()]
        # freed memory that a sanitizer keeps would hide what the tracker itself keeps
        options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        env = dict(os.environ, ASAN_OPTIONS=options)
        self.process = subprocess.Popen([program, f"127.0.0.1:{port}"] + words, env=env,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=preexec)
        ready = self.process.stdout.readline()
        assert ready.startswith("preon tracker: listening on 127.0.0.1:"), ready
        self.port = int(ready.rsplit(":", 1)[1])

    def stop(self):
        """Ends it as an operator would; it must end well, and soon."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10 * PATIENCE)
        self.process.stdout.close()
        assert status == 0, f"tracker ended with {status}"

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def connect(port, source=None, at="127.0.0.1"):
    s = socket.socket()
    s.settimeout(20 * PATIENCE)
    if source is not None:
        s.bind((source, 0))
    s.connect((at, port))
    return s


def read_all(s):
    """Everything until the other side closes."""
    parts = []
    while True:
        part = s.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


class Lines:
    """A persistent client: says lines, reads lines."""

    def __init__(self, port, source=None, hello=True, at="127.0.0.1"):
        self.socket = connect(port, source, at)
        self.file = self.socket.makefile("r", newline="\n")
        if hello:
            self.say("HELLO preon/1")
            self.hello = self.hear()
            assert self.hello.startswith("HELLO preon/1 "), self.hello

    def say(self, *lines):
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def hear(self):
        """One line without its end; "" when the other side has closed."""
        return self.file.readline().rstrip("\n")

    def ask(self, line):
        self.say(line)
        return self.hear()

    def ask_list(self, line):
        """The lines of a list, and its END line."""
        self.say(line)
        listed = []
        while True:
            heard = self.hear()
            if not heard or heard.startswith(("END ", "BUSY ", "ERROR ")):
                return listed, heard
            listed.append(heard)

    def close(self):
        self.file.close()
        self.socket.close()
