"""One connection of Eclipse Paho. What happens is kept in queues, which are waited for."""

import queue
import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 120
PROTOCOLS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}


def check(found, expected, what):
    if found != expected:
        raise SystemExit(f"{what}: {found!r} instead of {expected!r}")


def properties(packet, **values):
    """The properties of one packet, or none."""
    if not values:
        return None
    made = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Begins(mqtt.Client):
    """A client that sends something before it speaks MQTT."""

    first = b""

    def _create_socket_connection(self):
        made = super()._create_socket_connection()
        made.sendall(self.first)
        return made


class Way:
    """How to get to the broker, where it is not plain TCP on this machine."""

    def __init__(self, host="127.0.0.1", port=0, transport="tcp", path=None, first="", tls=None, tls_version=None):
        self.host, self.port, self.transport, self.path = host, port, transport, path
        self.first, self.tls, self.tls_version = first, tls, tls_version

    def prepare(self, client):
        client.first = bytes.fromhex(self.first)
        if self.transport == "websockets":
            client.ws_set_options(path=self.path)
        if self.tls:
            context = ssl.create_default_context(cafile=self.tls["ca"])
            if self.tls_version:
                exact = getattr(ssl.TLSVersion, self.tls_version)
                context.minimum_version = context.maximum_version = exact
            if "cert" in self.tls:
                context.load_cert_chain(self.tls["cert"], self.tls["key"])
            client.tls_set_context(context)


class User:
    """A client with queues instead of callbacks. `connect` are the properties of CONNECT."""

    def __init__(
        self, where, version, name, *, login=None, clean=True, will=None, connect=None, keepalive=60, most_open=20, **more
    ):
        self.version = version
        self.v5 = version == "5.0"
        self.connected = queue.Queue()
        self.ended = queue.Queue()
        self.subscribed = queue.Queue()
        self.unsubscribed = queue.Queue()
        self.published = queue.Queue()
        self.messages = queue.Queue()
        if not self.v5:
            more["clean_session"] = clean
        more.setdefault("reconnect_on_failure", False)
        way = where if isinstance(where, Way) else Way(port=where)
        self.client = Begins(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=PROTOCOLS[version],
            transport=way.transport,
            **more,
        )
        way.prepare(self.client)
        self.client.max_inflight_messages_set(most_open)
        if login:
            self.client.username_pw_set(*login)
        if will:
            self.client.will_set(**will)
        self.client.on_connect = lambda c, u, flags, code, p: self.connected.put((code.value, flags.session_present, p))
        self.client.on_disconnect = lambda c, u, flags, code, p: self.ended.put(code.value)
        self.client.on_subscribe = lambda c, u, mid, codes, p: self.subscribed.put([x.value for x in codes])
        self.client.on_unsubscribe = lambda c, u, mid, codes, p: self.unsubscribed.put([x.value for x in codes])
        self.client.on_publish = lambda c, u, mid, code, p: self.published.put((code.value, p))
        self.client.on_message = lambda c, u, message: self.messages.put(message)
        only_5 = {"clean_start": clean, "properties": properties("CONNECT", **(connect or {}))} if self.v5 else {}
        self.client.connect(way.host, way.port, keepalive=keepalive, **only_5)
        self.client.loop_start()
        self.code, self.present, self.properties = self.connected.get(timeout=PATIENCE)

    @classmethod
    def enter(cls, where, version, name, **more):
        """As the constructor, where CONNECT must be accepted."""
        user = cls(where, version, name, **more)
        check(user.code, 0, f"CONNACK for {name}")
        return user

    def subscribe(self, topic, qos=2, **more):
        """The codes of SUBACK."""
        if isinstance(topic, str) and "options" not in more:
            more["qos"] = qos
        self.client.subscribe(topic, **more)
        return self.subscribed.get(timeout=PATIENCE)

    def unsubscribe(self, topic):
        """The codes of UNSUBACK, which only 5.0 has."""
        self.client.unsubscribe(topic)
        return self.unsubscribed.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos=1, retain=False, **more):
        """The code of the acknowledgement; `more` are properties."""
        return self.publish_for_properties(topic, payload, qos, retain, **more)[0]

    def publish_for_properties(self, topic, payload, qos=1, retain=False, **more):
        made = properties("PUBLISH", **more) if self.v5 else None
        self.client.publish(topic, payload, qos, retain=retain, properties=made)
        return self.published.get(timeout=PATIENCE)

    def receive(self):
        return self.messages.get(timeout=PATIENCE)

    def message(self):
        message = self.receive()
        return message.topic, message.payload.decode(), message.qos, bool(message.retain)

    def text(self):
        return self.message()[1]

    def hears_nothing(self):
        """Nothing has come, and nothing that the broker has in hand is on its way."""
        for _ in range(2):
            # What waits goes out before the answer to the second request.
            self.subscribe("quiet", 0)
        check([message.payload for message in self.messages.queue], [], "messages")

    def leave(self, **more):
        if more:
            more = {"properties": properties("DISCONNECT", **more)}
        self.client.disconnect(**more)
        self.client.loop_stop()

    def vanish(self):
        """Loses the connection without DISCONNECT."""
        self.client.loop_stop()
        self.client.socket().close()
