//! Sizes and durations as people write them: `"64KiB"`, `"1m30s"`.
//!
//! Both directions, so that what is printed is read back as the same value. It knows nothing of TOML.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Units in milliseconds, the longest first.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What a size may look like, for error messages.
pub(super) const SIZE_FORM: &str = "write a size as \"512B\", \"64KiB\", \"1MiB\" (powers of 1024), \"64KB\", \"1MB\" (powers of 1000), \
     or as a plain number of bytes";

/// What a duration may look like, for error messages.
pub(super) const DURATION_FORM: &str =
    "write a duration as \"5ms\", \"30s\", \"5m\", \"24h\", \"7d\" or \"1m30s\"";

/// Bytes. The unit is required and its case does not matter; one space may stand before it. None for
/// anything else, and for more than a `u64` holds.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// One or more numbers with their units, from the longest unit to the shortest, each at most once.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut units = TIMES.iter();
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end)?;
        // The search goes on where the last one ended: a unit can neither come twice nor out of order.
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// The size in the largest unit of 1024 that divides it.
pub(super) fn size(bytes: u64) -> String {
    let (unit, factor) = SIZES
        .iter()
        .take_while(|(name, _)| *name != "KB")
        .filter(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor))
        .last()
        .copied()
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// The duration in whole milliseconds, which is as fine as it can be written.
pub(super) fn duration(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    // Days would turn the usual "24h" into "1d".
    let whole_hours = rest <= 7 * 86_400_000;
    for (unit, factor) in TIMES.iter().filter(|(unit, _)| !(whole_hours && *unit == "d")) {
        if rest >= *factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024_and_of_1000() {
        for (text, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("2GiB", 2 << 30),
            ("1TiB", 1 << 40),
            ("64KB", 64_000),
            ("3MB", 3_000_000),
            ("1GB", 1_000_000_000),
            ("1TB", 1_000_000_000_000),
            ("1mib", 1_048_576),
            ("1 MiB", 1_048_576),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            " ",
            "1",
            "MiB",
            "-1B",
            "+1B",
            "1.5MiB",
            "1_000B",
            "1  MiB",
            "1MiB ",
            " 1MiB",
            "1M",
            "1Kib2",
            "1s",
            "0x10B",
            "١B",
            "18446744073709551616B",
            "18014398509481984KiB",
            "1\u{212A}B",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_in_one_unit_or_several() {
        for (text, millis) in [
            ("0s", 0),
            ("5ms", 5),
            ("30s", 30_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90m", 5_400_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "0",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "30s1m",
            "1s1s",
            "5us",
            "5S",
            "5min",
            "1h 5m",
            "5ms5",
            "18446744073709551615d",
            "18446744073709551615ms1ms",
            "213503982335d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_printed_size_is_read_back_as_itself() {
        let powers = (0..64).flat_map(|bit| [1_u64 << bit, (1_u64 << bit) - 1, 3_u64 << (bit / 2)]);
        for bytes in powers.chain([0, 1_000, 1_000_000, 268_435_455, u64::MAX]) {
            assert_eq!(parse_size(&size(bytes)), Some(bytes), "{}", size(bytes));
        }
        assert_eq!(size(1_048_576), "1MiB");
        assert_eq!(size(1_000_000), "1000000B");
    }

    #[test]
    fn a_printed_duration_is_read_back_as_itself() {
        let powers = (0..64).flat_map(|bit| [1_u64 << bit, (1_u64 << bit) - 1]);
        for millis in powers.chain([0, 999, 90_000, 86_400_000, 604_800_000, 604_800_001]) {
            let time = Duration::from_millis(millis);
            assert_eq!(parse_duration(&duration(time)), Some(time), "{}", duration(time));
        }
        assert_eq!(duration(Duration::from_hours(24)), "24h");
        assert_eq!(duration(Duration::from_secs(90)), "1m30s");
        assert_eq!(duration(Duration::from_secs(31 * 86_400)), "31d");
    }
}
