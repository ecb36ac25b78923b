//! What a string contains, eight bytes at a time: most strings of packets are too short for anything that has to be
//! set up first. Must not know what is looked for, or why.

/// One in every byte.
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
/// The highest bit of every byte.
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
/// Bytes that [`count_nuls`] counts: each byte of a word counts to 255.
const MANY: usize = 8 * 255;
/// What `#` and `+` have in common, in every byte, and the bit in which they differ.
const WILDCARD: u64 = u64::from_ne_bytes([b'#'; 8]);
const WILDCARD_BIT: u64 = u64::from_ne_bytes([b'#' ^ b'+'; 8]);

/// Whether all bytes are ASCII characters other than U+0000. What is, is valid UTF-8.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    // Of a zero, and of what is above 0x80, the highest bit is set in the difference; a borrow comes only from a zero.
    fold(bytes, |word| word | word.wrapping_sub(ONES)) & HIGH == 0
}

/// Whether any byte is zero.
#[inline]
pub(crate) fn has_nul(bytes: &[u8]) -> bool {
    fold(bytes, zeros) != 0
}

/// Whether any byte is `+` or `#`.
#[inline]
pub(crate) fn has_wildcard(bytes: &[u8]) -> bool {
    fold(bytes, |word| zeros((word & !WILDCARD_BIT) ^ WILDCARD)) != 0
}

/// How many bytes are zero, if all of them are ASCII characters and there are 8 to [`MANY`] of them.
#[inline]
pub(crate) fn count_nuls(bytes: &[u8]) -> Option<usize> {
    if bytes.len() > MANY {
        return None;
    }
    let last = u64::from_le_bytes(*bytes.last_chunk::<8>()?);
    // The highest bit of what is not zero, as one in each byte.
    let others = |word: u64| ((word & !HIGH).wrapping_add(!HIGH) & HIGH) >> 7;
    let (mut rest, mut all, mut found) = (bytes, last, 0);
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        (all, found) = (all | word, found + others(word));
        rest = tail;
    }
    if !rest.is_empty() {
        // Those of the last word that have been counted are shifted out; what is shifted in does not count.
        found += others(last >> (64 - 8 * rest.len()));
    }
    let found: usize = found.to_ne_bytes().map(usize::from).iter().sum();
    (all & HIGH == 0).then_some(bytes.len() - found)
}

/// Not zero if and only if one of the bytes is.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// All of `look` at words that together hold every byte and no other, some of them more than once.
#[inline]
fn fold(bytes: &[u8], look: impl Fn(u64) -> u64) -> u64 {
    let Some(last) = bytes.last_chunk::<8>() else { return short(bytes).map_or(0, look) };
    let mut found = look(u64::from_ne_bytes(*last));
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        found |= look(u64::from_ne_bytes(*word));
        rest = tail;
    }
    found
}

/// Less than eight bytes as a word; none of none.
#[inline]
fn short(bytes: &[u8]) -> Option<u64> {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return Some(
            u64::from(u32::from_ne_bytes(*first)) << 32 | u64::from(u32::from_ne_bytes(*last)),
        );
    }
    let (first, last) = (*bytes.first()?, *bytes.last()?);
    let middle = *bytes.get(bytes.len() / 2)?;
    Some(u64::from_ne_bytes([first, middle, last, first, first, first, first, first]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place of texts of each length, among others that are not looked for.
    fn check(looked_for: impl Fn(u8) -> bool, look: impl Fn(&[u8]) -> bool, around: &[u8]) {
        for len in 0..40 {
            for around in around {
                assert!(!look(&vec![*around; len]), "{around} alone, {len} of them");
                for at in 0..len {
                    for byte in 0..=u8::MAX {
                        let mut bytes = vec![*around; len];
                        bytes[at] = byte;
                        assert_eq!(look(&bytes), looked_for(byte), "{byte} at {at} of {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_are_found_wherever_they_are() {
        check(|byte| byte == 0, has_nul, &[1, b'a', 0x80, 0xff]);
    }

    #[test]
    fn zeros_are_counted_among_ascii_characters() {
        for len in (8..40).chain([MANY - 1, MANY]) {
            for around in [1, 0x7f] {
                let mut bytes = vec![around; len];
                assert_eq!(count_nuls(&bytes), Some(0));
                for (at, number) in (0..len).step_by(3).zip(1..) {
                    bytes[at] = 0;
                    assert_eq!(count_nuls(&bytes), Some(number), "{number} of {len}");
                }
                for at in 0..len {
                    let before = std::mem::replace(&mut bytes[at], 0x80);
                    assert_eq!(count_nuls(&bytes), None, "at {at} of {len}");
                    bytes[at] = before;
                }
                assert_eq!(count_nuls(&vec![0; len]), Some(len));
            }
        }
        assert_eq!((count_nuls(&[0; 7]), count_nuls(&[0; MANY + 1])), (None, None));
    }

    #[test]
    fn wildcards_are_found_wherever_they_are() {
        check(|byte| matches!(byte, b'+' | b'#'), has_wildcard, &[0, b'"', b'$', b',', 0xa3, 0xff]);
    }

    #[test]
    fn what_is_not_plain_is_found_wherever_it_is() {
        check(|byte| byte == 0 || byte > 0x7f, |bytes| !is_plain(bytes), &[1, b'a', 0x7f]);
    }
}
