"""Shows a feature with Eclipse Paho, in one version after the other. Fails with what was not as it should be.

    paho_features.py SCENARIO PORT VERSION...        (3.1, 3.1.1 or 5.0)
"""

import sys
import time

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from paho_user import PATIENCE, User, check, properties

SCENARIO, PORT, VERSIONS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def enter(version, name, **more):
    return User.enter(PORT, version, name, **more)


def resume(version, name, seconds=300, **more):
    """With a session that stays."""
    more["connect"] = {**more.get("connect", {}), "SessionExpiryInterval": seconds}
    return enter(version, name, clean=False, **more)


def in_order(reader, count):
    """Numbered messages with QoS 1 and 2 in turn. Paho shows those with QoS 2 when they are released: later."""
    arrived = [reader.receive() for _ in range(count)]
    for first, quality in ((0, 1), (1, 2)):
        numbers = [int(message.payload) for message in arrived if message.qos == quality]
        check(numbers, list(range(first, count, 2)), f"messages with QoS {quality}")


def leave_all(*users):
    for user in users:
        user.leave()


def qos(version):
    reader, writer = enter(version, "reader"), enter(version, "writer")
    for granted in (0, 1, 2):
        check(reader.subscribe(f"qos/{granted}", granted), [granted], "SUBACK")
        for sent in (0, 1, 2):
            check(writer.publish(f"qos/{granted}", f"{sent}", sent), 0, "acknowledgement")
            check(reader.message(), (f"qos/{granted}", f"{sent}", min(sent, granted), False), "message")
    leave_all(reader, writer)


def retained(version):
    writer, early = enter(version, "writer"), enter(version, "early")
    early.subscribe("kept/+")
    for payload in ("first", "second"):
        writer.publish("kept/a", payload, retain=True)
        check(early.message(), ("kept/a", payload, 1, False), "to who was there before")
    late = enter(version, "late")
    late.subscribe("kept/#")
    check(late.message(), ("kept/a", "second", 1, True), "retained message")
    writer.publish("kept/a", "", retain=True)
    check(late.message(), ("kept/a", "", 1, False), "the message that clears")
    after = enter(version, "after")
    after.subscribe("kept/#")
    after.hears_nothing()
    leave_all(writer, early, late, after)


def connected(watcher, number):
    """Waits until the broker has so many connections."""
    while watcher.text() != str(number):
        pass


def will(version):
    watcher, clients = enter(version, "watcher"), enter(version, "clients")
    watcher.subscribe("will")
    clients.subscribe("$SYS/broker/clients/connected")
    testament = {"topic": "will", "payload": "gone", "qos": 1, "retain": True}
    enter(version, "client", will=testament).vanish()
    check(watcher.message(), ("will", "gone", 1, False), "will")
    late = enter(version, "late")
    late.subscribe("will")
    check(late.message(), ("will", "gone", 1, True), "retained will")
    late.publish("will", "", retain=True)
    check((late.text(), watcher.text()), ("", ""), "the message that clears")
    late.leave()
    polite = enter(version, "client", will=testament)
    connected(clients, 3)
    polite.leave()
    connected(clients, 2)
    watcher.hears_nothing()
    leave_all(watcher, clients)


def session(version):
    writer = enter(version, "writer")
    check(resume(version, "stays").present, False, "session present")
    away = resume(version, "stays")
    # 3.1 has no word for it.
    check(away.present, version != "3.1", "session present")
    away.subscribe("news/#")
    away.leave()
    for number in range(10):
        writer.publish(f"news/{number % 2}", f"{number}", 1 + number % 2)
    back = resume(version, "stays")
    in_order(back, 10)
    back.leave()
    fresh = enter(version, "stays")
    check(fresh.present, False, "session present")
    writer.publish("news/0", "for nobody")
    fresh.hears_nothing()
    leave_all(fresh, writer)


def filters(version):
    reader, writer = enter(version, "reader"), enter(version, "writer")
    check(reader.subscribe([("a/+/c", 0), ("a/#", 1), ("+/b/+", 2)]), [0, 1, 2], "SUBACK")
    for topic, arrives in [("a/b/c", 2), ("a/x/c", 1), ("a", 1), ("x/b/y", 2), ("x/y/b", None), ("/b/", 2)]:
        writer.publish(topic, "x", 2)
        if arrives is not None:
            check(reader.message(), (topic, "x", arrives, False), "one copy with the highest QoS")
    reader.hears_nothing()
    everything = enter(version, "everything")
    everything.subscribe("#")
    writer.publish("any", "x")
    check(everything.message()[0], "any", "and no $SYS before")
    codes = reader.unsubscribe(["a/#", "never"])
    check(codes, [0, 0x11] if reader.v5 else [], "UNSUBACK")
    writer.publish("a", "x")
    reader.hears_nothing()
    writer.publish("a/x/c", "x", 2)
    check(reader.message(), ("a/x/c", "x", 0, False), "what is left")
    leave_all(reader, writer, everything)


def shared(version):
    members = [enter(version, name) for name in ("one", "two", "three")]
    writer = enter(version, "writer")
    for member in members:
        check(member.subscribe("$share/group/jobs/+", 1), [1], "SUBACK")
    for number in range(30):
        writer.publish(f"jobs/{number % 3}", f"{number}", 1)
    got = []
    for member in members:
        for _ in range(2):
            member.subscribe("quiet", 0)
        own = [int(message.payload) for message in member.messages.queue]
        check(bool(own), True, "everybody takes part")
        got += own
    check(sorted(got), list(range(30)), "each message once")
    leave_all(writer, *members)


def large(version):
    reader, writer = enter(version, "reader"), enter(version, "writer")
    reader.subscribe("large")
    for quality in (0, 1, 2):
        payload = bytes(range(256)) * 4000
        writer.publish("large", payload, quality)
        check(reader.receive().payload == payload, True, f"a megabyte with QoS {quality}")
    leave_all(reader, writer)


def many(version):
    reader, writer = enter(version, "reader"), enter(version, "writer")
    reader.subscribe("many")
    for number in range(300):
        writer.client.publish("many", f"{number}", 1 + number % 2)
    in_order(reader, 300)
    codes = [writer.published.get(timeout=PATIENCE)[0] for _ in range(300)]
    check(codes, [0] * 300, "acknowledgements")
    leave_all(reader, writer)


def taken(version):
    first = enter(version, "same")
    second = enter(version, "same")
    # Of a DISCONNECT without properties paho does not look at the code.
    first.ended.get(timeout=PATIENCE)
    second.subscribe("alive")
    second.publish("alive", "x")
    check(second.text(), "x", "message")
    second.leave()


def reconnect(version):
    """Its connection is lost when the broker is started again, and it comes back by itself."""
    user = User(PORT, version, "returns", reconnect_on_failure=True)
    user.client.reconnect_delay_set(1, 1)
    user.client.on_connect = lambda c, u, flags, code, p: (c.subscribe("again", 1), user.connected.put(code.value))
    check(user.subscribe("again", 1), [1], "SUBACK")
    print(f"ready {version}", flush=True)
    user.ended.get(timeout=PATIENCE)
    # Kept until there is a connection.
    user.client.publish("offline", version, 1, retain=True)
    # No connection before there is a broker again.
    while user.connected.get(timeout=2 * PATIENCE) != 0:
        pass
    check(user.subscribed.get(timeout=PATIENCE), [1], "SUBACK")
    check(user.published.get(timeout=PATIENCE)[0] in (0, 0x10), True, "acknowledgement")
    user.subscribe("offline", 1)
    check(user.message(), ("offline", version, 1, True), "what was published without a connection")
    user.publish("again", "there")
    check(user.message()[:2], ("again", "there"), "message")
    user.leave()


def options(version):
    user, other = enter(version, "user"), enter(version, "other")
    check(user.subscribe("own", options=SubscribeOptions(1, noLocal=True)), [1], "SUBACK")
    user.publish("own", "mine")
    other.publish("own", "another's")
    check(user.text(), "another's", "no local")
    for number, as_published in enumerate([False, True]):
        wanted = SubscribeOptions(1, retainAsPublished=as_published)
        user.subscribe(f"published/{number}", options=wanted)
        other.publish(f"published/{number}", "x", retain=True)
        check(user.message()[3], as_published, "retain as published")
    other.publish("handling", "kept", retain=True)
    never, new, always = (SubscribeOptions(1, retainHandling=handling) for handling in (2, 1, 0))
    for wanted, comes in [(never, False), (new, False), (always, True), (always, True), (new, False)]:
        user.subscribe("handling", options=wanted)
        if comes:
            check(user.message(), ("handling", "kept", 1, True), "retain handling")
        user.hears_nothing()
    user.unsubscribe("handling")
    user.subscribe("handling", options=new)
    check(user.text(), "kept", "retain handling of a new subscription")
    for topic in ("handling", "published/0", "published/1"):
        other.publish(topic, "", retain=True)
    leave_all(user, other)


def identifiers(version):
    user = enter(version, "user")
    for filter, identifier in [("a/#", 1), ("a/+", 268435455), ("b", 7)]:
        user.subscribe(filter, 1, properties=properties("SUBSCRIBE", SubscriptionIdentifier=identifier))
    for topic, expected in [("a/b", [1, 268435455]), ("a/b/c", [1]), ("b", [7])]:
        user.publish(topic, "x")
        check(sorted(user.receive().properties.SubscriptionIdentifier), expected, "identifiers")
    user.leave()


def content(version):
    """Whatever goes with a message arrives with it."""
    user = enter(version, "user")
    user.subscribe("content")
    given = {
        "UserProperty": [("a", "1"), ("b", "2"), ("a", "3"), ("", "")],
        "ContentType": "text/plain; charset=utf-8",
        "ResponseTopic": "answers/here",
        "CorrelationData": b"\x00\x01\xff",
        "PayloadFormatIndicator": 1,
        "MessageExpiryInterval": 1000,
    }
    check(user.publish("content", "grüezi", 2, **given), 0, "acknowledgement")
    message = user.receive()
    check(message.payload.decode(), "grüezi", "payload")
    for name, value in given.items():
        found = getattr(message.properties, name)
        if name == "MessageExpiryInterval":
            found, value = 900 < found <= 1000, True
        check(found, value, name)
    check(user.publish("content", b"\xff", 1, PayloadFormatIndicator=1), 0x99, "what is no text")
    user.leave()


def request(version):
    """Two responders, and a requester that knows which answer belongs to which request."""
    requester = enter(version, "requester")
    requester.subscribe("answers/requester")
    responders = [enter(version, f"responder {number}") for number in range(2)]
    for number, responder in enumerate(responders):
        responder.subscribe(f"requests/{number}")
        more = {"ResponseTopic": "answers/requester", "CorrelationData": bytes([number])}
        requester.publish(f"requests/{number}", f"question {number}", **more)
    for responder in reversed(responders):
        asked = responder.receive()
        answer = asked.payload.decode().replace("question", "answer")
        responder.publish(asked.properties.ResponseTopic, answer, CorrelationData=asked.properties.CorrelationData)
    for number in (1, 0):
        answer = requester.receive()
        found = (answer.payload.decode(), answer.properties.CorrelationData)
        check(found, (f"answer {number}", bytes([number])), "answer")
    leave_all(requester, *responders)


def expiry(version):
    writer = enter(version, "writer")
    away = resume(version, "away")
    away.subscribe("expiry")
    away.leave()
    writer.publish("expiry", "short", MessageExpiryInterval=1)
    writer.publish("expiry", "long", MessageExpiryInterval=100)
    writer.publish("expiry/kept", "short", retain=True, MessageExpiryInterval=1)
    time.sleep(2.1)
    back = resume(version, "away")
    message = back.receive()
    check(message.payload, b"long", "message")
    check(1 <= message.properties.MessageExpiryInterval <= 98, True, "what is left of its time")
    back.subscribe("expiry/kept")
    back.hears_nothing()
    leave_all(back, writer)
    enter(version, "away").leave()


def session_expiry(version):
    watcher = enter(version, "watcher")
    watcher.subscribe("over")
    # Waits for the end of the session.
    patient = properties("WILLMESSAGE", WillDelayInterval=1000)
    testament = {"topic": "over", "payload": "over", "qos": 1, "properties": patient}
    start = time.monotonic()
    resume(version, "client", 2, will=testament).vanish()
    check(watcher.text(), "over", "will")
    check(time.monotonic() - start >= 1.99, True, "not before its time")
    check(resume(version, "client", 300, will=testament).present, False, "session present")
    again = resume(version, "client", 300, will=testament)
    check(again.present, True, "session present")
    # DISCONNECT ends it, and leaves the will.
    more = {"reasoncode": ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")}
    again.client.disconnect(properties=properties("DISCONNECT", SessionExpiryInterval=0), **more)
    check(watcher.text(), "over", "will")
    last = resume(version, "client", 300)
    check(last.present, False, "session present")
    leave_all(last, watcher)


def will_delay(version):
    watcher = enter(version, "watcher")
    watcher.subscribe("will/+")

    def testament(topic, delay):
        more = properties("WILLMESSAGE", WillDelayInterval=delay, UserProperty=("why", topic), ContentType="text/plain")
        return {"topic": topic, "payload": "gone", "qos": 1, "properties": more}

    start = time.monotonic()
    resume(version, "late", will=testament("will/late", 2)).vanish()
    resume(version, "back", will=testament("will/back", 1000)).vanish()
    resume(version, "back").leave()
    message = watcher.receive()
    check((message.topic, message.payload), ("will/late", b"gone"), "will")
    check(message.properties.UserProperty, [("why", "will/late")], "user properties")
    check(message.properties.ContentType, "text/plain", "content type")
    check(time.monotonic() - start >= 1.99, True, "not before its time")
    watcher.hears_nothing()
    watcher.leave()


def aliases(version):
    reader, writer = enter(version, "reader"), enter(version, "writer")
    reader.subscribe("alias/#")
    writer.publish("alias/first", "1", TopicAlias=1)
    writer.publish("alias/second", "2", TopicAlias=2)
    writer.publish("", "3", TopicAlias=1)
    writer.publish("alias/third", "4", TopicAlias=1)
    writer.publish("", "5", TopicAlias=1)
    topics = [reader.message()[:2] for _ in range(5)]
    names = ("first", "second", "first", "third", "third")
    check(topics, [(f"alias/{name}", f"{at}") for at, name in enumerate(names, 1)], "topics")
    # Paho leaves it to its user to know the aliases of the broker.
    known, used = {}, 0
    short = enter(version, "short", connect={"TopicAliasMaximum": 2})
    short.subscribe("alias/#")
    for number in range(30):
        topic = f"alias/{number % 2}"
        writer.publish(topic, f"{number}")
        message = short.receive()
        alias = getattr(message.properties, "TopicAlias", None)
        check(alias in (None, 1, 2), True, "alias")
        used += not message.topic
        found = message.topic or known[alias]
        if alias:
            known[alias] = found
        check((found, message.payload.decode()), (topic, f"{number}"), "message")
    check(used >= 20, True, "messages without a topic")
    leave_all(reader, writer, short)


def limits(version):
    """What the broker allows: the configuration is that of the test."""
    # Paho leaves it to its user to keep to the broker's receive maximum.
    user = enter(version, "", keepalive=600, most_open=5)
    told = user.properties
    check(bool(told.AssignedClientIdentifier), True, "assigned client identifier")
    check(told.ServerKeepAlive, 77, "server keep alive")
    check(told.ReceiveMaximum, 5, "receive maximum")
    check(told.MaximumPacketSize, 4096, "maximum packet size")
    check(told.TopicAliasMaximum, 3, "topic alias maximum")
    check(user.subscribe([(f"limits/{number}", 1) for number in range(4)]), [1, 1, 1, 0x97], "SUBACK")
    for number in range(50):
        user.client.publish("limits/0", f"{number}", 2)
    check([user.text() for _ in range(50)], [f"{number}" for number in range(50)], "messages")
    other = enter(version, "")
    names = {user.properties.AssignedClientIdentifier, other.properties.AssignedClientIdentifier}
    check(len(names), 2, "assigned client identifiers")
    other.client.publish("limits/0", b"x" * 5000, 1)
    other.ended.get(timeout=PATIENCE)
    longer = resume(version, "longer", 1000)
    check(longer.properties.SessionExpiryInterval, 100, "session expiry")
    leave_all(user, longer)


def own_limits(version):
    """What the client allows."""
    writer = enter(version, "writer")
    slow = enter(version, "slow", connect={"ReceiveMaximum": 2}, manual_ack=True)
    slow.subscribe("flow")
    for number in range(5):
        writer.publish("flow", f"{number}", 1 + number % 2)
    held = [slow.receive(), slow.receive()]
    for number in range(2, 5):
        slow.hears_nothing()
        oldest = held.pop(0)
        slow.client.ack(oldest.mid, oldest.qos)
        held.append(slow.receive())
        check(held[-1].payload.decode(), f"{number}", "message")
    small = enter(version, "small", connect={"MaximumPacketSize": 100})
    small.subscribe("size")
    for payload in ("x" * 200, "fits"):
        check(writer.publish("size", payload), 0, "acknowledgement")
    check(small.text(), "fits", "message")
    leave_all(slow, small, writer)


def problem_information(version):
    for wanted in (0, 1):
        user = enter(version, "user", connect={"RequestProblemInformation": wanted, "RequestResponseInformation": 1})
        # Nobody here gives any.
        check(hasattr(user.properties, "ResponseInformation"), False, "response information")
        code, more = user.publish_for_properties("$SYS/mine", "x")
        check(code, 0x87, "acknowledgement")
        check(hasattr(more, "ReasonString"), wanted == 1, "reason string")
        user.leave()


def codes(version):
    user = enter(version, "user")
    check(user.publish("nobody/wants/it", "x"), 0x10, "acknowledgement without subscribers")
    check(user.publish("$SYS/mine", "x"), 0x87, "acknowledgement of the broker's own topic")
    check(user.subscribe("$share/group/", 1), [0x8F], "SUBACK for no filter")
    check(user.unsubscribe("never"), [0x11], "UNSUBACK")
    user.client.publish("codes", "x", 0, properties=properties("PUBLISH", TopicAlias=1000))
    user.ended.get(timeout=PATIENCE)
    will = {"topic": "$SYS/mine", "payload": "x"}
    check(User(PORT, version, "user", will=will).code, 0x87, "CONNACK for a will to the broker's own topic")


for version in VERSIONS:
    print(f"{SCENARIO} in {version}", flush=True)
    globals()[SCENARIO](version)
print("ok")
