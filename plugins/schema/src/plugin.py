"""The component: the contract's words around `validation`."""

import json

from componentize_py_types import Err
from validation import ConfigurationError, Rules
from wit_world import exports
from wit_world.exports.lifecycle import Registration, Selector
from wit_world.exports.transformation import Verdict_Forward, Verdict_Reject
from wit_world.imports.types import Actions, Refusal

PAYLOAD_FORMAT_INVALID = 0x99

rules = None

# The component is made of the interpreter as it is after this module has run, and has no files: what Python imports
# only when it is needed must have been needed by then.
WARM_UP = {
    "type": "object",
    "required": ["number"],
    "properties": {
        "number": {"$ref": "#/definitions/number"},
        "text": {"type": "string", "pattern": "^a", "format": "date-time"},
        "encoded": {"contentEncoding": "base64", "contentMediaType": "application/json"},
    },
    "definitions": {"number": {"type": "number", "multipleOf": 0.1}},
}
for payload in [b"{}", b"{", b"\xff", b'{"number": 0.2, "text": "a", "encoded": "e30="}', b'{"number": 1e400}']:
    Rules({"rules": [{"filter": "#", "schema": WARM_UP}]}).fault("warm/up", payload)


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        global rules
        try:
            rules = Rules(json.loads(config))
        except ConfigurationError as error:
            raise Err(str(error)) from None
        selectors = [Selector([filter], None, 0, None) for filter in rules.filters()]
        return Registration(Actions(0), selectors, [], [], 0)


class Transformation(exports.Transformation):
    def on_publish(self, message):
        fault = rules.fault(message.topic(), message.payload())
        if fault is None:
            return Verdict_Forward()
        return Verdict_Reject(Refusal(PAYLOAD_FORMAT_INVALID, fault, []))

    def on_deliver(self, subscriber, message):
        return Verdict_Forward()
