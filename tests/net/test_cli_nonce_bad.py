"""Nonce puzzles that make no sense: one clear line, exit 2, nothing changed on disk."""
import os
import subprocess
import unittest

from nonce_reference import HEADERS
from preon_process import BUILD
from test_cli import Cli

NONCE = os.path.join(BUILD, "libexec", "preon", "nonce@1")
HEADER = HEADERS[1][0]
U32, U64 = 2**32, 2**64
FORMS = "decimal, hex, be32, le32, be64, le64"

# Options, and what the line must name: the option, the value, what is allowed.
BAD = [
    (["--append", "octal"], "--append", '"octal"', FORMS),
    (["--append", ""], "--append", '""', FORMS),
    (["--append", "BE32"], "--append", '"BE32"', FORMS),
    (["--hash", "md5"], "--hash", '"md5"', "sha256d, sha256, sha256hex"),
    (["--bit-order", "middle"], "--bit-order", '"middle"', "msb, lsb"),
    (["--unit", "octal", "--zeros", "3"], "--unit", '"octal"', "bit, hex"),
    (["--unit", "hex"], "--unit", "--zeros"),
    (["--block-hex", "abc"], "--block-hex", "3 digits", "two digits each"),
    (["--block-hex", "abxx"], "--block-hex", "digits 3 and 4", "lower-case hexadecimal"),
    (["--block-hex", "AB"], "--block-hex", "lower-case hexadecimal"),
    (["--header", "00" * 79], "--header", "158 characters", "exactly 160"),
    (["--header", "00" * 81], "--header", "162 characters", "exactly 160"),
    (["--header", "0" * 159 + "g"], "--header", "160"),
    (["--target", "0" * 64], "--target", "0 is out of range", "1 and more"),
    (["--target", "00ff"], "--target", "4 characters", "exactly 64"),
    (["--target", "G" * 64], "--target", "hexadecimal"),
    (["--nbits", "1d00fff"], "--nbits", "7 characters", "exactly 8"),
    (["--nbits", "00000000"], "--nbits", "00000000", "1d00ffff"),
    (["--nbits", "1d800000"], "--nbits", "1d800000", "1d00ffff"),
    (["--nbits", "2201ffff"], "--nbits", "2201ffff", "1d00ffff"),
    (["--difficulty", "0"], "--difficulty", "0", "1 to 256"),
    (["--difficulty", "257"], "--difficulty", "257", "1 to 256"),
    (["--difficulty", "-1"], "--difficulty", "-1"),
    (["--difficulty", "2e1"], "--difficulty", "2e1"),
    (["--difficulty", ""], "--difficulty"),
    (["--zeros", "0"], "--zeros", "0", "1 to 256"),
    (["--zeros", "257"], "--zeros", "257", "1 to 256"),
    (["--zeros", "65", "--unit", "hex"], "--zeros", "1 to 64"),
    (["--start", str(U64)], "--start", str(U64)),
    (["--start", "-1"], "--start", "-1"),
    (["--start", "10", "--end", "9"], "--end", "9", f"10 to {U64 - 1}"),
    (["--end", str(U64)], "--end", str(U64)),
    (["--count", "0"], "--count", '"0"', f"1 to {U64}"),
    (["--count", str(U64 + 1)], "--count", str(U64 + 1), f"1 to {U64}"),
    (["--start", "1", "--count", str(U64)], "--count", str(U64 - 1)),
    (["--start", str(U64 - 1), "--count", "2"], "--count", "1 to 1"),
    (["--append", "be32", "--start", str(U32)], "--start", str(U32), str(U32 - 1)),
    (["--append", "be32", "--start", str(U32 - 5), "--count", "6"], "--count", "1 to 5"),
    (["--append", "le32", "--end", str(U32)], "--end", str(U32), f"0 to {U32 - 1}"),
    (["--append", "le32", "--count", str(U32 + 1)], "--count", f"1 to {U32}"),
    (["--header", HEADER, "--start", "1", "--count", str(U32)], "--count", f"1 to {U32 - 1}"),
    (["--count", "5", "--end", "9"], "--count", "--end", "exclude"),
    (["--lowest", "--all"], "--lowest", "--all", "exclude"),
    (["--difficulty", "9", "--target", "f" * 64], "--difficulty", "--target", "exclude"),
    (["--difficulty", "9", "--zeros", "9"], "--difficulty", "--zeros", "exclude"),
    (["--zeros", "9", "--nbits", "1d00ffff"], "--zeros", "--nbits", "exclude"),
    (["--target", "f" * 64, "--nbits", "1d00ffff"], "--target", "--nbits", "exclude"),
    (["--block", "a", "--block-hex", "00"], "--block", "--block-hex", "exclude"),
    (["--block", "a", "--block-file", "/etc/hostname"], "--block", "--block-file", "exclude"),
    (["--block-hex", "00", "--block-file", "/etc/hostname"], "--block-hex", "--block-file"),
    (["--block-file", "/nowhere/at/all"], "--block-file", "/nowhere/at/all", "No such file"),
    (["--block-file", "/dev"], "--block-file", "/dev"),
    (["--midstate", "00" * 32], "--midstate"),
    (["--midstate-bytes", "64"], "--midstate"),
    (["--midstate", "00" * 32, "--midstate-bytes", "65", "--block-hex", ""], "65", "of 64"),
    (["--midstate", "00" * 32, "--midstate-bytes", "64", "--block-hex", "", "--block", "a"],
     "--midstate", "--block", "exclude"),
    (["--suffix", "x" * 1025], "--suffix", "1025 bytes", "at most 1024"),
    (["--difficulty", "1", "--all", "--count", "100000", "--slices", "2"], "--all", "2048"),
    (["--difficulty", "40", "--slices", "4"], "--slices", "4 slices", "44 days", "at most 31"),
    (["--count", str(U64), "--slices", "1"], "--slices", "days", "take more slices"),
    (["--block", "a", "--block", "b"], "--block", "twice"),
    (["--header", HEADER, "--append", "le32"], "--header", "--append", "exclude"),
    (["--header", HEADER, "--suffix", "x"], "--header", "--suffix", "exclude"),
    (["--header", HEADER, "--block", "x"], "--header", "--block", "exclude"),
    (["--header", HEADER, "--block-hex", "00"], "--header", "--block-hex", "exclude"),
    (["--header", HEADER, "--block-file", "/etc/hostname"], "--header", "--block-file"),
    (["--header", HEADER, "--bit-order", "lsb"], "--header", "--bit-order", "exclude"),
    (["extra"], "extra"),
]


class BadPuzzles(Cli):
    def test_create(self):
        for words, *fragments in BAD:
            with self.subTest(words=[w[:40] for w in words]):
                self.refused(["job", "create", "nonce", *words], *fragments)

    def test_verify(self):
        for words, *fragments in BAD:
            if "--slices" not in words:
                with self.subTest(words=[w[:40] for w in words]):
                    self.refused(["nonce", "verify", "--nonce", "7", *words], *fragments)
        self.refused(["nonce", "verify"], "--nonce", "missing")
        self.refused(["nonce", "verify", "--nonce", str(U64)], "--nonce", str(U64))
        self.refused(["nonce", "verify", "--append", "le32", "--nonce", str(U32)], "--nonce",
                     str(U32), str(U32 - 1))

    def test_too_long_a_block(self):
        path = self.write("long", b"x" * (1024 * 1024 + 1), "wb")
        self.refused(["job", "create", "nonce", "--block-file", path], "--block-file", "1048576")

    def test_the_program_by_hand(self):
        for words, *fragments in BAD:
            if "--slices" in words:
                continue
            with self.subTest(words=[w[:40] for w in words]):
                self.program_refuses(words, *fragments)
        self.program_refuses(["--kernel", "avx1024"], "--kernel", '"avx1024"', "portable")

    def program_refuses(self, words, *fragments, **env):
        done = subprocess.run([NONCE, *words], env=env, capture_output=True, text=True, timeout=60)
        said = f"{words}: exit {done.returncode}: {done.stderr!r}"
        self.assertEqual((done.returncode, done.stdout), (2, ""), said)
        self.assertTrue(done.stderr.startswith("nonce: "), said)
        self.assertEqual(done.stderr.count("\n"), 1, said)
        for fragment in fragments:
            self.assertIn(fragment, done.stderr, said)

    def test_the_slice_that_the_environment_names(self):
        for index, count in ("3", "3"), ("0", "0"), ("x", "3"), ("1", "2e9"), ("-1", "3"):
            self.program_refuses([], "PREON_SLICE", PREON_SLICE=index, PREON_SLICES=count)
        self.program_refuses(["--count=2"], "3 slices of 2 nonces", PREON_SLICE="0",
                             PREON_SLICES="3")
        self.program_refuses([f"--count={U64}"], "8589934592 slices", "1 to 4294967296",
                             PREON_SLICES="8589934592")

    def test_a_kernel_that_this_processor_lacks(self):
        """No processor is both, so one of the two is refused everywhere."""
        lacking = []
        for kernel in "avx512", "sha_ni", "avx2", "armv8":
            done = subprocess.run([NONCE, "--difficulty=1", "--kernel", kernel], env={}, text=True,
                                  capture_output=True, timeout=60)
            if done.returncode != 0:
                lacking.append(kernel)
                self.program_refuses(["--kernel", kernel], f"--kernel: kernel {kernel} needs ",
                                     "; this processor has: ")
        self.assertTrue("armv8" in lacking or "avx512" in lacking)


if __name__ == "__main__":
    unittest.main()
