"""Runs python-socketio against the echo application: echo.py URL TRANSPORTS, the latter separated by commas.

It ends with 0 if all is as it should be.
"""

import queue
import sys

import socketio

url, transports = sys.argv[1], sys.argv[2].split(",")


def connect(**more):
    client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5)
    client.connect(url, socketio_path="engine.io", transports=transports, wait_timeout=10, **more)
    return client


def watch(client, event, namespace="/"):
    seen = queue.Queue()
    client.on(event, lambda *args: seen.put(args), namespace=namespace)
    return seen


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def echoes(client, seen, namespace):
    for args in (("text", 1.5, None, {"deep": [{"er": "\u2028 \U0001f600"}]}), (bytes([0, 1, 30, 255]), {"a": [bytes(100_000)]})):
        client.emit("echo", args, namespace=namespace)
        same(seen.get(timeout=20), args)


def acknowledges(client, answered, namespace):
    same(client.call("echo", {"a": 1}, namespace=namespace, timeout=20), {"a": 1})
    same(client.call("echo", b"bytes", namespace=namespace, timeout=20), b"bytes")
    client.emit("ask", "all", namespace=namespace)
    same(answered.get(timeout=20), ("answer to all", b"*"))


def refuses(auth, namespace, message):
    client = socketio.Client(reconnection=False)
    errors = watch(client, "connect_error", namespace)
    try:
        client.connect(url, socketio_path="engine.io", transports=transports, auth=auth, namespaces=[namespace])
    except socketio.exceptions.ConnectionError:
        same(errors.get(timeout=20)[0]["message"], message)
    else:
        raise AssertionError("was not refused")
    finally:
        client.disconnect()


client = connect(namespaces=["/", "/chat"])
seen = {namespace: watch(client, "echo", namespace) for namespace in ("/", "/chat")}
answered = {namespace: watch(client, "answered", namespace) for namespace in ("/", "/chat")}
for namespace in ("/", "/chat"):
    client.on("question", lambda what: ("answer to " + what, b"*"), namespace=namespace)
connected, gone, kicked = watch(client, "connect"), watch(client, "disconnect"), watch(client, "disconnect", "/chat")
numbers = watch(client, "number")

# The client gives each message to a thread of its own, so handlers may be called in another order than messages came in.
came, receive = [], client.eio._receive_packet
client.eio._receive_packet = lambda packet: (came.append(str(packet.data)), receive(packet))
client.emit("count", 500)
same(sorted(numbers.get(timeout=20)[0] for _ in range(500)), list(range(500)))
same([text for text in came if '"number"' in text], [f'2["number",{n}]' for n in range(500)])
client.eio._receive_packet = receive
for namespace in ("/", "/chat"):
    echoes(client, seen[namespace], namespace)
    acknowledges(client, answered[namespace], namespace)
refuses({"bad": 1}, "/", "bad creds")
refuses({}, "/nope", "Invalid namespace")
same(client.transport(), transports[-1])

before = client.get_sid()
client.emit("drop")
gone.get(timeout=20)
kicked.get(timeout=20)
connected.get(timeout=20)
assert client.get_sid() != before
echoes(client, seen["/"], "/")
acknowledges(client, answered["/"], "/")

client.emit("kick", namespace="/chat")
kicked.get(timeout=20)
echoes(client, seen["/"], "/")
client.disconnect()
