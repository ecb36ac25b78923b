"""Eclipse Paho on every way to the broker: paho_ways.py WAY VERSION..., where WAY is JSON that says how to get there."""

import json
import sys

from paho_user import User, Way, check


def show(where, version):
    sub = User.enter(where, version, f"py-sub-{version}")
    will = {"topic": "ways/will", "payload": "gone", "qos": 1}
    pub = User.enter(where, version, f"py-pub-{version}", will=will)
    check(sub.subscribe("ways/#"), [2], "granted")
    for qos in (0, 1, 2):
        pub.publish("ways/qos", f"m{qos}", qos)
        check(sub.message(), ("ways/qos", f"m{qos}", qos, False), version)
    # Larger than a frame, a record and a read.
    large = "x" * 200_000
    pub.publish("ways/large", large, 2)
    check(len(sub.text()), len(large), "length")
    pub.publish("ways/kept", "kept", 1, retain=True)
    check(sub.message(), ("ways/kept", "kept", 1, False), version)
    late = User.enter(where, version, f"py-late-{version}")
    late.subscribe("ways/kept")
    check(late.message(), ("ways/kept", "kept", 1, True), version)
    late.leave()
    pub.publish("ways/kept", b"", 1, retain=True)
    check(sub.text(), "", "cleared")
    pub.vanish()
    check(sub.message(), ("ways/will", "gone", 1, False), version)
    sub.leave()


way, *versions = sys.argv[1:]
for version in versions:
    show(Way(**json.loads(way)), version)
print("ok")
