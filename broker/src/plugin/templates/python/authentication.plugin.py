"""Lets those in who know their token. The next plugin is asked about names that have none."""

import hmac
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.authentication import Outcome_Abstain, Outcome_Accept, Outcome_Refuse
from wit_world.exports.lifecycle import Registration
from wit_world.imports.identities import Identity
from wit_world.imports.types import Actions, Refusal

# By username. For real use keep hashes, as the plugin password-file does.
tokens = {}


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        global tokens
        said = json.loads(config)
        tokens = said.pop("tokens", {})
        for key in said:
            raise Err(f"{key}: there is no such key")
        if not tokens:
            raise Err("tokens: is empty; name at least one user and token")
        return Registration(Actions(0), on_publish=[], on_deliver=[], events=[], tick_every=0)


class Authentication(exports.Authentication):
    def authenticate(self, connect):
        token = tokens.get(connect.username)
        if token is None:
            return Outcome_Abstain()
        if not hmac.compare_digest(token.encode(), connect.password or b""):
            return Outcome_Refuse(Refusal(0x86, None, []))
        return Outcome_Accept(
            Identity(
                name=connect.username,
                attributes=[("by", "{{name}}")],
                permissions=[],
                limits=None,
                expires_in=None,
                connack_properties=[],
                response_information=None,
            )
        )
