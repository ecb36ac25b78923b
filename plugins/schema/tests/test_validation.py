"""What the rules take, and what they tell the operator."""

import json
import unittest

from validation import ConfigurationError, Rules, is_filter, matches

READING = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["celsius"],
    "properties": {
        "celsius": {"type": "number", "minimum": -90, "maximum": 60},
        "unit": {"enum": ["C"]},
        "at": {"$ref": "#/definitions/place"},
    },
    "additionalProperties": False,
    "definitions": {"place": {"type": "array", "items": {"type": "number"}, "maxItems": 2}},
}


def rules(schema=READING, **more):
    return Rules({"rules": [{"filter": "sensors/+/reading", "schema": schema}], **more})


class Payloads(unittest.TestCase):
    def test_a_payload_that_follows_the_schema_is_taken(self):
        for payload in ['{"celsius": 21}', '{"celsius":-90.0,"unit":"C","at":[1,2]}']:
            self.assertIsNone(rules().fault("sensors/7/reading", payload.encode()))

    def test_a_payload_that_does_not_is_refused_with_what_is_wrong(self):
        for payload, part in [
            ("{}", "must contain ['celsius']"),
            ('{"celsius": "21"}', "data.celsius must be number"),
            ('{"celsius": 61}', "data.celsius must be smaller than or equal to 60"),
            ('{"celsius": 1, "unit": "F"}', "data.unit must be one of ['C']"),
            ('{"celsius": 1, "at": [1, 2, 3]}', "data.at"),
            ('{"celsius": 1, "x": 2}', "must not contain"),
            ("[]", "data must be object"),
        ]:
            fault = rules().fault("sensors/7/reading", payload.encode())
            self.assertIn(part, fault or "", payload)

    def test_what_is_not_json_is_refused(self):
        for payload in [b"", b"celsius=1", b"\xff", b'{"celsius": NaN}', b"[" * 100_000, b"1" * 10_000]:
            fault = rules(True).fault("sensors/7/reading", payload)
            self.assertEqual(fault, "the payload is not JSON", payload[:20])

    def test_a_number_that_is_infinite_to_python_is_refused_and_does_no_harm(self):
        step = {"type": "object", "properties": {"n": {"type": "number", "multipleOf": 0.1}}}
        self.assertIn("too large", rules(step).fault("sensors/7/reading", b'{"n": 1e400}'))
        self.assertIsNone(rules(step).fault("sensors/7/reading", b'{"n": 0.5}'))

    def test_an_empty_payload_may_be_allowed_so_that_retained_messages_can_be_removed(self):
        self.assertIsNone(rules(allow_empty=True).fault("sensors/7/reading", b""))
        self.assertIsNotNone(rules(allow_empty=True).fault("sensors/7/reading", b" "))

    def test_a_reason_is_bounded(self):
        fault = rules().fault("sensors/7/reading", json.dumps({"celsius": 1, "x" * 10_000: 1}).encode())
        self.assertEqual(len(fault), 200)

    def test_topics_of_no_rule_are_not_looked_at_and_every_rule_of_a_topic_counts(self):
        both = Rules(
            {
                "rules": [
                    {"filter": "a/#", "schema": {"type": "object"}},
                    {"filter": "a/b", "schema": '{"required": ["x"]}'},
                ]
            }
        )
        self.assertEqual(both.filters(), ["a/#", "a/b"])
        self.assertIsNone(both.fault("b", b"not json"))
        self.assertIsNone(both.fault("a/c", b"{}"))
        self.assertIsNotNone(both.fault("a/b", b"{}"))
        self.assertIsNotNone(both.fault("a/b", b'["x"]'))
        self.assertIsNone(both.fault("a/b", b'{"x": 1}'))


class Filters(unittest.TestCase):
    def test_filters_match_as_mqtt_says(self):
        for filter, topic in [("a/#", "a"), ("a/#", "a/b/c"), ("+/b", "/b"), ("#", "a/b"), ("$x/+", "$x/y"), ("a", "a")]:
            self.assertTrue(matches(filter, topic), (filter, topic))
        for filter, topic in [("a/+", "a"), ("a/+", "a/b/c"), ("#", "$x"), ("+/y", "$x/y"), ("a", "a/"), ("a/b/#", "a")]:
            self.assertFalse(matches(filter, topic), (filter, topic))

    def test_what_is_no_filter_is_told_apart(self):
        for filter in ["", "a/#/b", "a+", "b#", "a\0"]:
            self.assertFalse(is_filter(filter), filter)


class Configurations(unittest.TestCase):
    def error(self, config):
        with self.assertRaises(ConfigurationError) as raised:
            Rules(config)
        return str(raised.exception)

    def test_a_bad_configuration_names_the_rule_and_what_is_wrong(self):
        good = {"filter": "a", "schema": True}
        for rule, part in [
            ({"filter": "a/#/b", "schema": True}, "filter: 'a/#/b' is no topic filter"),
            ({"schema": True}, "filter: None is no topic filter"),
            ({"filter": "a"}, "schema: is missing"),
            ({"filter": "a", "schema": 7}, "schema: a schema is an object"),
            ({"filter": "a", "schema": "{\n\n]"}, "schema:3: not JSON"),
            ({"filter": "a", "schema": {"file": "a.json", "content": "{\n,"}}, "a.json:2: not JSON"),
            ({"filter": "a", "schema": {"type": "objekt"}}, "schema: Unknown type"),
            ({"filter": "a", "schema": {"minLength": "x", "type": "string"}}, "schema: "),
            ({"filter": "a", "schema": {"$ref": "https://example.com/s.json"}}, "only references within the schema"),
            ({"filter": "a", "schema": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}, "none of the drafts"),
            ({"filter": "a", "schema": True, "topic": "b"}, "unknown key `topic`"),
            (7, "must be a table"),
        ]:
            error = self.error({"rules": [good, rule]})
            self.assertTrue(error.startswith("rule 2: ") and part in error, (rule, error))
        for config, part in [
            ({}, "rules: write at least one"),
            ({"rules": []}, "rules: write at least one"),
            ({"rules": [good], "allow_empty": 1}, "allow_empty: must be true or false"),
            ({"rules": [good], "rule": []}, "unknown key `rule`"),
        ]:
            self.assertIn(part, self.error(config))


if __name__ == "__main__":
    unittest.main()
