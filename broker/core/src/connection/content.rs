//! How much one message may carry.

use wasmqtt_codec::{MessageProperties, UserProperties};

use crate::fault::Fault;
use crate::limits::Limits;

/// Whether a publication or a will is within the bounds. `length` is that of its properties, or more.
pub(crate) fn check_size(
    limits: &Limits,
    properties: MessageProperties<'_>,
    length: usize,
    payload: &[u8],
) -> Result<(), Fault> {
    if payload.len() > limits.max_payload_size as usize {
        return Err(Fault::PayloadTooLarge);
    }
    let Limits { max_content_type, max_response_topic, max_correlation_data, .. } = *limits;
    // What is short altogether holds nothing long: most properties are not looked at.
    if length > usize::from(max_content_type.min(max_response_topic).min(max_correlation_data)) {
        let found = [
            ("content type", properties.content_type().map(str::len), max_content_type),
            ("response topic", properties.response_topic().map(str::len), max_response_topic),
            (
                "correlation data",
                properties.correlation_data().map(<[u8]>::len),
                max_correlation_data,
            ),
        ];
        for (name, length, most) in found {
            if length.is_some_and(|length| length > usize::from(most)) {
                return Err(Fault::PropertyTooLong(name));
            }
        }
    }
    check_user_properties(limits, properties.user_properties(), length)
}

/// Whether so many bytes of user properties are allowed. `length` is that of all properties, or more.
pub(crate) fn check_user_properties(
    limits: &Limits,
    properties: UserProperties<'_>,
    length: usize,
) -> Result<(), Fault> {
    let most = limits.max_user_properties_bytes as usize;
    let bytes = || properties.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if length > most && bytes() > most {
        return Err(Fault::TooManyUserProperties);
    }
    Ok(())
}
