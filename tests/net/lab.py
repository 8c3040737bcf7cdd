"""A small internet of network namespaces, for tests that loopback cannot answer: hosts with public
addresses on one wire, and a router that hides a host behind its own address.

Nothing of it outlives the processes of the test: the namespaces go with the last of them.
"""
import contextlib
import ctypes
import os
import subprocess
import sys

from preon_process import PREON, Net, Server

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def in_a_namespace_of_its_own():
    """Runs this very test again where it may make networks. Returns once that is the case."""
    if os.environ.get("PREON_LAB") is None:
        may = ["--net"] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps",
                                                   "--net"]
        os.execvpe("unshare", ["unshare", *may, sys.executable, *sys.argv],
                   dict(os.environ, PREON_LAB="1"))


def ip(words, inside=()):
    subprocess.run([*inside, "ip", *words.split()], check=True)


class Host:
    """A namespace with one interface on the wire, and any number of addresses."""

    def __init__(self, lab, name, *addresses):
        self.name = name
        self.address = addresses[0] if addresses else None
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.file = f"/proc/{self.holder.pid}/ns/net"
        self.inside = ("nsenter", "--net=" + self.file, "--")
        ip("link set lo up", self.inside)
        self.plug(lab, "eth0", addresses)
        ip("route add default dev eth0", self.inside)

    def plug(self, lab, device, addresses, wire="wire"):
        lab.plugs += 1
        ip(f"link add plug{lab.plugs} type veth peer name {device} netns {self.holder.pid}")
        ip(f"link set plug{lab.plugs} master {wire} up")
        ip(f"link set {device} up", self.inside)
        for address in addresses:
            ip(f"address add {address}/32 dev {device}", self.inside)

    @contextlib.contextmanager
    def here(self):
        """Sockets that this thread makes meanwhile are the host's."""
        with open("/proc/thread-self/ns/net") as before, open(self.file) as there:
            assert LIBC.setns(there.fileno(), CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert LIBC.setns(before.fileno(), CLONE_NEWNET) == 0

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(10)
        self.holder.stdout.close()


class Lab(Net):
    """Hosts by name; servers run in them, commands reach them by their data folders."""

    def __init__(self):
        super().__init__()
        self.hosts = []
        self.plugs = 0
        self.wires = []
        self.wire("wire")

    def wire(self, name):
        ip(f"link add {name} type bridge")
        ip(f"link set {name} up")
        self.wires.append(name)

    def host(self, name, *addresses):
        self.hosts.append(Host(self, name, *addresses))
        return self.hosts[-1]

    def hidden_host(self, name, public):
        """A host whose router lets it out under a public address, and nobody in."""
        router = self.host("router", public)
        self.wire("inner")
        hidden = Host(self, name)
        self.hosts.append(hidden)
        hidden.plug(self, "eth1", (), "inner")
        router.plug(self, "eth1", (), "inner")
        ip("address add 192.168.7.1/24 dev eth1", router.inside)
        ip("route del default", hidden.inside)
        ip("address add 192.168.7.2/24 dev eth1", hidden.inside)
        ip("route add default via 192.168.7.1", hidden.inside)
        hidden.address = "192.168.7.2"
        rules = ("table ip nat { chain out { type nat hook postrouting priority 100; "
                 "oifname eth0 masquerade; }; }")
        subprocess.run([*router.inside, "nft", rules], check=True)
        subprocess.run([*router.inside, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"],
                       check=True)
        return hidden

    def server_at(self, host, words, name, limits=()):
        server = Server([*host.inside[1:], *limits, PREON, *words], self.path(name + ".log"), self.env,
                        host.inside[0])
        self.servers.append(server)
        return server

    def tracker_at(self, host, limits=()):
        self.tracker_address = f"{host.address}:7600"
        return self.server_at(host, ["tracker"], "tracker", limits)

    def peer_at(self, host, threads, *more):
        return self.server_at(host, ["peer", "--data", self.path(host.name), "--tracker",
                                     self.tracker_address, "--threads", str(threads), *more],
                              host.name)

    def close(self):
        try:
            super().close()
        finally:
            for i in range(self.plugs):  # else they go with their namespaces, later
                ip(f"link del plug{i + 1}")
            for wire in self.wires:
                ip("link del " + wire)
            for host in self.hosts:
                host.close()
