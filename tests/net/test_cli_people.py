"""Whose machine, folders, key and consent: who may speak to a peer, and whom it works for."""
import base64
import glob
import os
import pwd
import re
import stat
import subprocess
import unittest

from between import Between
from preon_process import PATIENCE, PREON, Case, main, needs

ROOT = os.geteuid() == 0
NOBODY = 65534


class People(Case):
    def as_user(self, uid, *words, **more):
        return subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(uid),
                               "--clear-groups", *words], env=self.net.env, text=True,
                              capture_output=True, timeout=30 * PATIENCE, **more)


class Folders(People):
    def data_of(self):
        found = {check["name"]: check for check in self.net.json("doctor", data=None)["checks"]}
        return found["data"]["text"].split()[0]

    def test_where_data_are(self):
        home = self.net.home
        self.assertEqual(self.data_of(), home + "/.local/share/preon")
        self.net.env["XDG_DATA_HOME"] = "relative/does/not/count"
        self.assertEqual(self.data_of(), home + "/.local/share/preon")
        self.net.env["XDG_DATA_HOME"] = self.net.path("xdg")
        self.assertEqual(self.data_of(), self.net.path("xdg", "preon"))
        self.net.env["PREON_DATA"] = self.net.path("set")
        self.assertEqual(self.data_of(), self.net.path("set"))

    def test_where_roots_are(self):
        """In root's own home: a peer becomes another user, who could not look into it."""
        me = pwd.getpwuid(os.geteuid())
        self.net.env["HOME"] = me.pw_dir
        self.net.env["XDG_CONFIG_HOME"] = self.net.path("config")
        self.assertEqual(self.data_of(),
                         "/var/lib/preon" if ROOT else me.pw_dir + "/.local/share/preon")

    def test_where_settings_and_the_key_are(self):
        self.net.env["XDG_CONFIG_HOME"] = self.net.path("config")
        told = self.net.json("key")
        self.assertEqual(told["file"], self.net.path("config", "preon", "owner.key"))
        self.assertEqual(stat.S_IMODE(os.stat(told["file"]).st_mode), 0o600)
        with open(self.net.path("config", "preon", "preon.conf"), "w") as f:
            f.write(f"data = {self.net.path('elsewhere')}\n")
        self.assertEqual(self.data_of(), self.net.path("elsewhere"))
        self.assertEqual(glob.glob(self.net.home + "/.*"), [])  # and nothing in the old places


class Users(People):
    def user_of(self, process):
        with open(f"/proc/{process.pid}/status") as f:
            text = f.read()
        return ({int(n) for n in re.search(r"\nUid:(.*)\n", text)[1].split()},
                re.search(r"\nGroups:(.*)\n", text)[1].split())

    def test_a_peer_is_not_root(self):
        """From before it listens on, in all that it owns, and all that it has started."""
        self.net.tracker()
        for name, more, uid in (("a", [], NOBODY), ("b", ["--user", "daemon"], 1)):
            if not ROOT:
                more, uid = [], os.geteuid()
            peer = self.net.peer(name, 1, *more)
            uids, groups = self.user_of(peer.process)
            self.assertEqual(uids, {uid})
            self.assertTrue(groups == [] or not ROOT, groups)
            with open(f"/proc/{peer.process.pid}/task/{peer.process.pid}/children") as f:
                children = f.read().split()
            for child in children:
                self.assertEqual(os.stat(f"/proc/{child}").st_uid, uid)
            self.assertEqual(os.stat(self.net.path(name, "control.sock")).st_uid, uid)

    def test_a_strangers_commands_are_turned_away(self):
        """Though the socket's mode would let them: who may write it is looked at again."""
        self.net.tracker()
        self.net.peer("master", 1)
        sock = self.net.path("master", "control.sock")
        self.assertEqual(stat.S_IMODE(os.stat(sock).st_mode), 0o600)
        self.assertEqual(self.net.json("status")["slots"], 1)
        if ROOT:
            os.chmod(self.net.path("master"), 0o755)
            os.chmod(sock, 0o666)
            hear = ("import socket, sys; s = socket.socket(socket.AF_UNIX); "
                    "s.connect(sys.argv[1]); print(s.recv(99))")  # it comes without a question
            other = self.as_user(12345, "/usr/bin/python3", "-c", hear, sock)
            self.assertIn("HTTP/1.1 403 ", other.stdout, other.stderr)

    def test_a_strangers_socket_is_not_spoken_to(self):
        os.mkdir(self.net.path("master"), 0o755)
        uid = 12345 if ROOT else os.geteuid()
        listen = ("import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]);"
                  "s.listen(8); print('ready', flush=True); s.accept(); time.sleep(99)")
        os.chmod(self.net.path("master"), 0o777)
        before = ["setpriv", "--reuid", str(uid), "--clear-groups"] if ROOT else []
        server = subprocess.Popen([*before, "/usr/bin/python3", "-c", listen,
                                   self.net.path("master", "control.sock")],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), "ready\n")
        os.chmod(self.net.path("master", "control.sock"), 0o666)
        words = [PREON, "status", "--data", self.net.path("master")]
        if ROOT:
            self.net.env["HOME"] = "/nonexistent"
            done = self.as_user(23456, *words)
            self.assertIn("is not ours (user 12345's)", done.stderr)
        else:
            done = subprocess.run(words, env=self.net.env, text=True, capture_output=True,
                                  timeout=30 * PATIENCE)
            self.assertIn("does not answer", done.stderr)
        self.assertEqual(done.returncode, 4)

    def test_the_owners_key_stays_with_the_command(self):
        """Neither a peer's socket nor its folder ever sees it."""
        self.net.tracker()
        self.net.peer("true", 1)
        between = Between(self.net)
        self.addCleanup(between.close)
        self.net.preon("job", "create", "nonce", "--difficulty", "8", check=0)
        with open(self.net.json("key")["file"]) as f:
            lines = f.read().splitlines()
        der = base64.b64decode("".join(lines[1:-1]))
        seed = der[-32:]  # RFC 8410: what stands behind an Ed25519 key's header
        held = [between.asked]
        for folder, _, names in os.walk(self.net.path("true")):
            for path in (os.path.join(folder, name) for name in names):
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as f:
                        held.append(f.read())
        self.assertGreater(len(held), 3)
        public = self.net.json("key")["owner"].encode()
        self.assertIn(public, b"".join(held))  # so it is the right key that is looked for
        for secret in seed, seed.hex().encode(), lines[1].encode()[22:]:
            for content in held:
                self.assertNotIn(secret, content)


class Consent(People):
    @needs("sandbox")
    def test_a_friends_programs_are_welcome(self):
        """--owner KEY: this owner's foreign programs run here, and no other's."""
        self.net.tracker()
        key = self.net.json("key")["owner"]
        self.net.peer("master", 0)
        self.net.peer("foe", 1, "--owner", "12" * 32)
        self.net.peer("friend", 1, "--owner", "34" * 32, "--owner", key)
        script = self.net.path("crunch.sh")
        with open(script, "w") as f:
            f.write("echo $PREON_SLICE > $PREON_OUT/a.txt\n")
        self.net.preon("job", "create", "exec", "--data", self.net.path("master"), "--slices", "3",
                       "--quorum", "1", "--file", script, "--output", "a.txt", "--", "sh",
                       "crunch.sh", data=None, check=0)
        self.assertEqual(len(self.net.runs("friend")), 6)  # begun and ended
        self.assertEqual(self.net.runs("foe"), [])

    def test_embedded_with_volunteers(self):
        """A command without a peer has the tracker's volunteers."""
        self.net.tracker()
        self.net.peer("volunteer", 2)
        self.net.preon("job", "create", "nonce", "--difficulty", "12", "--slices", "4",
                       "--threads", "0", "--tracker", f"127.0.0.1:{self.net.tracker_port}", check=0)
        self.assertNotEqual(self.net.runs("volunteer"), [])

    def test_who_waits_for_volunteers_is_told_so(self):
        self.net.tracker()
        at = f"127.0.0.1:{self.net.tracker_port}"
        process = subprocess.Popen([PREON, "job", "create", "nonce", "--difficulty", "40", "--data",
                                    self.net.path("master"), "--threads", "0", "--tracker", at],
                                   env=self.net.env, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for pipe in process.stdout, process.stderr:
            self.addCleanup(pipe.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("preon: waiting: no idle"):
                break
        self.assertRegex(said, rf"(?m)^preon: waiting: no idle peer at tracker {at} for \d+(\.\d)? s; "
                         r"start `preon peer`$")
        listed = self.net.preon("job", "list", check=0).stdout
        self.assertRegex(listed, rf"waiting: no idle peer at tracker {at} for ")


if __name__ == "__main__":
    main()
