"""Drives python-socketio: its configuration is the argument, orders are lines of the input, what happens are lines of the output."""

import json
import sys
import threading

import socketio

config = json.loads(sys.argv[1])
options = config.get("options", {})
namespace = "/graph"
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=1)


@client.on("connect", namespace=namespace)
def connected():
    say(kind="connect", id=client.get_sid(namespace), transport=client.transport())


@client.on("disconnect", namespace=namespace)
def disconnected(*_):
    say(kind="disconnect")


@client.on("connect_error", namespace=namespace)
def refused(data=None):
    message = data.get("message") if isinstance(data, dict) else str(data)
    say(kind="refused", reason=message, args=[data])


@client.on("*", namespace=namespace)
def happened(event, *args):
    say(kind="event", event=event, args=list(args))


def acknowledged(number):
    return lambda *args: say(kind="ack", id=number, args=list(args))


def obey():
    for line in sys.stdin:
        try:
            carry_out(json.loads(line))
        except socketio.exceptions.BadNamespaceError:
            pass  # the connection has just gone; whoever asked hears of the next one


def carry_out(order):
    if order.get("close"):
        client.disconnect()
        return
    callback = acknowledged(order["ack"]) if order.get("ack") else None
    client.emit(order["emit"][0], *order["emit"][1:], namespace=namespace, callback=callback)


url = config["url"].removesuffix(namespace)
try:
    client.connect(url, auth=options.get("auth"), namespaces=[namespace], transports=options.get("transports"), wait_timeout=20)
except socketio.exceptions.ConnectionError as error:
    say(kind="failed", reason=str(error))
    sys.exit(0)
obey()
