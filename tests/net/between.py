"""Somebody between a command and its peer, who hears all, and may change or hold what passes."""
import os
import socket
import threading


class Between:
    """Listens where `data`'s peer would, and speaks to the one of `true`."""

    def __init__(self, net, true="true", data="master"):
        self.true = net.path(true, "control.sock")
        self.asked = b""  # all that commands have sent
        self.change = lambda answer: answer
        self.holds = lambda asked: False  # then these bytes, and what follows them, wait
        self.let_go = threading.Event()
        os.makedirs(net.path(data), exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(net.path(data, "control.sock"))
        self.socket.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.let_go.set()
        self.socket.close()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(self.true)
        back = threading.Thread(target=self.copy, args=(peer, client, lambda b: self.change(b)),
                                daemon=True)
        back.start()
        self.copy(client, peer, self.hear)
        back.join()
        client.close()
        peer.close()

    def hear(self, asked):
        self.asked += asked
        if self.holds(asked):
            self.let_go.wait(60)
        return asked

    def copy(self, source, to, change):
        """Until either has had enough; each learns of the other's end."""
        try:
            while piece := source.recv(1 << 20):
                to.sendall(change(piece))
        except OSError:
            pass
        for end in source, to:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
