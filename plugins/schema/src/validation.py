"""Which messages must follow which JSON Schema. Knows nothing of any component."""

import json

import fastjsonschema
from fastjsonschema import JsonSchemaDefinitionException, JsonSchemaException

MAX_REASON = 200
"""Characters of a reason that a publisher is told."""

DRAFTS = ("draft-04", "draft-06", "draft-07", "2019-09")


class ConfigurationError(Exception):
    """What is wrong, for the operator."""


class Rules:
    """The configuration, read once."""

    def __init__(self, config):
        keys(config, "", {"rules", "allow_empty"})
        rules = config.get("rules")
        if not isinstance(rules, list) or not rules:
            raise ConfigurationError(
                'rules: write at least one, for example { filter = "a/#", schema = { file = "a.json" } }'
            )
        self.allow_empty = config.get("allow_empty", False)
        if not isinstance(self.allow_empty, bool):
            raise ConfigurationError("allow_empty: must be true or false")
        self.rules = []
        for number, rule in enumerate(rules, 1):
            try:
                self.rules.append(read_rule(rule))
            except ConfigurationError as error:
                raise ConfigurationError(f"rule {number}: {error}") from None

    def filters(self):
        """Every filter, for the registration."""
        return list(dict.fromkeys(filter for filter, _ in self.rules))

    def fault(self, topic, payload):
        """What is wrong with the payload; None when nothing is."""
        checks = [check for filter, check in self.rules if matches(filter, topic)]
        if not checks or (not payload and self.allow_empty):
            return None
        try:
            value = json.loads(payload.decode("utf-8"), parse_constant=no_number)
        except (ValueError, RecursionError):
            return "the payload is not JSON"
        for check in checks:
            try:
                check(value)
            except JsonSchemaException as error:
                return str(error.message)[:MAX_REASON]
            except RecursionError:
                return "the payload is nested too deep"
            except ArithmeticError:
                # 1e400 is JSON, and infinite to Python.
                return "a number in the payload is too large to be checked"
        return None


def no_number(name):
    """What Python takes for a number and JSON does not."""
    raise ValueError(name)


def keys(table, where, known):
    """Only the known keys."""
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}must be a table")
    for key in table:
        if key not in known:
            raise ConfigurationError(f"{where}unknown key `{key}`; there are {', '.join(sorted(known))}")


def read_rule(rule):
    """The filter and what checks a value."""
    keys(rule, "", {"filter", "schema"})
    filter = rule.get("filter")
    if not isinstance(filter, str) or not is_filter(filter):
        raise ConfigurationError(f"filter: {filter!r} is no topic filter")
    if "schema" not in rule:
        raise ConfigurationError('schema: is missing; write for example { file = "a.json" }')
    schema, name = read_schema(rule["schema"])
    draft = schema.get("$schema") if isinstance(schema, dict) else None
    if draft is not None and not any(known in str(draft) for known in DRAFTS):
        raise ConfigurationError(f"{name}: {draft!r} is none of the drafts {', '.join(DRAFTS)}")
    try:
        check = fastjsonschema.compile(schema, handlers=Nowhere(), use_default=False)
    except (JsonSchemaDefinitionException, RecursionError) as error:
        raise ConfigurationError(f"{name}: {error}") from None
    except Exception as error:  # a schema that is no schema fails in many ways
        raise ConfigurationError(f"{name}: not a usable schema: {error!r}") from None
    return filter, check


def read_schema(schema):
    """The schema from a table, a text or a file, and its name in errors."""
    name = "schema"
    if isinstance(schema, dict) and set(schema) == {"file", "content"}:
        name, schema = schema["file"], schema["content"]
    if isinstance(schema, str):
        try:
            schema = json.loads(schema, parse_constant=no_number)
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"{name}:{error.lineno}: not JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{name}: not JSON: {error}") from None
    if not isinstance(schema, (dict, bool)):
        raise ConfigurationError(f"{name}: a schema is an object, true or false")
    return schema, name


class Nowhere(dict):
    """Fetches no schema from anywhere: there is no network here."""

    def __contains__(self, scheme):
        return True

    def __getitem__(self, scheme):
        def fetch(uri):
            raise JsonSchemaDefinitionException(f"$ref to {uri}: only references within the schema are followed")

        return fetch


def is_filter(filter):
    """Whether this is an MQTT topic filter."""
    levels = filter.split("/")
    alone = all(level in ("+", "#") or not set(level) & {"+", "#"} for level in levels)
    return bool(filter) and "\0" not in filter and alone and "#" not in levels[:-1]


def matches(filter, topic):
    """Whether the filter matches the topic name."""
    if topic.startswith("$") and filter[0] in "+#":
        return False
    wanted, levels = filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(w in ("+", level) for w, level in zip(wanted, levels))
