//! The switches of `[[listener]]`.

use super::{
    super::{
        model::{Features, OnDuplicate, Version},
        problem::quote,
    },
    fields::{Fields, Reporter, Text, suggestion},
};

/// What is not set is as in `base`.
pub(super) fn features(
    fields: &mut Fields<'_>,
    base: Features,
    reporter: &Reporter<'_>,
) -> Features {
    let protocols = protocols(fields, reporter).unwrap_or(base.protocols);
    let max_qos = fields.count("max_qos", 0..=2).unwrap_or(base.max_qos);
    let on_duplicate_client_id = fields
        .word("on_duplicate_client_id", OnDuplicate::WORDS)
        .unwrap_or(base.on_duplicate_client_id);
    let mut flag = |key, base| fields.flag(key).unwrap_or(base);
    Features {
        protocols,
        max_qos,
        on_duplicate_client_id,
        check_retained_source: flag("check_retained_source", base.check_retained_source),
        unsafe_client_ids: flag("unsafe_client_ids", base.unsafe_client_ids),
        retain: flag("retain", base.retain),
        wildcard_subscriptions: flag("wildcard_subscriptions", base.wildcard_subscriptions),
        subscription_identifiers: flag("subscription_identifiers", base.subscription_identifiers),
        shared_subscriptions: flag("shared_subscriptions", base.shared_subscriptions),
        validate_payload_format: flag("validate_payload_format", base.validate_payload_format),
    }
}

/// In the order of the versions, each once.
fn protocols(fields: &mut Fields<'_>, reporter: &Reporter<'_>) -> Option<Vec<Version>> {
    let texts = fields.texts("protocols")?;
    let mut found = Vec::with_capacity(Version::WORDS.len());
    for Text { text, place } in &texts {
        match Version::WORDS.iter().find(|(word, _)| word == text) {
            None => {
                let message = format!("`listener.protocols` cannot name {}", quote(text));
                let help = suggestion(text, Version::WORDS.iter().map(|(word, _)| *word));
                reporter.error(*place, message, help);
            }
            Some((_, version)) if found.contains(version) => {
                let message = format!("`listener.protocols` names {} twice", quote(text));
                reporter.error(*place, message, None);
            }
            Some((_, version)) => found.push(*version),
        }
    }
    if texts.is_empty() {
        let message = "`listener.protocols` is empty: nobody could connect";
        let help = "name \"3.1\", \"3.1.1\" or \"5.0\", or remove the key";
        reporter.error(fields.place_of("protocols"), message, Some(help.into()));
    }
    found.sort_unstable();
    Some(found)
}
