//! Is a whole packet here, and is it allowed to be. Knows the fixed header and nothing behind it.

use crate::{DecodeError, Version};

/// The largest value of a variable byte integer, and so the largest remaining length
/// (section 1.5.5).
pub const MAX_REMAINING_LENGTH: u32 = 268_435_455;

/// The largest packet the protocol can express, in bytes, fixed header included.
pub const MAX_PACKET_SIZE: u32 = MAX_REMAINING_LENGTH + 5;

/// The fifteen kinds of control packet, with their number on the wire.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum PacketType {
    /// Client requests to connect.
    Connect = 1,
    /// Server answers CONNECT.
    ConnAck = 2,
    /// An application message.
    Publish = 3,
    /// Answer to a QoS 1 PUBLISH.
    PubAck = 4,
    /// First answer to a QoS 2 PUBLISH.
    PubRec = 5,
    /// The publisher releases a QoS 2 message.
    PubRel = 6,
    /// Last answer of a QoS 2 delivery.
    PubComp = 7,
    /// Client subscribes.
    Subscribe = 8,
    /// Server answers SUBSCRIBE.
    SubAck = 9,
    /// Client unsubscribes.
    Unsubscribe = 10,
    /// Server answers UNSUBSCRIBE.
    UnsubAck = 11,
    /// Client asks whether the server is there.
    PingReq = 12,
    /// Server is there.
    PingResp = 13,
    /// The connection is about to close.
    Disconnect = 14,
    /// Extended authentication; 5.0 only.
    Auth = 15,
}

impl PacketType {
    /// Every packet type, in the order of its number.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The type in the upper half of a fixed header's first byte; `None` for the forbidden 0.
    pub const fn of(first: u8) -> Option<Self> {
        Some(match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The first byte of a packet of this type with its reserved flags. PUBLISH has no reserved
    /// flags: its own are zero here.
    pub const fn first_byte(self) -> u8 {
        let flags = match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0x02,
            _ => 0,
        };
        ((self as u8) << 4) | flags
    }

    /// The name as the specification writes it, for example `SUBACK`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }
}

impl core::fmt::Display for PacketType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// One whole packet, not yet decoded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Type and flags: the first byte of the fixed header.
    pub first: u8,
    /// Everything after the fixed header: exactly as many bytes as its remaining length says.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// The packet type, if `first` names one.
    pub const fn kind(&self) -> Option<PacketType> {
        PacketType::of(self.first)
    }
}

/// What is at the start of the input.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// A whole packet.
    Whole {
        /// The packet.
        frame: Frame<'a>,
        /// Its size in bytes, fixed header included: how much of the input to consume.
        len: usize,
    },
    /// The beginning of a packet, or nothing.
    Partial {
        /// Total bytes of this packet when its fixed header is complete, else `None`.
        total: Option<usize>,
    },
}

/// Finds the packet at the start of `input`. `max` is the largest allowed packet in bytes, fixed
/// header included.
///
/// # Errors
/// [`DecodeError::PacketTooLarge`] as soon as the fixed header shows it;
/// [`DecodeError::VarIntTooLong`] and [`DecodeError::VarIntNotMinimal`] for a malformed remaining
/// length [MQTT-1.5.5-1]. None of them can be recovered from: the stream is out of step.
#[inline]
pub fn next(input: &[u8], max: u32) -> Result<Next<'_>, DecodeError> {
    let Some((&first, rest)) = input.split_first() else {
        return Ok(Next::Partial { total: None });
    };
    let mut remaining = 0u32;
    let mut shift = 0u32;
    let mut tail = rest;
    loop {
        let Some((&byte, after)) = tail.split_first() else {
            return Ok(Next::Partial { total: None });
        };
        tail = after;
        remaining |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(DecodeError::VarIntNotMinimal);
            }
            break;
        }
        if shift == 21 {
            return Err(DecodeError::VarIntTooLong);
        }
        shift += 7;
    }
    // At most 1 + 4 + 268 435 455: no overflow.
    let size = 2 + shift / 7 + remaining;
    if size > max {
        return Err(DecodeError::PacketTooLarge { size, max });
    }
    Ok(match tail.get(..remaining as usize) {
        Some(body) => Next::Whole { frame: Frame { first, body }, len: size as usize },
        None => Next::Partial { total: Some(size as usize) },
    })
}

/// Checks the flags that are reserved in `first` and gives the packet type.
pub(crate) fn check_first(version: Version, first: u8) -> Result<PacketType, DecodeError> {
    let kind = PacketType::of(first).ok_or(DecodeError::PacketTypeReserved)?;
    let expected = kind.first_byte();
    // 3.1 lets a client mark a resent PUBREL, SUBSCRIBE or UNSUBSCRIBE with the DUP flag.
    let resent = version == Version::V31 && expected & 0x02 != 0 && first == expected | 0x08;
    if kind == PacketType::Publish || first == expected || resent {
        Ok(kind)
    } else {
        Err(DecodeError::HeaderFlagsReserved(kind))
    }
}
