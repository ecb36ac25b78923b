"""Talks to the demo configuration with Eclipse Paho. Fails with what was not as it should be.

    paho_client.py SCENARIO 3|5 PORT        (3: MQTT 3.1.1)
"""

import queue
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 30
SCENARIO, VERSION, PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
V5 = VERSION == 5
PROTOCOL = mqtt.MQTTv5 if V5 else mqtt.MQTTv311


def check(found, expected, what):
    if found != expected:
        raise SystemExit(f"{SCENARIO}: {what}: {found!r} instead of {expected!r}")


def europe():
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("region", "eu"), ("other", "kept")]
    return properties


class User:
    """One connection. What happens is kept in queues, which are waited for."""

    def __init__(self, name, password="secret", will=None):
        self.connected = queue.Queue()
        self.subscribed = queue.Queue()
        self.published = queue.Queue()
        self.messages = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=PROTOCOL, reconnect_on_failure=False
        )
        self.client.username_pw_set(name, password)
        if will:
            will(self.client)
        self.client.on_connect = lambda c, u, flags, code, p: self.connected.put(code.value)
        self.client.on_subscribe = lambda c, u, mid, codes, p: self.subscribed.put([x.value for x in codes])
        self.client.on_publish = lambda c, u, mid, code, p: self.published.put(code.value)
        self.client.on_message = lambda c, u, message: self.messages.put(message)
        self.client.connect("127.0.0.1", PORT, keepalive=60)
        self.client.loop_start()
        self.code = self.connected.get(timeout=PATIENCE)

    @classmethod
    def enter(cls, name, **more):
        user = cls(name, **more)
        check(user.code, 0, f"CONNACK for {name}")
        return user

    def subscribe(self, topic, qos=2):
        self.client.subscribe(topic, qos)
        return self.subscribed.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos, **more):
        if not V5:
            more.pop("properties", None)
        self.client.publish(topic, payload, qos, **more)
        return self.published.get(timeout=PATIENCE)

    def message(self):
        message = self.messages.get(timeout=PATIENCE)
        return message.topic, message.payload.decode(), message.qos, bool(message.retain)

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """Loses the connection without DISCONNECT."""
        self.client.loop_stop()
        self.client.socket().close()


# Only 5.0 has the user property that moves a message.
MOVED = "routed/eu/devices/alice/temp" if V5 else "devices/alice/temp"


def reader():
    """Who sees what alice publishes: bob where it is moved, alice's second device where it is not."""
    if V5:
        user = User.enter("bob")
        check(user.subscribe("routed/#"), [2], "SUBACK")
        return user
    user = User.enter("alice")
    check(user.subscribe("devices/alice/#"), [2], "SUBACK")
    return user


def writer(**more):
    # 3.1.1 reads and writes as alice, in one connection.
    return User.enter("alice", **more) if V5 else None


def routing():
    bob = reader()
    alice = writer() or bob
    for qos in (0, 1, 2):
        for number in range(5):
            check(alice.publish("devices/alice/temp", f"{qos}.{number}", qos, properties=europe()), 0, "acknowledgement")
            if V5:
                message = bob.messages.get(timeout=PATIENCE)
                check(message.properties.UserProperty, [("region", "eu"), ("other", "kept")], "user properties")
                bob.messages.put(message)
            check(bob.message(), (MOVED, f"{qos}.{number}", qos, False), "message")
    bob.leave()
    alice.leave()


def refusals():
    check(User("alice", password="wrong").code, 0x86, "CONNACK for a wrong password")
    check(User("eve").code, 0x86, "CONNACK for an unknown user")
    check(User("alice", will=lambda c: c.will_set("devices/bob/will", "x")).code, 0x87, "CONNACK for a foreign will")
    alice, bob = User.enter("alice"), User.enter("bob")
    refused = 0x87 if V5 else 0x80
    check(alice.subscribe("devices/bob/#"), [refused], "SUBACK for a foreign topic")
    check(alice.subscribe("#"), [refused], "SUBACK for everything")
    check(alice.subscribe([("devices/alice/#", 1), ("devices/bob/#", 1)]), [1, refused], "SUBACK for two")
    check(bob.subscribe("devices/bob/#"), [2], "SUBACK")
    for qos in (1, 2):
        told = alice.publish("devices/bob/temp", "foreign", qos)
        # Paho answers a PUBREC that refuses with PUBREL, and shows what it gets for that.
        refused = 0x87 if qos == 1 else 0x92
        check(told, refused if V5 else 0, f"acknowledgement of a foreign topic with QoS {qos}")
    if V5:
        bad = Properties(PacketTypes.PUBLISH)
        bad.UserProperty = ("region", "+")
        check(alice.publish("devices/alice/temp", "x", 1, properties=bad), 0x90, "acknowledgement of a wildcard")
    bob.publish("devices/bob/own", "own", 1)
    check(bob.message()[:2], ("devices/bob/own", "own"), "the first message")
    alice.leave()
    bob.leave()


def retained():
    alice = User.enter("alice")
    check(alice.publish("devices/alice/temp", "kept", 1, retain=True, properties=europe()), 0, "acknowledgement")
    alice.leave()
    bob = reader()
    check(bob.message(), (MOVED, "kept", 1, True), "retained message")
    bob.leave()


def will():
    def leave_will(client):
        properties = Properties(PacketTypes.WILLMESSAGE)
        properties.UserProperty = ("region", "eu")
        client.will_set("devices/alice/temp", "gone", 1, properties=properties if V5 else None)

    if V5:
        bob = reader()
        User.enter("alice", will=leave_will).vanish()
        check(bob.message(), (MOVED, "gone", 1, False), "will")
        bob.leave()
        return
    bob = User.enter("bob", will=lambda client: client.will_set("devices/bob/status", "gone", 1, retain=True))
    bob.vanish()
    # Another connection of bob's finds what the first one left.
    again = User.enter("bob")
    check(again.subscribe("devices/bob/#"), [2], "SUBACK")
    check(again.message()[:2], ("devices/bob/status", "gone"), "will")
    again.leave()


def many():
    bob = reader()
    alice = writer() or bob

    def publish():
        for number in range(500):
            properties = europe() if V5 else None
            alice.client.publish("devices/alice/temp", str(number), 1, properties=properties)

    done = threading.Thread(target=publish)
    done.start()
    for number in range(500):
        check(bob.message()[1], str(number), "message")
    done.join()
    for _ in range(500):
        check(alice.published.get(timeout=PATIENCE), 0, "acknowledgement")
    bob.leave()
    alice.leave()


{"routing": routing, "refusals": refusals, "retained": retained, "will": will, "many": many}[SCENARIO]()
print("ok")
