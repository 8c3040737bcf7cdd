"""What `cmake --install` puts into place works from there, and on processors of any age."""
import os
import platform
import subprocess
import unittest

import preon_process
from preon_process import BUILD, Case

OLD = ["core2duo", "Nehalem", "Haswell"]  # before SHA-NI and AVX-512; the first without SSE4.2


class Installed(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, preon_process, "PREON", preon_process.PREON)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", "/opt/preon"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": self.net.path("to")})
        self.prefix = self.net.path("to", "opt", "preon")

    def test_it_is_all_there(self):
        found = sorted(os.path.relpath(os.path.join(folder, name), self.prefix)
                       for folder, _, names in os.walk(self.prefix) for name in names)
        self.assertEqual(found, ["bin/preon", "libexec/preon/launcher",
                                 "libexec/preon/mandelbrot@1", "libexec/preon/nonce@1"])

    def test_a_tracker_a_peer_and_a_job(self):
        link = self.net.path("preon")  # as from a folder of the PATH
        os.symlink(os.path.join(self.prefix, "bin", "preon"), link)
        preon_process.PREON = link
        self.net.tracker()
        self.net.peer("master", 1)
        checks = {check["name"]: check for check in self.net.json("doctor")["checks"]}
        self.assertIn(self.prefix, checks["programs"]["text"])
        done = self.net.preon("job", "create", "nonce", "--difficulty", "12", check=0)
        self.assertIn("nonce ", done.stdout)
        done = self.net.preon("job", "create", "nonce", "--difficulty", "12", "--tracker",
                              "127.0.0.1:9", data="alone", check=0)
        self.assertIn("nonce ", done.stdout)

    def test_on_old_processors(self):
        if platform.machine() != "x86_64":
            return  # tests/aarch64.sh is about others
        program = os.path.join(self.prefix, "libexec", "preon", "nonce@1")
        for processor in OLD:
            done = subprocess.run(["qemu-x86_64", "-cpu", processor, program, "--difficulty", "16",
                                   "--count", "20000"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, (processor, done.stderr))
            self.assertIn("nonce 9248 hash 00005ae06e5bef51", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
