"""What the command says to bad input: one clear line, exit 2, and nothing changed on disk."""
import hashlib
import os
import socket
import stat
import subprocess
import threading
import time
import unittest

from preon_process import PATIENCE, PREON, Case, wait_for

U64_MAX = 2**64 - 1


class Cli(Case):
    def tree(self):
        """Every file below the test's folder, with its mode and the hash of what it holds."""
        found = []
        for folder, _, names in os.walk(self.net.dir):
            found.append(folder)
            for path in (os.path.join(folder, name) for name in names):
                mode = os.lstat(path).st_mode
                held = ""
                if stat.S_ISREG(mode) and os.access(path, os.R_OK):
                    with open(path, "rb") as f:
                        held = hashlib.sha256(f.read()).hexdigest()
                found.append(f"{path} {mode:o} {held}")
        return sorted(found)

    def write(self, name, content, mode="w"):
        path = self.net.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, mode) as f:
            f.write(content)
        return path

    def refused(self, words, *fragments, code=2, env=None):
        """Exit code, one line on stderr that holds every fragment, and an untouched disk."""
        before = self.tree()
        self.net.env.update(env or {})
        done = self.net.preon(*words)
        for name in env or {}:
            del self.net.env[name]
        said = f"{words}: exit {done.returncode}: {done.stderr!r}"
        self.assertEqual(done.returncode, code, said)
        self.assertEqual(done.stdout, "", said)
        self.assertTrue(done.stderr.startswith("preon: "), said)
        self.assertEqual(done.stderr.count("\n"), 1, said)
        for fragment in fragments:
            self.assertIn(fragment, done.stderr, said)
        self.assertEqual(self.tree(), before, said)


class BadOptions(Cli):
    def test_unknown_words(self):
        self.refused(["job", "create", "nonce", "--diffculty", "3"], "--diffculty", "--difficulty")
        self.refused(["jbo", "list"], "'jbo'", "'job'")
        self.refused(["job", "create", "nonec"], "'nonec'", "'nonce'")
        self.refused(["job", "status"], "job ID")
        self.refused(["job", "status", "XYZ"], "XYZ", "hex")

    def test_nonce(self):
        nonce = ["job", "create", "nonce"]
        self.refused(nonce + ["--difficulty", "0"], "--difficulty", "0", "1 to 256")
        self.refused(nonce + ["--difficulty", "257"], "--difficulty", "257", "1 to 256")
        self.refused(nonce + ["--slices", "0"], "--slices", "0", "1 to 16777216")
        self.refused(nonce + ["--slices", "16777217"], "--slices", "16777217", "16777216")
        self.refused(nonce + ["--count", "3", "--slices", "4"], "slices", "4", "3")
        self.refused(nonce + ["--start", str(U64_MAX), "--count", "2"], "--count", str(U64_MAX))
        self.refused(nonce + ["--start", str(U64_MAX + 1)], "--start", str(U64_MAX + 1))
        self.refused(nonce + ["--append", "octal"], "--append", "octal", "decimal")
        self.refused(nonce + ["--header", "00" * 79], "--header", "158", "160")
        self.refused(nonce + ["--block-hex", "abc"], "--block-hex")
        self.refused(nonce + ["--block-file", "/nowhere/at/all"], "--block-file", "/nowhere/at/all")
        self.refused(nonce + ["--name", "a/b"], "a/b")
        self.refused(nonce + ["--timeout", "soon"], "--timeout", "soon")

    def test_exec(self):
        words = ["job", "create", "exec"]
        for name in "../x", "/x", "a/../b", ".", "a//b", "a\tb":
            self.refused(words + ["--output", name, "--", "true"], "--output", "name")
        self.refused(words + ["--output", "a", "--output", "a", "--", "true"], "'a'", "twice")
        self.refused(words + ["--output", "a", "--output", "a/b", "--", "true"], "'a/b'", "folder")
        self.refused(words + ["--file", "/nowhere/x", "--", "true"], "/nowhere/x", "No such file")
        self.refused(words + ["--file", self.net.home, "--", "true"], "not a regular file")
        self.refused(words + ["--file", "../a=/etc/passwd", "--", "true"], "../a")
        self.refused(words + ["--env", "1=2", "--", "true"], "1=2")
        self.refused(words + ["--env", "PREON_OUT=x", "--", "true"], "PREON_OUT")
        self.refused(words + ["--dep", "a=12", "--", "true"], "--dep", "64")
        self.refused(words + ["--dep", "a=" + "12" * 32, "--", "true"], "'a'", "datasets", "files")
        self.refused(words + ["--memory", "1k", "--", "true"], "--memory")
        self.refused(words + ["--quorum", "17", "--", "true"], "--quorum", "17", "1 to 16")
        self.refused(words + ["--env", "A=" + "x" * 60000, "--", "true"], "environment", "57344")
        self.refused(words + ["--", "file:gone"], "file:gone", "[files]")
        self.refused(words, "command")

    def test_unreadable_file(self):
        # Unreadable for root too.
        self.refused(["job", "create", "exec", "--file", "/proc/self/mem", "--", "true"],
                     "/proc/self/mem", "error")

    def test_mandelbrot(self):
        words = ["job", "create", "mandelbrot"]
        self.refused(words + ["--width", "0"], "--width", "0")
        self.refused(words + ["--height", "2", "--slices", "3"], "3")
        self.refused(words + ["--zoom", "x"], "--zoom")

    def test_servers(self):
        self.refused(["peer", "--threads", "1025"], "--threads", "1025", "1024")
        self.refused(["peer", "--tracker", "a b"], "a b", "HOST:PORT")
        nine = [word for n in range(9) for word in ("--tracker", f"127.0.0.1:{n + 1}")]
        self.refused(["peer"] + nine, "--tracker", "at most 8")
        self.refused(["job", "create", "nonce"] + nine, "--tracker", "at most 8")
        self.refused(["peer", "--dtaa", "x"], "--dtaa", "--data")
        self.refused(["peer", "--lokk"], "--lokk; see --help")
        if os.geteuid() == 0:
            self.refused(["peer", "--user", "nobodyhere"], "--user", "nobodyhere", "not root")
            self.refused(["peer", "--user", "root"], "--user", "root")
        self.refused(["peer", "--tracker", "host:70000"], "host:70000")
        self.refused(["peer", "--owner", "abc"], "--owner", "64")
        self.refused(["peer", "--jobs", "solitaire"], "--jobs", "solitaire", "nonce")
        self.refused(["peer", "--host", "example"], "--host", "example")
        self.refused(["tracker", "--port", "65536"], "--port", "65536", "65535")
        self.refused(["tracker", "--log-level", "loud"], "--log-level", "loud")

    def test_where_results_go(self):
        """Before the job runs for hours."""
        taken = self.write("taken", "a file\n")
        for words in (["job", "create", "nonce"], ["job", "resume", "a"], ["job", "results", "a"],
                      ["job", "submit", self.net.home]):
            self.refused(words + ["-o", ""], "--into", "empty")
            self.refused(words + ["-o", taken], "--into", taken, "not a folder")
            self.refused(words + ["-o", taken + "/deep/er"], "--into", "Not a directory")

    def test_settings_file(self):
        self.write("home/.config/preon/preon.conf", "trakcer = a\n")
        self.refused(["status"], "preon.conf", "line 1", "trakcer", "'tracker'")

    def test_nonce_verify(self):
        self.refused(["nonce", "verify"], "--nonce")
        self.refused(["nonce", "verify", "--append", "le32", "--nonce", str(2**32)], str(2**32))


class BadOptionsWithData(BadOptions):
    """The same where there is something to lose: a key, and a folder that holds a job."""

    def setUp(self):
        super().setUp()
        self.net.preon("job", "create", "nonce", "--difficulty", "8", "--tracker", "127.0.0.1:9",
                       check=0)
        self.assertIn("ledger.db", os.listdir(self.net.path("master")))


class BadSettings(Cli):
    """Values that stand elsewhere than on the command line: the sentence says where."""

    def setUp(self):
        super().setUp()
        self.net.env = {k: v for k, v in self.net.env.items() if not k.startswith("PREON_")}

    CREATE = ["job", "create", "nonce"]
    BAD = [
        ("threads", "many", ["peer"], "0 to 1024"),
        ("threads", "many", CREATE, "0 to 1024"),
        ("threads", "1025", ["job", "resume", "a"], "0 to 1024"),
        ("tracker", "here:99999", ["peer"], "1 to 65535"),
        ("tracker", "here, there:0", CREATE, "1 to 65535"),
        ("port", "65536", ["peer"], "0 to 65535"),
        ("host", "example", ["peer"], "an IP address"),
        ("tracker-port", "-1", ["tracker"], "0 to 65535"),
        ("tracker-host", "example", ["tracker"], "an IP address"),
        ("lan", "maybe", ["peer"], "yes or no"),
        ("priority", "high", ["peer"], "low or normal"),
        ("owner", "abc", ["peer"], "64 lower-case hex digits"),
        ("jobs", "solitaire", ["peer"], "own, any"),
        ("log-level", "loud", ["peer"], "error, warn, info, debug"),
    ]

    def test_in_the_environment(self):
        for name, value, words, allowed in self.BAD:
            variable = "PREON_" + name.upper().replace("-", "_")
            self.refused(words, f"{variable}: ", value.split()[-1], allowed, env={variable: value})

    def test_in_the_file(self):
        for variable in [v for v in self.net.env if v.startswith("PREON_")]:
            del self.net.env[variable]  # it would go before
        for name, value, words, allowed in self.BAD:
            self.write("home/.config/preon/preon.conf", f"# mine\n\n{name} = {value}\n")
            self.refused(words, f"preon.conf: line 3: {name}: ", value.split()[-1], allowed)

    def test_the_file_itself(self):
        for text, *fragments in [
                ("trakcer = a\n", "line 1", "'trakcer'", "did you mean 'tracker'"),
                ("threads = 1\n\nthreads = 2\n", "line 3", "'threads'", "twice"),
                ("threads\n", "line 1", "'threads'", "name = value"),
                ("threads = 1\0\n", "not a text"),
                ("#" * 70000, "over 65536 bytes")]:
            self.write("home/.config/preon/preon.conf", text)
            for words in ["status"], self.CREATE, ["peer"]:
                self.refused(words, "preon.conf", *fragments)

    def test_which_goes_before_which(self):
        dry = self.CREATE + ["--difficulty", "1", "--tracker", "127.0.0.1:9", "--json"]
        self.write("home/.config/preon/preon.conf", "threads = many\n")
        self.net.env["PREON_THREADS"] = "1"
        self.net.preon(*dry, check=0)  # the environment before the file
        self.net.env["PREON_THREADS"] = "many"
        self.net.preon(*dry, "--threads", "1", check=0)  # an option before both
        self.net.env["PREON_THREADS"] = ""
        self.net.preon(*dry, check=2)  # an empty variable is none


class BadKeys(Cli):
    """A key that cannot be used is left as it is, whatever it is for."""

    def bad(self, *fragments):
        for words in ["key"], ["job", "create", "nonce", "--difficulty", "1"]:
            self.refused(words + ["--key", self.net.path("my.key")], "my.key", *fragments)

    def test_keys(self):
        self.net.preon("key", "--key", self.net.path("my.key"), check=0)
        with open(self.net.path("my.key")) as f:
            good = f.read()
        for text in "", "garbage\n", good[:60], good.replace("A", "B"):
            self.write("my.key", text)
            self.bad("not an Ed25519 private key")
        self.write("my.key", good)
        os.chmod(self.net.path("my.key"), 0o640)
        self.bad("mode 0640", "chmod 600")
        os.unlink(self.net.path("my.key"))
        os.mkdir(self.net.path("my.key"))
        self.bad("directory")


class BadManifest(Cli):
    def setUp(self):
        super().setUp()
        script = self.write("src/crunch.sh", "echo $PREON_SLICE > $PREON_OUT/out.txt\n")
        done = self.net.preon("job", "create", "exec", "--file", script, "--output", "out.txt",
                              "--dry-run", "--", "sh", "crunch.sh", check=0)
        self.text = done.stdout
        self.write("job/crunch.sh", "echo $PREON_SLICE > $PREON_OUT/out.txt\n")
        self.write("job/manifest", self.text)

    def bad(self, text, *fragments):
        self.write("job/manifest", text, "wb" if isinstance(text, bytes) else "w")
        self.refused(["job", "submit", self.net.path("job")], self.net.path("job"), *fragments)

    def test_the_text(self):
        self.assertIn("[exec]\narg = system:sh\narg = crunch.sh\n", self.text)
        self.bad(self.text[:-3], "truncated")
        self.bad(self.text[:self.text.index("[requires]")], "system")
        self.bad(self.text.replace("slices = 1", "slices = 01"), "line 4", "slices = 01")
        self.bad(self.text.replace("\n", "\r\n"), "line 1")
        self.bad(self.text.replace("[dynamic]", "[dynamics]"), "[dynamics]")
        self.bad(self.text + "\n", "line")
        self.bad(self.text.replace("out.txt", "../out.txt"), "../out.txt")
        self.bad(b"\xff" + self.text.encode(), "line 1")
        self.bad("", "line 1")
        self.bad(self.text + "#" * 1024 * 1024, "1048576")

    def bad_no_path(self, *fragments):
        self.refused(["job", "submit", self.net.path("job")], *fragments)

    def test_who_signed(self):
        owner = self.text[self.text.index("owner = "):][8:72]
        self.bad(self.text.replace(owner, "00" * 32), "not signed", "not your key")
        self.write("job/manifest", self.text)
        self.write("job/signature", "00" * 64 + "\n")
        self.bad_no_path("signature", "not the owner's")
        self.write("job/signature", "zz\n")
        self.bad_no_path("signature", "128")

    def test_its_files(self):
        self.write("job/crunch.sh", "something else\n")
        self.bad_no_path("crunch.sh", "not what the manifest says")
        os.unlink(self.net.path("job/crunch.sh"))
        self.bad_no_path("crunch.sh", "No such file")
        os.unlink(self.net.path("job/manifest"))
        self.bad_no_path("manifest", "No such file")


class WhoIsThere(Cli):
    """Errors that are nobody's input: exit 1 or 4, and still one clear line."""

    def test_port_in_use(self):
        tracker = self.net.tracker()
        done = self.net.preon("tracker", "--host", "127.0.0.1", "--port", str(tracker.port),
                              check=1)
        self.assertIn(str(tracker.port), done.stderr)
        self.assertIn("in use", done.stderr)

    def test_nobody(self):
        done = self.net.preon("status", check=4)
        self.assertIn("no peer runs", done.stderr)
        self.net.preon("job", "list", check=4)
        self.assertFalse(os.path.exists(self.net.path("master")))

    def test_a_socket_that_is_no_peers(self):
        os.mkdir(self.net.path("master"))
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.net.path("master", "control.sock"))
        server.listen(8)

        def garbage():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                client.settimeout(1)
                try:
                    client.recv(4096)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                except OSError:
                    pass
                client.close()

        thread = threading.Thread(target=garbage, daemon=True)
        thread.start()
        for words in ["status"], ["job", "list"], ["job", "create", "nonce"]:
            done = self.net.preon(*words, check=4)
            self.assertIn("no preon peer", done.stderr)
        server.close()
        self.assertEqual(os.listdir(self.net.path("master")), ["control.sock"])

    def test_a_socket_that_never_answers(self):
        os.mkdir(self.net.path("master"))
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(self.net.path("master", "control.sock"))
        server.listen(4)
        begin = time.monotonic()
        done = self.net.preon("job", "create", "nonce", check=4)
        self.assertIn(f"process {os.getpid()} listens there and does not answer", done.stderr)
        self.assertLess(time.monotonic() - begin, 8 * PATIENCE)
        full = False
        while not full:  # its queue
            waiting = socket.socket(socket.AF_UNIX)
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            try:
                waiting.connect(self.net.path("master", "control.sock"))
            except BlockingIOError:
                full = True
        done = self.net.preon("status", check=4)
        self.assertIn("nobody accepts there", done.stderr)
        self.assertEqual(os.listdir(self.net.path("master")), ["control.sock"])

    def test_detached_needs_a_peer(self):
        for words in ["job", "create", "nonce", "--detach"], ["job", "resume", "a", "--detach"]:
            done = self.net.preon(*words, check=4)
            self.assertIn("--detach: no peer runs on data folder", done.stderr)
        self.assertFalse(os.path.exists(self.net.path("master")))

    def test_a_folder_in_use(self):
        self.net.tracker()
        self.net.peer("master")
        done = self.net.preon("peer", "--tracker", f"127.0.0.1:{self.net.tracker_port}", check=1)
        self.assertIn(self.net.path("master"), done.stderr)


class Good(Cli):
    def test_help_and_version_are_everywhere(self):
        listed = self.net.preon("--help", data=None, check=0).stdout
        commands = [line.split("  ")[1].removeprefix("preon ") for line in listed.splitlines()
                    if line.startswith("  preon ")]
        self.assertGreater(len(commands), 15)
        for command in commands:
            shown = self.net.preon(*command.split(), "--help", data=None, check=0).stdout
            self.assertIn(f"usage: preon {command}", shown)
            self.assertEqual("--json" in shown, command not in ("tracker", "peer"), command)
            self.assertEqual(self.net.preon("help", *command.split(), data=None, check=0).stdout,
                             shown)
            for hidden in "--look", "--ready-fd", "--dep ":
                self.assertNotIn(hidden, shown)
        self.assertRegex(self.net.preon("--version", data=None, check=0).stdout, r"^preon \d+\.\d+")

    def test_a_noun_without_its_verb(self):
        done = self.net.preon("job", data=None, check=2)
        self.assertTrue(done.stderr.startswith("preon: job: which of these?\n"), done.stderr)
        self.assertIn("preon job list", done.stderr)
        done = self.net.preon("help", "job", data=None, check=0)
        self.assertIn("preon job list", done.stdout)
        self.assertNotIn("preon tracker", done.stdout)
        self.refused(["help", "jbo"], "'jbo'", "'job'")

    def test_who_has_no_home(self):
        """As in a container whose user has no name: what needs no folder asks for none."""
        del self.net.env["HOME"]
        words = ["setpriv", "--reuid", "54321", "--clear-groups", PREON]
        if os.geteuid() != 0:
            words = [PREON]
            self.net.env["HOME"] = "nowhere"
        done = subprocess.run(words + ["nonce", "verify", "--nonce", "1", "--difficulty", "9"],
                              env=self.net.env, text=True, capture_output=True,
                              timeout=60 * PATIENCE)
        self.assertEqual(done.returncode, 5, done.stderr)
        tracker = subprocess.Popen(words + ["tracker", "--host", "127.0.0.1", "--port", "0"],
                                   env=self.net.env, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.assertIn("listening on 127.0.0.1:", tracker.stdout.readline())
        tracker.terminate()
        self.assertEqual(tracker.wait(10), 0)
        tracker.stdout.close()

    def test_where_a_tracker_listens_is_not_where_peers_do(self):
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port = taken.getsockname()[1]
        self.net.env["PREON_PORT"] = str(port)
        self.net.tracker_port = 9
        self.net.env["PREON_TRACKER_PORT"] = "0"
        self.net.server(["tracker", "--host", "127.0.0.1"], "tracker")
        self.net.preon("job", "list", check=4)
        os.mkdir(self.net.path("master"))
        os.chmod(self.net.path("master"), 0o777)
        self.assertEqual(self.net.json("job", "list")["jobs"], [])  # who looks does not listen
        self.net.env["PREON_PORT"] = "0"
        self.net.env["PREON_TRACKER_PORT"] = str(port)
        self.net.peer("master")
        done = self.net.preon("tracker", "--host", "127.0.0.1", check=1)
        self.assertIn(f":{port}: ", done.stderr)

    def test_doctor_builds_a_sandbox(self):
        found = {check["name"]: check for check in self.net.json("doctor")["checks"]}
        self.assertEqual(found["programs"]["finding"], "ok")
        tier = found["sandbox"]["text"].replace(":", " ").replace(",", " ").split()[0]
        self.assertIn(tier, ("full", "reduced", "none"))
        self.net.tracker()
        self.assertIn("reached", self.net.preon("doctor", "--tracker",
                                                f"127.0.0.1:{self.net.tracker_port}", check=0).stdout)
        # A name with two addresses, of which the first is nobody's: localhost is ::1, too.
        self.assertIn("reached", self.net.preon("doctor", "--tracker",
                                                f"localhost:{self.net.tracker_port}", check=0).stdout)
        self.net.peer("master")  # tells the same, having built one for itself
        again = {check["name"]: check for check in self.net.json("doctor")["checks"]}
        self.assertEqual(again["sandbox"], found["sandbox"])

    def test_doctor_knows_whether_anybody_came_in(self):
        def listening():
            found = [c for c in self.net.json("doctor")["checks"] if c["name"] == "listening"]
            return [(c["finding"], c["text"].split(", ", 1)[1]) for c in found]

        self.assertEqual(listening(), [])  # nobody listens
        self.net.tracker()
        peer = self.net.peer("master", 0)
        self.assertEqual(listening(), [("ok", "where nobody has come in so far")])
        endless = self.net.create("nonce", "--difficulty", "60", "--count", str(2**44))
        self.net.peer("worker", 1)
        wait_for(lambda: self.net.json("job", "status", endless)["workers"] > 0, 20)
        (finding, text), = listening()
        self.assertEqual(finding, "ok")
        self.assertRegex(text, r"^reached from 127\.0\.0\.1:\d+ \d")
        self.assertIn(f":{peer.port}", self.net.json("status")["listening"])

    def test_verify_says_what_others_say(self):
        inner = hashlib.sha256(b"COMSM0010cloud9248").digest()
        done = self.net.preon("nonce", "verify", "--nonce", "9248", "--difficulty", "17", data=None,
                              check=0)
        self.assertIn(hashlib.sha256(inner).hexdigest(), done.stdout)
        self.net.preon("nonce", "verify", "--nonce", "9248", "--difficulty", "18", data=None, check=5)
        found = self.net.json("nonce", "verify", "--nonce", "9248", "--difficulty", "17", data=None)
        self.assertEqual((found["schema"], found["zero_bits"], found["hit"]), (1, 17, True))

    def test_dry_run_changes_nothing_but_the_key(self):
        self.net.preon("key", check=0)
        before = self.tree()
        done = self.net.preon("job", "create", "nonce", "--dry-run", "--slices", "3", check=0)
        self.assertIn("slices = 3\n", done.stdout)
        self.assertEqual(self.tree(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
