"""The static programs nonce@1 and mandelbrot@1 by themselves, against a reference in Python."""
import os
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from nonce_reference import Puzzle, Report

LIBEXEC = os.path.join(os.environ["PREON_BUILD"], "libexec", "preon")
NONCE = os.path.join(LIBEXEC, "nonce@1")
MANDELBROT = os.path.join(LIBEXEC, "mandelbrot@1")
KERNELS = ["avx512", "sha_ni", "armv8", "avx2", "portable"]


def run(program, *words, **env):
    return subprocess.run([program, *words], env=env, capture_output=True, timeout=60)


def usable_kernels():
    found = [k for k in KERNELS if run(NONCE, "--difficulty=4", "--kernel", k).returncode == 0]
    assert "portable" in found
    return found


class Nonce(unittest.TestCase):
    def output(self, kernel, index, count, *words):
        with tempfile.TemporaryDirectory() as folder:
            done = run(NONCE, "--kernel", kernel, *words, PREON_OUT=folder,
                       PREON_SLICE=str(index), PREON_SLICES=str(count))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(os.listdir(folder), ["nonce.bin"])
            with open(os.path.join(folder, "nonce.bin"), "rb") as file:
                return file.read()

    def test_reports_are_as_documented(self):
        cases = [(98000, 4000, 30, []), (0, 5000, 9, []), (0, 5000, 9, ["--lowest"]),
                 (99000, 3000, 8, ["--all"]), (7, 1000, 30, [])]
        for start, count, bits, more in cases:
            want = [Report(Puzzle(bits=bits), start + count * i // 3,
                           start + count * (i + 1) // 3 - 1, "--all" in more).bytes()
                    for i in range(3)]
            for kernel in usable_kernels():
                for i in range(3):
                    got = self.output(kernel, i, 3, f"--start={start}", f"--count={count}",
                                      f"--difficulty={bits}", *more)
                    self.assertEqual(got, want[i], (kernel, start, i))

    def test_exit_codes_by_hand(self):
        found = run(NONCE, "--difficulty=13")
        self.assertEqual(found.returncode, 0)
        self.assertTrue(found.stdout.startswith(b"nonce 294 hash 0004d1186f3e"), found.stdout)
        self.assertEqual(run(NONCE, "--difficulty=60", "--count=10").returncode, 3)
        wrong = run(NONCE, "--difficulty=257")
        self.assertEqual(wrong.returncode, 2)
        self.assertEqual(wrong.stderr, b"nonce: --difficulty: 257 is out of range; allowed are 1 "
                                       b"to 256\n")
        self.assertEqual(run(NONCE, PREON_SLICE="3", PREON_SLICES="3").returncode, 2)
        self.assertIn(b"--bit-order", run(NONCE, "--help").stdout)

    def test_progress_and_the_end(self):
        """A line a second; SIGTERM ends it, within 10 ms when the machine lets it, and leaves no
        output. The first wait of 40 that is short is enough: others may have the processor."""
        waits = []
        for kernel in usable_kernels()[:1] + ["portable"] * 39:
            if len(waits) > 1 and min(waits) < 0.010:
                break
            with tempfile.TemporaryDirectory() as folder:
                process = subprocess.Popen([NONCE, "--difficulty=200", "--kernel", kernel],
                                           env={"PREON_OUT": folder}, stdout=subprocess.PIPE)
                word, done, total = process.stdout.readline().split()
                self.assertEqual((word, int(total)), (b"progress", 2**64))
                self.assertGreater(int(done), 0)
                begin = time.monotonic()
                process.send_signal(signal.SIGTERM)
                process.wait(10)
                waits.append(time.monotonic() - begin)
                process.stdout.close()
                self.assertEqual(process.returncode, 128 + signal.SIGTERM)
                self.assertEqual(os.listdir(folder), [])
        self.assertLess(min(waits), 0.010)


    def test_a_wrong_kernel_is_not_used_and_named(self):
        """The fastest kernel of this build returns its input for a hash."""
        done = run(os.path.join(os.environ["PREON_BUILD"], "nonce_wrong"), "--difficulty=13")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith(b"nonce 294 hash 0004d1186f3e"), done.stdout)
        self.assertRegex(done.stderr.decode(), r"^nonce: kernel wrong computes wrong hashes here; "
                                               r"using (avx512|sha_ni|avx2|armv8|portable)\n$")


class Mandelbrot(unittest.TestCase):
    def test_slices_are_the_picture(self):
        width, height, most = 24, 13, 200
        want = b""
        for row in range(height):
            for column in range(width):
                step = 4.0 / 1.0 / width
                c = complex(-0.5 + (column - (width - 1.0) / 2) * step,
                            0.0 - (row - (height - 1.0) / 2) * step)
                a = b = n = 0
                while n < most and a * a + b * b <= 4.0:
                    product = a * b
                    a, b, n = a * a - b * b + c.real, product + product + c.imag, n + 1
                want += struct.pack("<H", n)
        words = [f"--width={width}", f"--height={height}", f"--iterations={most}"]
        self.assertEqual(run(MANDELBROT, *words).stdout, want)
        got = b""
        for i in range(5):
            got += run(MANDELBROT, *words, PREON_SLICE=str(i), PREON_SLICES="5").stdout
        self.assertEqual(got, want)


if __name__ == "__main__":
    unittest.main()
