"""One libzmq socket for tests. Arguments: role, endpoint, then options as key=value.

Prints one line an event: `bound <endpoint>`, `got <hex parts>`, `count <n> <bytes> <seconds> <gaps>`, `done`.
"""
import sys
import threading
import time

import zmq

role, endpoint = sys.argv[1:3]
options = dict(each.split("=", 1) for each in sys.argv[3:])
context = zmq.Context()


def say(*words):
    print(*words, flush=True)


def make(kind):
    socket = context.socket(kind)
    socket.linger = 0
    if ":" in endpoint.split("//")[1].rsplit(":", 1)[0]:
        socket.setsockopt(zmq.IPV6, 1)
    if "heartbeat" in options:
        interval = int(options["heartbeat"])
        socket.setsockopt(zmq.HEARTBEAT_IVL, interval)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, interval * 3)
        socket.setsockopt(zmq.HEARTBEAT_TTL, interval * 3)
    if kind in (zmq.SUB, zmq.PUB):
        socket.setsockopt(zmq.RCVHWM if kind == zmq.SUB else zmq.SNDHWM, int(options.get("hwm", 100000)))
    return socket


def attach(socket):
    if options.get("bind") == "1":
        socket.bind(endpoint)
        say("bound", socket.getsockopt_string(zmq.LAST_ENDPOINT))
    else:
        socket.connect(endpoint)


def hexes(parts):
    return " ".join(part.hex() or "-" for part in parts)


def sub():
    """Prints each message."""
    socket = make(zmq.SUB)
    socket.setsockopt_string(zmq.SUBSCRIBE, options.get("topic", ""))
    attach(socket)
    while True:
        parts = socket.recv_multipart()
        say("got", hexes(parts))
        if parts[0] == b"kv-unsubscribe":
            socket.setsockopt_string(zmq.UNSUBSCRIBE, options.get("topic", ""))


def count():
    """Counts messages whose second part is a number that goes up by one, until one says end; prints the sum."""
    socket = make(zmq.SUB)
    socket.setsockopt_string(zmq.SUBSCRIBE, options.get("topic", ""))
    attach(socket)
    while True:
        messages = size = gaps = 0
        last = None
        began = 0
        while True:
            parts = socket.recv_multipart()
            if began == 0:
                began = time.perf_counter()
            if parts[1] == b"end":
                break
            number = int.from_bytes(parts[1], "big")
            if last is not None and number != last + 1:
                gaps += 1
            last = number
            messages += 1
            size += sum(map(len, parts))
        say("count", messages, size, time.perf_counter() - began, gaps)


def pub():
    """Publishes a counter all the time."""
    socket = make(zmq.PUB)
    attach(socket)
    number = 0
    while True:
        socket.send_multipart([b"kv-events", number.to_bytes(8, "big"), b"payload", b""])
        number += 1
        time.sleep(0.005)


def flood():
    """Publishes so many messages of that size as fast as it can once there is a subscriber, then says so."""
    socket = make(zmq.XPUB)
    socket.setsockopt(zmq.SNDHWM, int(options["messages"]) + 10)
    attach(socket)
    socket.recv()
    payload = bytes(int(options["size"]))
    for number in range(int(options["messages"])):
        socket.send_multipart([b"kv-events", number.to_bytes(8, "big"), b"12345678", payload])
    socket.send_multipart([b"kv-events", b"end", b"", b""])
    say("sent")
    time.sleep(600)


def proxy():
    """A broker: XSUB for publishers, XPUB for subscribers."""
    front, back = make(zmq.XSUB), make(zmq.XPUB)
    front.bind("tcp://127.0.0.1:*")
    back.bind("tcp://127.0.0.1:*")
    say("xsub", front.getsockopt_string(zmq.LAST_ENDPOINT))
    say("xpub", back.getsockopt_string(zmq.LAST_ENDPOINT))
    zmq.proxy(front, back)


def router():
    """Answers like a replay socket: every number from the one asked for up to 9, then -1 with nothing."""
    socket = make(zmq.ROUTER)
    attach(socket)
    while True:
        client, empty, start = socket.recv_multipart()
        say("asked", client.hex(), start.hex())
        for number in range(int.from_bytes(start, "big"), 10):
            socket.send_multipart([client, b"", number.to_bytes(8, "big"), b"batch %d" % number])
        socket.send_multipart([client, b"", (-1).to_bytes(8, "big", signed=True), b""])


def ask():
    """Asks a replay socket for everything from a number on, as a DEALER and as a REQ, and prints the answers."""
    for name, kind in (("dealer", zmq.DEALER), ("req", zmq.REQ)):
        socket = make(kind)
        attach(socket)
        question = int(options["start"]).to_bytes(8, "big")
        socket.send_multipart([b"", question] if kind == zmq.DEALER else [question])
        while True:
            parts = socket.recv_multipart()
            say(name, hexes(parts))
            # A REQ hears one answer a question.
            if kind == zmq.REQ or parts[-1] == b"":
                break
    say("done")


def engine():
    """Plays vLLM: publishes batches and replays what it published, as its test tells it over a ROUTER of its own.

    A test says `publish`, `keep` (as if it got lost) or `restart`, then the batch. Numbers count from 0.
    """
    publisher, replay, control = make(zmq.PUB), make(zmq.ROUTER), make(zmq.ROUTER)
    for name, socket in (("pub", publisher), ("replay", replay), ("control", control)):
        socket.bind("tcp://127.0.0.1:*")
        say(name, socket.getsockopt_string(zmq.LAST_ENDPOINT))
    kept = []
    poller = zmq.Poller()
    poller.register(replay, zmq.POLLIN)
    poller.register(control, zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if replay in ready:
            client, empty, start = replay.recv_multipart()
            say("asked", int.from_bytes(start, "big"))
            for number in range(int.from_bytes(start, "big"), len(kept)):
                replay.send_multipart([client, b"", number.to_bytes(8, "big"), kept[number]])
            replay.send_multipart([client, b"", (-1).to_bytes(8, "big", signed=True), b""])
        if control in ready:
            _, order, batch = control.recv_multipart()
            if order == b"restart":
                kept.clear()
            kept.append(batch)
            if order != b"keep":
                publisher.send_multipart([b"", (len(kept) - 1).to_bytes(8, "big"), batch])
            say("did", order.decode(), len(kept) - 1)


def rep():
    """Echoes."""
    socket = make(zmq.REP)
    attach(socket)
    while True:
        socket.send_multipart([b"echo", *socket.recv_multipart()])


# A parent that is gone must not leave us behind.
threading.Thread(target=lambda: (time.sleep(120), __import__("os")._exit(3)), daemon=True).start()
globals()[role]()
