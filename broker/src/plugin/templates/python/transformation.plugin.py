"""Greets messages below hall/, and rejects spam."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.lifecycle import Registration, Selector
from wit_world.exports.transformation import Verdict_Forward, Verdict_Reject
from wit_world.imports.types import Actions, Refusal

greeting = "hello"


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        global greeting
        said = json.loads(config)
        greeting = said.pop("greeting", "hello")
        for key in said:
            raise Err(f"{key}: there is no such key")
        hall = Selector(filters=["hall/#"], user_property=None, min_payload=0, max_payload=None)
        return Registration(Actions(0), on_publish=[hall], on_deliver=[], events=[], tick_every=0)


class Transformation(exports.Transformation):
    def on_publish(self, message):
        if b"spam" in message.payload():
            return Verdict_Reject(Refusal(0x99, "no spam here", []))
        message.set_user_property("greeting", greeting)
        return Verdict_Forward()

    def on_deliver(self, subscriber, message):
        return Verdict_Forward()
