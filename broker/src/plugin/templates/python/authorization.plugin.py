"""A client may do everything below PREFIX/CLIENT ID/. The next plugin is asked about the rest."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.authorization import Answer_Abstain, Answer_Allow, Decision
from wit_world.exports.lifecycle import Registration
from wit_world.imports.types import Actions

prefix = "clients"


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        global prefix
        said = json.loads(config)
        prefix = said.pop("prefix", "clients")
        for key in said:
            raise Err(f"{key}: there is no such key")
        actions = Actions.PUBLISH | Actions.SUBSCRIBE
        return Registration(actions, on_publish=[], on_deliver=[], events=[], tick_every=0)


class Authorization(exports.Authorization):
    def authorize(self, client, request):
        # A name that is a wildcard or has levels must not widen what it stands for.
        plain = client.id != "" and not set(client.id) & set("+#/")
        if plain and request.topic.startswith(f"{prefix}/{client.id}/"):
            return Decision(Answer_Allow(), reuse_ms=0)
        return Decision(Answer_Abstain(), reuse_ms=0)
