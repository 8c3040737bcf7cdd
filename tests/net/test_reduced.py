"""A machine that lets nobody make namespaces: it says so, and still does what it can."""
import ctypes
import errno
import os
import struct
import sys
import unittest

from preon_process import LACKS, Net, main, wait_for

CLONE_NEWUSER = 0x10000000
INSIDE = "PREON_TEST_REDUCED"  # set where namespaces are refused
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SYS_CLONE3 = 435  # on every architecture
libc = ctypes.CDLL(None, use_errno=True)


def refuse_namespaces():
    """From here on this process and its children make none: as in many containers.

    In a user namespace of our own the limits are ours to set. Our parent, who is outside, has to
    say who we are there; root stays root, and may become anybody.
    """
    made, named = os.pipe(), os.pipe()
    us = os.fork()
    if us:
        os.close(made[1])
        os.close(named[0])
        os.read(made[0], 1)
        if os.geteuid() != 0:
            write(f"/proc/{us}/setgroups", "deny")
        for kind, us_here in ("uid", os.geteuid()), ("gid", os.getegid()):
            with open(f"/proc/self/{kind}_map", encoding="ascii") as known:
                everybody = "".join("{0} {0} {2}\n".format(*line.split()) for line in known)
            only_us = f"{us_here} {us_here} 1\n"
            write(f"/proc/{us}/{kind}_map", everybody if os.geteuid() == 0 else only_us)
        os.close(named[1])
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(us, 0)[1]))
    os.close(named[1])
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare")
    os.close(made[1])
    os.read(named[0], 1)
    for kind in "user", "mnt", "pid", "net", "ipc", "uts", "cgroup":
        write(f"/proc/sys/user/max_{kind}_namespaces", "0")
    refuse_clone3()
    os.execve(sys.executable, [sys.executable, *sys.argv], dict(os.environ, **{INSIDE: "1"}))


def refuse_clone3():
    """As containers' filters do, which cannot see its flags: callers shall fall back to clone."""
    def op(code, k, yes=0, no=0):
        return struct.pack("HBBI", code, yes, no, k)
    ops = (op(0x20, 0) +  # load the number of the call
           op(0x15, SYS_CLONE3, no=1) + op(0x06, 0x00050000 | errno.ENOSYS) +
           op(0x06, 0x7fff0000))  # allow
    code = ctypes.create_string_buffer(ops, len(ops))
    program = struct.pack("HxxxxxxP", len(ops) // 8, ctypes.addressof(code))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "seccomp")


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


class Reduced(unittest.TestCase):
    def setUp(self):
        self.net = Net()
        self.addCleanup(self.net.close)

    def world(self):
        self.net.tracker()
        for name in "master", "w0":
            self.net.peer(name, 2, "--jobs", "any")

    def test_doctor_says_so_and_why(self):
        done = self.net.preon("doctor", check=0)
        self.assertRegex(done.stdout, r"(?m)^note +sandbox +reduced, so only Preon's own programs "
                                      r"run: .+\n +\S")

    def test_own_programs_run(self):
        self.world()
        done = self.net.preon("job", "create", "nonce", "--difficulty", "14", "--slices", "8",
                              check=0)
        self.assertRegex(done.stdout, r"(?m)^nonce +\d+$")
        for name in "master", "w0":
            self.assertEqual(self.net.json("status", data=name)["tier"], "reduced")

    def test_foreign_programs_wait_and_say_for_what(self):
        self.world()
        job = self.net.create("exec", "--slices", "2", "--", "true")
        status = wait_for(lambda: self.net.json("job", "status", job).get("waiting"), 20)
        self.assertIn("sandbox: reduced on this machine, so only the peer's own programs run: ",
                      status["cause"])
        self.assertEqual(self.net.runs("master") + self.net.runs("w0"), [])
        self.net.preon("job", "cancel", job, check=0)


if __name__ == "__main__":
    if INSIDE not in os.environ and "sandbox" not in LACKS:
        refuse_namespaces()
    main()
