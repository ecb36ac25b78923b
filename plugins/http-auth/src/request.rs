//! What the web service is told about a client.

use base64ct::{Base64, Encoding};
use serde::Serialize;
use wasmqtt_plugin::{Certificate, Connect};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_method: Option<&'a str>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate_fields: Option<Fields<'a>>,
    user_properties: Vec<Property<'a>>,
}

#[derive(Serialize)]
struct Property<'a> {
    name: &'a str,
    value: &'a str,
}

/// Of a certificate that the listener has verified.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    common_name: Option<&'a str>,
    subject: &'a str,
    dns_names: &'a [String],
    uris: &'a [String],
    emails: &'a [String],
    /// Hexadecimal.
    sha256: String,
}

pub(super) fn body(connect: &Connect, enhanced: Option<(&str, &[u8])>) -> Result<Vec<u8>, String> {
    let body = Body {
        client_id: &connect.client_id,
        user_name: connect.username.as_deref(),
        password: connect.password.as_deref().map(Base64::encode_string),
        authentication_method: enhanced.map(|(method, _)| method),
        authentication_data: enhanced.map(|(_, data)| Base64::encode_string(data)),
        client_certificate_fields: connect.certificate.as_ref().map(fields),
        user_properties: connect
            .user_properties
            .iter()
            .map(|property| Property { name: &property.name, value: &property.value })
            .collect(),
    };
    serde_json::to_vec(&body).map_err(|error| error.to_string())
}

fn fields(certificate: &Certificate) -> Fields<'_> {
    Fields {
        common_name: certificate.common_name.as_deref(),
        subject: &certificate.subject,
        dns_names: &certificate.dns_names,
        uris: &certificate.uris,
        emails: &certificate.emails,
        sha256: certificate.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
