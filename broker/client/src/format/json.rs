//! A message as a JSON object, with the names that mosquitto_sub has.

use base64ct::{Base64, Encoding as _};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::Delivery;

/// As mosquitto_sub writes it.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.6f%z";

/// Appends the object. `bare` takes the payload for JSON, and writes it as it is.
///
/// # Errors
/// Where `bare` is asked for a payload that is no JSON.
pub(super) fn write(
    delivery: &Delivery<'_>,
    bare: bool,
    pretty: bool,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let payload = delivery.publish.payload;
    if bare && serde_json::from_slice::<IgnoredAny>(payload).is_err() {
        return Err(format!("the message on {} is no JSON", delivery.topic));
    }
    if pretty {
        let mut object = head(delivery);
        let (name, value) = match bare {
            true => ("payload", serde_json::from_slice(payload).unwrap_or_default()),
            false => self::payload(payload),
        };
        object.push((name, value));
        let object: Map<String, Value> =
            object.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        out.extend(serde_json::to_vec_pretty(&object).unwrap_or_default());
        return Ok(());
    }
    out.push(b'{');
    for (name, value) in head(delivery) {
        out.extend(format!("{}:{value},", json!(name)).into_bytes());
    }
    match bare {
        true => {
            out.extend(b"\"payload\":");
            out.extend_from_slice(payload);
        }
        false => {
            let (name, value) = self::payload(payload);
            out.extend(format!("{}:{value}", json!(name)).into_bytes());
        }
    }
    out.push(b'}');
    Ok(())
}

/// Text as it is; anything else would be lost in a string.
fn payload(bytes: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => ("payload", text.into()),
        Err(_) => ("payload_base64", Base64::encode_string(bytes).into()),
    }
}

fn head(delivery: &Delivery<'_>) -> Vec<(&'static str, Value)> {
    let publish = delivery.publish;
    let mut time = Vec::new();
    super::strftime(TIME, &delivery.at, &mut time);
    let mut head = vec![
        ("tst", String::from_utf8_lossy(&time).into()),
        ("topic", delivery.topic.into()),
        ("qos", (publish.qos as u8).into()),
        ("retain", u8::from(publish.retain).into()),
        ("payloadlen", publish.payload.len().into()),
    ];
    if let Some(packet_id) = publish.packet_id {
        head.push(("mid", packet_id.get().into()));
    }
    let properties = properties(delivery);
    if !properties.is_empty() {
        head.push(("properties", properties.into()));
    }
    head
}

fn properties(delivery: &Delivery<'_>) -> Map<String, Value> {
    let (hop, message) = (&delivery.publish.properties, delivery.properties());
    let correlation = message.correlation_data().map(|data| match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => Base64::encode_string(data),
    });
    let identifiers: Vec<Value> =
        hop.subscription_identifiers.iter().map(|id| u32::from(id).into()).collect();
    let named = [
        ("topic-alias", hop.topic_alias.map(|alias| alias.get().into())),
        ("message-expiry-interval", hop.message_expiry_interval.map(Value::from)),
        ("subscription-identifier", one_or_many(identifiers)),
        (
            "payload-format-indicator",
            message.payload_format_indicator().map(|is| u8::from(is).into()),
        ),
        ("content-type", message.content_type().map(Value::from)),
        ("response-topic", message.response_topic().map(Value::from)),
        ("correlation-data", correlation.map(Value::from)),
        ("user-properties", user(delivery)),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// An object; a name that comes several times has a list.
fn user(delivery: &Delivery<'_>) -> Option<Value> {
    let mut named: Map<String, Value> = Map::new();
    for (name, value) in delivery.properties().user_properties() {
        match named.get_mut(name) {
            None => drop(named.insert(name.to_owned(), value.into())),
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    (!named.is_empty()).then(|| named.into())
}

fn one_or_many(mut values: Vec<Value>) -> Option<Value> {
    match values.len() {
        0 => None,
        1 => values.pop(),
        _ => Some(values.into()),
    }
}
