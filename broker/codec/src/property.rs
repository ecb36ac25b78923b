//! Properties: one static table of identifier, type, where allowed and where repeatable, and the
//! checked walk over a property block that uses it. Must not know what a property means.

use core::fmt;

use crate::message_properties::MessageProperties;
use crate::scan::{count_nuls, has_wildcard};
use crate::subscription_identifiers::SubscriptionIdentifiers;
use crate::user_properties::UserProperties;
use crate::wire::{Measure, Reader, Sink};
use crate::{DecodeError, EncodeError, PacketType};

/// The blocks a property may appear in, as bits by packet number; bit 0 is the will of CONNECT.
type Places = u16;

const WILL: Places = 1;
const CONNECT: Places = 1 << PacketType::Connect as u16;
const CONNACK: Places = 1 << PacketType::ConnAck as u16;
const PUBLISH: Places = 1 << PacketType::Publish as u16;
const ACKS: Places = 1 << PacketType::PubAck as u16
    | 1 << PacketType::PubRec as u16
    | 1 << PacketType::PubRel as u16
    | 1 << PacketType::PubComp as u16
    | 1 << PacketType::SubAck as u16
    | 1 << PacketType::UnsubAck as u16;
const SUBSCRIBE: Places = 1 << PacketType::Subscribe as u16;
const UNSUBSCRIBE: Places = 1 << PacketType::Unsubscribe as u16;
const DISCONNECT: Places = 1 << PacketType::Disconnect as u16;
const AUTH: Places = 1 << PacketType::Auth as u16;
const MESSAGE: Places = PUBLISH | WILL;
const HANDSHAKE: Places = CONNECT | CONNACK;
const ANSWERS: Places = CONNACK | ACKS | DISCONNECT | AUTH;
const ALL: Places = ANSWERS | MESSAGE | CONNECT | SUBSCRIBE | UNSUBSCRIBE;
const NOWHERE: Places = 0;

/// How a property's value is represented.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum PropertyType {
    /// One byte.
    Byte,
    /// Two byte integer.
    TwoByteInteger,
    /// Four byte integer.
    FourByteInteger,
    /// Variable byte integer.
    VariableByteInteger,
    /// UTF-8 encoded string.
    String,
    /// Binary data.
    Binary,
    /// UTF-8 string pair.
    StringPair,
}

/// One row of the table.
struct Row {
    property: Property,
    name: &'static str,
    value: PropertyType,
    places: Places,
    repeatable: Places,
}

/// Identifiers are below this.
const IDS: usize = 43;

macro_rules! properties {
    ($($id:literal $property:ident $name:literal $value:ident in $places:expr,
        repeatable $repeatable:expr;)*) => {
        /// A property of MQTT 5.0 (section 2.2.2.2).
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Property {
            $(#[doc = concat!($name, ".")] $property = $id,)*
        }

        impl Property {
            /// Every property, in the order of its identifier.
            pub const ALL: &'static [Self] = &[$(Self::$property,)*];
        }

        static TABLE: [Option<Row>; IDS] = {
            let mut table = [const { None }; IDS];
            $(table[$id] = Some(Row {
                property: Property::$property,
                name: $name,
                value: PropertyType::$value,
                places: $places,
                repeatable: $repeatable,
            });)*
            table
        };
    };
}

properties! {
    1 PayloadFormatIndicator "Payload Format Indicator" Byte in MESSAGE, repeatable NOWHERE;
    2 MessageExpiryInterval "Message Expiry Interval" FourByteInteger in MESSAGE, repeatable NOWHERE;
    3 ContentType "Content Type" String in MESSAGE, repeatable NOWHERE;
    8 ResponseTopic "Response Topic" String in MESSAGE, repeatable NOWHERE;
    9 CorrelationData "Correlation Data" Binary in MESSAGE, repeatable NOWHERE;
    11 SubscriptionIdentifier "Subscription Identifier" VariableByteInteger in PUBLISH | SUBSCRIBE,
        repeatable PUBLISH;
    17 SessionExpiryInterval "Session Expiry Interval" FourByteInteger in HANDSHAKE | DISCONNECT,
        repeatable NOWHERE;
    18 AssignedClientIdentifier "Assigned Client Identifier" String in CONNACK, repeatable NOWHERE;
    19 ServerKeepAlive "Server Keep Alive" TwoByteInteger in CONNACK, repeatable NOWHERE;
    21 AuthenticationMethod "Authentication Method" String in HANDSHAKE | AUTH, repeatable NOWHERE;
    22 AuthenticationData "Authentication Data" Binary in HANDSHAKE | AUTH, repeatable NOWHERE;
    23 RequestProblemInformation "Request Problem Information" Byte in CONNECT, repeatable NOWHERE;
    24 WillDelayInterval "Will Delay Interval" FourByteInteger in WILL, repeatable NOWHERE;
    25 RequestResponseInformation "Request Response Information" Byte in CONNECT,
        repeatable NOWHERE;
    26 ResponseInformation "Response Information" String in CONNACK, repeatable NOWHERE;
    28 ServerReference "Server Reference" String in CONNACK | DISCONNECT, repeatable NOWHERE;
    31 ReasonString "Reason String" String in ANSWERS, repeatable NOWHERE;
    33 ReceiveMaximum "Receive Maximum" TwoByteInteger in HANDSHAKE, repeatable NOWHERE;
    34 TopicAliasMaximum "Topic Alias Maximum" TwoByteInteger in HANDSHAKE, repeatable NOWHERE;
    35 TopicAlias "Topic Alias" TwoByteInteger in PUBLISH, repeatable NOWHERE;
    36 MaximumQoS "Maximum QoS" Byte in CONNACK, repeatable NOWHERE;
    37 RetainAvailable "Retain Available" Byte in CONNACK, repeatable NOWHERE;
    38 UserProperty "User Property" StringPair in ALL, repeatable ALL;
    39 MaximumPacketSize "Maximum Packet Size" FourByteInteger in HANDSHAKE, repeatable NOWHERE;
    40 WildcardSubscriptionAvailable "Wildcard Subscription Available" Byte in CONNACK,
        repeatable NOWHERE;
    41 SubscriptionIdentifierAvailable "Subscription Identifier Available" Byte in CONNACK,
        repeatable NOWHERE;
    42 SharedSubscriptionAvailable "Shared Subscription Available" Byte in CONNACK,
        repeatable NOWHERE;
}

/// The properties that travel with an application message, as bits by identifier.
pub(crate) const TRAVELLING: u64 = 1 << Property::PayloadFormatIndicator as u64
    | 1 << Property::ContentType as u64
    | 1 << Property::ResponseTopic as u64
    | 1 << Property::CorrelationData as u64
    | 1 << Property::UserProperty as u64;

const USER_PROPERTY: u8 = Property::UserProperty.id();

#[inline]
fn row(id: u32) -> Option<&'static Row> {
    TABLE.get(id as usize)?.as_ref()
}

impl Property {
    /// The property with this identifier.
    #[inline]
    pub fn from_id(id: u32) -> Option<Self> {
        row(id).map(|row| row.property)
    }

    /// The identifier.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The name in the specification.
    pub fn name(self) -> &'static str {
        row(self as u32).map_or("", |row| row.name)
    }

    /// How the value is represented.
    pub fn value_type(self) -> PropertyType {
        row(self as u32).map_or(PropertyType::Byte, |row| row.value)
    }

    /// Whether the property may appear in packets of this type.
    pub fn allowed_in(self, kind: PacketType) -> bool {
        row(self as u32).is_some_and(|row| row.places & (1 << kind as u16) != 0)
    }

    /// Whether the property may appear in the will properties of CONNECT.
    pub fn allowed_in_will(self) -> bool {
        row(self as u32).is_some_and(|row| row.places & WILL != 0)
    }

    /// Whether the property may appear more than once in packets of this type.
    pub fn repeatable_in(self, kind: PacketType) -> bool {
        row(self as u32).is_some_and(|row| row.repeatable & (1 << kind as u16) != 0)
    }

    /// Whether the property travels with an application message from publisher to subscriber.
    pub const fn travels(self) -> bool {
        TRAVELLING & (1 << self as u64) != 0
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which block a walk is in.
#[derive(Copy, Clone)]
pub(crate) struct Place(Places);

impl Place {
    pub(crate) const WILL: Self = Self(WILL);

    pub(crate) const fn packet(kind: PacketType) -> Self {
        Self(1 << kind as u16)
    }
}

/// The checked walk over a property block: `next` gives the property, then the caller must read its
/// value with the method for its type.
pub(crate) struct Block<'a> {
    reader: Reader<'a>,
    bytes: &'a [u8],
    place: Places,
    seen: u64,
}

impl<'a> Block<'a> {
    /// Takes a block with its length from `reader`.
    #[inline]
    pub(crate) fn open(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let len = reader.varint()?;
        Ok(Self::over(reader.take(len as usize)?, place))
    }

    /// A block without its length.
    #[inline]
    pub(crate) const fn over(bytes: &'a [u8], place: Place) -> Self {
        Self { reader: Reader::new(bytes), bytes, place: place.0, seen: 0 }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Property>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let id = self.reader.varint()?;
        let row = row(id).ok_or(DecodeError::PropertyUnknown(id))?;
        if row.places & self.place == 0 {
            return Err(DecodeError::PropertyNotAllowed(row.property));
        }
        let bit = 1 << row.property as u64;
        if self.seen & bit != 0 && row.repeatable & self.place == 0 {
            return Err(DecodeError::PropertyRepeated(row.property));
        }
        self.seen |= bit;
        Ok(Some(row.property))
    }

    #[inline]
    pub(crate) fn boolean(&mut self, property: Property) -> Result<bool, DecodeError> {
        match self.reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::PropertyValueInvalid(property)),
        }
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.reader.u16()
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.reader.u32()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        self.reader.varint()
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        self.reader.text()
    }

    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        self.reader.binary()
    }

    /// Validates the value of a property that the views read later.
    #[inline]
    pub(crate) fn travelling(&mut self, property: Property) -> Result<(), DecodeError> {
        match property {
            Property::PayloadFormatIndicator => self.boolean(property).map(drop),
            Property::ContentType => self.reader.skip_text(),
            Property::ResponseTopic => match self.text()? {
                topic if topic.is_empty() || has_wildcard(topic.as_bytes()) => {
                    Err(DecodeError::ResponseTopicInvalid)
                }
                _ => Ok(()),
            },
            Property::CorrelationData => self.binary().map(drop),
            Property::UserProperty => {
                self.reader.skip_text()?;
                self.reader.skip_text()
            }
            other => Err(DecodeError::PropertyNotAllowed(other)),
        }
    }

    /// Takes the whole block at once if it holds nothing but user properties of short and plain text, as most blocks of
    /// messages do. Whatever else it holds, and whatever is wrong with it, the walk finds out.
    #[inline]
    pub(crate) fn take_plain_pairs(&mut self) -> bool {
        let Some(strings) = short_strings(self.bytes) else { return false };
        // Each length has one zero: every other one is in a string.
        let is_plain = count_nuls(self.bytes) == Some(strings);
        if is_plain {
            self.reader = Reader::new(&[]);
            self.seen |= 1 << USER_PROPERTY;
        }
        is_plain
    }

    /// The user properties of a block that was walked to its end.
    #[inline]
    pub(crate) const fn user_properties(&self) -> UserProperties<'a> {
        const USER: u64 = 1 << USER_PROPERTY;
        if self.seen & USER == 0 {
            UserProperties::EMPTY
        } else {
            UserProperties::over(self.bytes, self.seen != USER)
        }
    }

    /// The travelling properties of a block that was walked to its end.
    #[inline]
    pub(crate) const fn message_properties(&self) -> MessageProperties<'a> {
        MessageProperties::over(self.bytes, self.seen)
    }

    /// The subscription identifiers of a block that was walked to its end.
    #[inline]
    pub(crate) const fn subscription_identifiers(&self) -> SubscriptionIdentifiers<'a> {
        if self.seen & (1 << Property::SubscriptionIdentifier as u64) == 0 {
            SubscriptionIdentifiers::EMPTY
        } else {
            SubscriptionIdentifiers::over(self.bytes)
        }
    }
}

/// How many strings there are in a block that holds nothing but user properties, if each has 1 to 255 bytes.
#[inline]
fn short_strings(block: &[u8]) -> Option<usize> {
    let (mut rest, mut strings) = (block, 0);
    while let Some((&id, pair)) = rest.split_first() {
        if id != USER_PROPERTY {
            return None;
        }
        rest = behind_short(behind_short(pair)?)?;
        strings += 2;
    }
    Some(strings)
}

#[inline]
fn behind_short(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.split_first_chunk::<2>()? {
        (&[0, len @ 1..=255], rest) => rest.get(usize::from(len)..),
        _ => None,
    }
}

/// One property as it stands in a block, its value not yet looked at.
pub(crate) struct Entry<'a> {
    pub(crate) property: Property,
    /// Identifier and value.
    pub(crate) raw: &'a [u8],
    /// The value alone.
    pub(crate) value: Reader<'a>,
}

/// The unchecked walk over a block: stops at the end or at the first thing that is no property.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The first entry of this property.
    pub(crate) fn find(mut self, property: Property) -> Option<Reader<'a>> {
        self.find_map(|entry| (entry.property == property).then_some(entry.value))
    }

    fn step(&mut self) -> Result<Entry<'a>, DecodeError> {
        let mut reader = Reader::new(self.rest);
        let id = reader.varint()?;
        let row = row(id).ok_or(DecodeError::PropertyUnknown(id))?;
        let value = reader;
        match row.value {
            PropertyType::Byte => reader.take(1).map(drop)?,
            PropertyType::TwoByteInteger => reader.take(2).map(drop)?,
            PropertyType::FourByteInteger => reader.take(4).map(drop)?,
            PropertyType::VariableByteInteger => reader.varint().map(drop)?,
            PropertyType::String | PropertyType::Binary => reader.binary().map(drop)?,
            PropertyType::StringPair => {
                reader.binary()?;
                reader.binary()?;
            }
        }
        let after = reader.rest();
        let len = self.rest.len().saturating_sub(after.len());
        let raw = Reader::new(self.rest).take(len)?;
        self.rest = after;
        Ok(Entry { property: row.property, raw, value })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.step().ok();
        if entry.is_none() {
            self.rest = &[];
        }
        entry
    }
}

/// A set of properties that can be written as a block.
pub(crate) trait PropertyFields {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError>;

    /// Whether the block would be empty.
    fn is_empty(&self) -> bool {
        let mut measure = Measure::default();
        self.write(&mut measure).is_ok() && measure.0 == 0
    }
}

/// Writes a block with its length [MQTT-2.2.2-1].
pub(crate) fn put_block<S: Sink>(
    sink: &mut S,
    fields: &impl PropertyFields,
) -> Result<(), EncodeError> {
    let mut measure = Measure::default();
    fields.write(&mut measure)?;
    sink.length(measure.0)?;
    fields.write(sink)
}

pub(crate) fn put_bool<S: Sink>(sink: &mut S, property: Property, value: bool) {
    sink.u8(property.id());
    sink.u8(u8::from(value));
}

pub(crate) fn put_u16<S: Sink>(sink: &mut S, property: Property, value: Option<u16>) {
    if let Some(value) = value {
        sink.u8(property.id());
        sink.u16(value);
    }
}

#[inline]
pub(crate) fn put_u32<S: Sink>(sink: &mut S, property: Property, value: Option<u32>) {
    if let Some(value) = value {
        sink.u8(property.id());
        sink.u32(value);
    }
}

pub(crate) fn put_text<S: Sink>(
    sink: &mut S,
    property: Property,
    value: Option<&str>,
) -> Result<(), EncodeError> {
    let Some(value) = value else { return Ok(()) };
    sink.u8(property.id());
    sink.text(value)
}

pub(crate) fn put_binary<S: Sink>(
    sink: &mut S,
    property: Property,
    value: Option<&[u8]>,
) -> Result<(), EncodeError> {
    let Some(value) = value else { return Ok(()) };
    sink.u8(property.id());
    sink.binary(value)
}
