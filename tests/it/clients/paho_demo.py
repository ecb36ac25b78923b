"""Talks to the demo configuration with Eclipse Paho. Fails with what was not as it should be.

    paho_demo.py SCENARIO 3|5 PORT        (3: MQTT 3.1.1)
"""

import sys
import threading

from paho_user import PATIENCE, User, check, properties

SCENARIO, VERSION, PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
V5 = VERSION == 5
NAME = "5.0" if V5 else "3.1.1"


def connect(name, password="secret", **more):
    return User(PORT, NAME, name, login=(name, password), **more)


def enter(name, **more):
    return User.enter(PORT, NAME, name, login=(name, "secret"), **more)


EUROPE = {"UserProperty": [("region", "eu"), ("other", "kept")]}

# Only 5.0 has the user property that moves a message.
MOVED = "routed/eu/devices/alice/temp" if V5 else "devices/alice/temp"


def reader():
    """Who sees what alice publishes: bob where it is moved, alice's second device where it is not."""
    if V5:
        user = enter("bob")
        check(user.subscribe("routed/#"), [2], "SUBACK")
        return user
    user = enter("alice")
    check(user.subscribe("devices/alice/#"), [2], "SUBACK")
    return user


def writer(**more):
    # 3.1.1 reads and writes as alice, in one connection.
    return enter("alice", **more) if V5 else None


def routing():
    bob = reader()
    alice = writer() or bob
    for qos in (0, 1, 2):
        for number in range(5):
            check(alice.publish("devices/alice/temp", f"{qos}.{number}", qos, **EUROPE), 0, "acknowledgement")
            if V5:
                message = bob.messages.get(timeout=PATIENCE)
                check(message.properties.UserProperty, EUROPE["UserProperty"], "user properties")
                bob.messages.put(message)
            check(bob.message(), (MOVED, f"{qos}.{number}", qos, False), "message")
    bob.leave()
    alice.leave()


def refusals():
    check(connect("alice", password="wrong").code, 0x86, "CONNACK for a wrong password")
    check(connect("eve").code, 0x86, "CONNACK for an unknown user")
    check(connect("alice", will={"topic": "devices/bob/will", "payload": "x"}).code, 0x87, "CONNACK for a foreign will")
    alice, bob = enter("alice"), enter("bob")
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
        told = alice.publish("devices/alice/temp", "x", UserProperty=("region", "+"))
        check(told, 0x90, "acknowledgement of a wildcard")
    bob.publish("devices/bob/own", "own", 1)
    check(bob.message()[:2], ("devices/bob/own", "own"), "the first message")
    alice.leave()
    bob.leave()


def retained():
    alice = enter("alice")
    check(alice.publish("devices/alice/temp", "kept", 1, retain=True, **EUROPE), 0, "acknowledgement")
    alice.leave()
    bob = reader()
    check(bob.message(), (MOVED, "kept", 1, True), "retained message")
    bob.leave()


def will():
    if V5:
        bob = reader()
        more = properties("WILLMESSAGE", UserProperty=("region", "eu"))
        left = {"topic": "devices/alice/temp", "payload": "gone", "qos": 1, "properties": more}
        enter("alice", will=left).vanish()
        check(bob.message(), (MOVED, "gone", 1, False), "will")
        bob.leave()
        return
    bob = enter("bob", will={"topic": "devices/bob/status", "payload": "gone", "qos": 1, "retain": True})
    bob.vanish()
    # Another connection of bob's finds what the first one left.
    again = enter("bob")
    check(again.subscribe("devices/bob/#"), [2], "SUBACK")
    check(again.message()[:2], ("devices/bob/status", "gone"), "will")
    again.leave()


def many():
    bob = reader()
    alice = writer() or bob

    def publish():
        for number in range(500):
            more = properties("PUBLISH", **EUROPE) if V5 else None
            alice.client.publish("devices/alice/temp", str(number), 1, properties=more)

    done = threading.Thread(target=publish)
    done.start()
    for number in range(500):
        check(bob.message()[1], str(number), "message")
    done.join()
    for _ in range(500):
        check(alice.published.get(timeout=PATIENCE)[0], 0, "acknowledgement")
    bob.leave()
    alice.leave()


{"routing": routing, "refusals": refusals, "retained": retained, "will": will, "many": many}[SCENARIO]()
print("ok")
