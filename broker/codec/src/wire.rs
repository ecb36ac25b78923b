//! The data representations of the protocol: a Reader over bytes and a Sink for bytes. The only
//! bounds checks of the crate are here. Must not know packets or properties.

use crate::frame::MAX_REMAINING_LENGTH;
use crate::scan::{has_nul, has_wildcard, is_plain};
use crate::{DecodeError, EncodeError, PacketId, PacketType, Version};

/// Takes fields from the front of a slice. A failed read leaves it in an unspecified position.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left, without taking it.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer: at most four bytes, minimal [MQTT-1.5.5-1].
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let first = self.u8()?;
        if first & 0x80 == 0 {
            return Ok(u32::from(first));
        }
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 { Err(DecodeError::VarIntNotMinimal) } else { Ok(value) };
            }
        }
        Err(DecodeError::VarIntTooLong)
    }

    /// Two bytes of length and as many bytes of data.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        text(self.binary()?)
    }

    /// Steps over a string and only checks it.
    #[inline]
    pub(crate) fn skip_text(&mut self) -> Result<(), DecodeError> {
        let bytes = self.binary()?;
        if is_plain(bytes) { Ok(()) } else { text(bytes).map(drop) }
    }

    /// A topic name: a string without wildcards. It may be empty.
    #[inline]
    pub(crate) fn topic(&mut self) -> Result<&'a str, DecodeError> {
        let text = self.text()?;
        if has_wildcard(text.as_bytes()) { Err(DecodeError::TopicWildcard) } else { Ok(text) }
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::PacketIdZero)
    }

    /// Nothing may be left.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}

/// The string in `bytes` [MQTT-1.5.4-1], [MQTT-1.5.4-2]. Control characters other than U+0000 and a
/// byte order mark are characters like any other [MQTT-1.5.4-3].
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = core::str::from_utf8(bytes).map_err(|_| DecodeError::StringNotUtf8)?;
    if has_nul(bytes) { Err(DecodeError::StringContainsNul) } else { Ok(text) }
}

/// Bytes that the variable byte integer `value` takes. Values above the maximum count as the
/// maximum: the packet they would be in is refused as too large.
#[inline]
pub(crate) const fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Where fields are written to: the output, or only a count of it.
pub(crate) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    #[inline]
    fn varint(&mut self, value: u32) {
        let mut rest = value;
        while rest > 0x7f {
            self.u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.u8(rest as u8);
    }

    /// A length as a variable byte integer.
    #[inline]
    fn length(&mut self, len: usize) -> Result<(), EncodeError> {
        self.varint(checked_length(len)?);
        Ok(())
    }

    #[inline]
    fn binary(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.u16(u16::try_from(bytes.len()).map_err(|_| EncodeError::StringTooLong)?);
        self.bytes(bytes);
        Ok(())
    }

    #[inline]
    fn text(&mut self, text: &str) -> Result<(), EncodeError> {
        check_text(text)?;
        self.binary(text.as_bytes())
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what would be written.
#[derive(Default)]
pub(crate) struct Measure(pub(crate) usize);

impl Sink for Measure {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        // The same bytes may be written many times, so this can pass the address space.
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// A length that fits a variable byte integer.
#[inline]
pub(crate) fn checked_length(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len)
        .ok()
        .filter(|len| *len <= MAX_REMAINING_LENGTH)
        .ok_or(EncodeError::PacketTooLarge)
}

#[inline]
pub(crate) fn check_text(text: &str) -> Result<(), EncodeError> {
    if text.len() > usize::from(u16::MAX) {
        Err(EncodeError::StringTooLong)
    } else if has_nul(text.as_bytes()) {
        Err(EncodeError::StringContainsNul)
    } else {
        Ok(())
    }
}

#[inline]
pub(crate) fn check_topic(text: &str) -> Result<(), EncodeError> {
    check_text(text)?;
    if has_wildcard(text.as_bytes()) { Err(EncodeError::TopicWildcard) } else { Ok(()) }
}

/// What follows the fixed header of a packet. `write` is called twice, to count and to write, and
/// must do the same both times.
pub(crate) trait Body {
    fn kind(&self) -> PacketType;
    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError>;
}

/// Appends a whole packet: counts first, so that `out` grows once and stays as it was on error.
pub(crate) fn encode<B: Body>(
    body: &B,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut measure = Measure::default();
    body.write(version, &mut measure)?;
    let remaining = checked_length(measure.0)?;
    out.reserve(1 + varint_len(measure.0) + measure.0);
    let start = out.len();
    out.u8(body.kind().first_byte());
    out.varint(remaining);
    body.write(version, out).inspect_err(|_| out.truncate(start))
}
