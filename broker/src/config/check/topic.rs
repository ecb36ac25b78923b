//! Whether a string is a topic filter. The configuration depends on no other room, so it says so itself.

/// Most bytes an MQTT string can hold.
const MAX_LENGTH: usize = u16::MAX as usize;

/// What is wrong with a filter [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3],
/// to be read after it. A shared subscription is not a filter of topics.
pub(super) fn fault(filter: &str) -> Option<&'static str> {
    if filter.is_empty() {
        return Some("is empty: a topic filter has at least one character");
    }
    if filter.len() > MAX_LENGTH {
        return Some("is longer than the 65535 bytes of a topic filter");
    }
    if filter.contains('\0') {
        return Some("holds the character U+0000");
    }
    if filter == "$share" || filter.starts_with("$share/") {
        return Some("is a shared subscription: write the topic filter alone");
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Some("is not a topic filter: `#` must be the whole of the last level");
        }
        if level.contains('+') && level != "+" {
            return Some("is not a topic filter: `+` must be the whole of a level");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_whole_levels() {
        for filter in
            ["#", "+", "a", "/", "a/#", "+/a/+/#", "/+", "a//b", "$SYS/#", "$shared/a", " "]
        {
            assert_eq!(fault(filter), None, "{filter}");
        }
        for filter in
            ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "##", "++", "a\0b", "$share/g/a", "$share"]
        {
            assert!(fault(filter).is_some(), "{filter}");
        }
    }

    #[test]
    fn a_filter_fits_into_an_mqtt_string() {
        assert_eq!(fault(&"a".repeat(65_535)), None);
        assert!(fault(&"a".repeat(65_536)).is_some());
    }
}
