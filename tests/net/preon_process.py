"""The preon program as processes of a test: trackers, peers, commands, each with a deadline."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = os.environ["PREON_BUILD"]
PREON = os.path.join(BUILD, "preon")
LIAR = os.path.join(BUILD, "preon_liar")
SHORT = os.path.join(BUILD, "preon_short")
PATIENCE = float(os.environ.get("PREON_PATIENCE", "1"))  # times as long as a quiet machine needs
LACKS = os.environ.get("PREON_TEST_LACKS", "").split()  # what test.sh found refused here
SKIPPED = 77  # the exit code that ctest knows
# What no process may ever say: of sanitizers, of asserts, and of ports_uv.c.
DEFECT = re.compile(r".*(Sanitizer|runtime error|ssertion|a defect:).*")


class Server:
    """A tracker or peer. Its log goes to a file that is shown when a test fails."""

    def __init__(self, words, log, env, program=PREON):
        self.words = words
        self.log = log
        self.asked = self.killed = False
        self.file = open(log, "ab")
        self.process = subprocess.Popen([program] + words, stdout=subprocess.PIPE, stderr=self.file,
                                        stdin=subprocess.DEVNULL, env=env, text=True)
        self.ready = self._first_line(30 * PATIENCE)
        if "listening on " not in self.ready:
            self.kill()
            raise AssertionError(f"{words}: {self.ready!r}; {open(log).read()}")
        self.port = int(self.ready.rsplit(":", 1)[1]) if ":" in self.ready else 0

    def _first_line(self, seconds):
        lines = []
        reader = threading.Thread(target=lambda: lines.append(self.process.stdout.readline()))
        reader.daemon = True
        reader.start()
        reader.join(seconds)
        return lines[0] if lines else ""

    def ask_to_end(self):
        """Once: a second SIGTERM is for the impatient."""
        if self.process.poll() is None and not self.asked:
            self.asked = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """As an operator ends it: SIGTERM, and gone within five seconds."""
        self.ask_to_end()
        self.process.wait(5 * PATIENCE + 5)
        self.file.close()
        self.process.stdout.close()
        return self.process.returncode

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait(10)
        self.file.close()
        self.process.stdout.close()


class Net:
    """One test's world: a folder for everybody's data, and whoever was started in it."""

    def __init__(self):
        # Not below a deep build folder: a UNIX socket's path has at most 107 bytes.
        self.dir = tempfile.mkdtemp(prefix="preon-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.home = os.path.join(self.dir, "home")
        os.mkdir(self.home)
        # Slices that give way to whatever else runs would make a test as slow as that is busy.
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "LC_ALL": "C.UTF-8",
                    "PREON_PRIORITY": "normal"}
        for name in "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS":
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.servers = []
        self.tracker_port = 0
        self.last_words = ""

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def server(self, words, name, program=None):
        server = Server(words, self.path(name + ".log"), self.env, program or PREON)
        self.servers.append(server)
        return server

    def tracker(self, port=0):
        server = self.server(["tracker", "--host", "127.0.0.1", "--port", str(port)], "tracker")
        self.tracker_port = server.port
        return server

    def peer(self, name, threads=2, *more, program=None):
        return self.server(["peer", "--data", self.path(name), "--host", "127.0.0.1", "--port", "0",
                            "--tracker", f"127.0.0.1:{self.tracker_port}",
                            "--threads", str(threads), *more], name, program)

    def preon(self, *words, data="master", seconds=60, check=None):
        """Runs a command to its end; its exit code is checked when `check` is given."""
        words = list(words)
        if data is not None and words[0] not in ("tracker", "key", "nonce", "bench"):
            end = words.index("--") if "--" in words else len(words)
            words[end:end] = ["--data", self.path(data)]
        done = subprocess.run([PREON] + words, env=self.env, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=seconds * PATIENCE)
        unsound = done.returncode < 0 or DEFECT.search(done.stderr)
        if unsound or check is not None and done.returncode != check:
            raise AssertionError(f"{words}: exit {done.returncode}, not {check}\n{done.stdout}\n"
                                 f"{done.stderr}\n{self.logs()}")
        return done

    def json(self, *words, **more):
        return json.loads(self.preon(*words, "--json", check=0, **more).stdout)

    def create(self, *words, data="master"):
        """A job that runs by itself; its ID."""
        done = self.preon("job", "create", words[0], "--detach", *words[1:], data=data, check=0)
        return done.stdout.split()[-1]

    def runs(self, name, given=False):
        """The run log of a peer: (wall ms, "start" or "end", job, slice, rest), and "given"."""
        rows = []
        for log in "runs.log.1", "runs.log":
            path = self.path(name, log)
            if os.path.exists(path):
                with open(path) as f:
                    rows += [line.split() for line in f]
        return [(int(r[0]), r[1], r[2], int(r[3]), r[4:]) for r in rows if given or r[1] != "given"]

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.dir)):
            if name.endswith(".log"):
                with open(self.path(name), errors="replace") as f:
                    text += f"--- {name}\n" + f.read()[-4000:]
        return text

    def end_all(self):
        """As an operator would. Whoever does not end well, or had ended badly before and was not
        killed by the test, is an error of it; so is a defect in any log."""
        wrong = []
        for server in self.servers:
            server.ask_to_end()
        for server in self.servers:
            who = " ".join(server.words[:3])
            try:
                if server.stop() != 0 and not server.killed:
                    wrong.append(f"{who}: exit {server.process.returncode}")
            except subprocess.TimeoutExpired:
                server.kill()
                wrong.append(f"{who}: SIGTERM did not end it")
        for name in sorted(os.listdir(self.dir)):
            if name.endswith(".log"):
                with open(self.path(name), errors="replace") as f:
                    wrong += [f"{name}: {found.group()}" for found in DEFECT.finditer(f.read())]
        if wrong:
            raise AssertionError("\n".join(wrong))

    def close(self):
        try:
            self.end_all()
        finally:
            self.last_words = self.logs()
            shutil.rmtree(self.dir, ignore_errors=True)


class Case(unittest.TestCase):
    """A test in a world of its own, whose logs are shown when it fails."""

    make_net = Net

    def setUp(self):
        self.net = self.make_net()
        self.addCleanup(self.net.close)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and hasattr(self, "net"):
            print(self.net.last_words)
        return result


def wait_for(what, seconds, describe=""):
    """Polls a condition of another process's files; events are waited for where there are any."""
    until = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {describe}")


def needs(what):
    """Decorates a test, or all of a class, that a machine which refuses `what` has to leave out."""
    return unittest.skipIf(what in LACKS, f"needs {what}, which this machine refuses")


def need(what):
    """The same for a whole file."""
    if what in LACKS:
        print(f"skipped: needs {what}, which this machine refuses")
        sys.exit(SKIPPED)


def main():
    """unittest's, but a file of which some was left out has not passed: it ends with SKIPPED."""
    result = unittest.main(verbosity=2, exit=False).result
    if result.wasSuccessful() and result.skipped:
        reasons = ", ".join(sorted({reason for _, reason in result.skipped}))
        print(f"skipped: {len(result.skipped)} of {result.testsRun}: {reasons}")
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
