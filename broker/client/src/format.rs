//! What is written for a message: the format strings of mosquitto_sub.

mod json;

use jiff::Zoned;
use jiff::fmt::strtime::BrokenDownTime;
use wasmqtt_codec::{MessageProperties, Publish};

/// ISO 8601, as mosquitto_sub writes it.
const ISO: &str = "%Y-%m-%dT%H:%M:%S%z";

/// A message that came.
pub(crate) struct Delivery<'a> {
    topic: &'a str,
    publish: &'a Publish<'a>,
    at: Zoned,
}

impl<'a> Delivery<'a> {
    /// One that comes now.
    pub(crate) fn new(topic: &'a str, publish: &'a Publish<'a>) -> Self {
        Self { topic, publish, at: Zoned::now() }
    }

    const fn properties(&self) -> MessageProperties<'a> {
        self.publish.properties.message
    }
}

/// What is written for every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Field(Field),
    /// For strftime.
    Time(String),
    Nanoseconds,
    /// The payload, or that there is none.
    Payload,
}

/// A letter behind %, and what stands in between.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    letter: char,
    zeros: bool,
    left: bool,
    width: usize,
    most: Option<usize>,
}

/// Letters, and those of them that may be filled with zeros.
const LETTERS: &str = "%ACDEFIJPRSUXjlmpqrtx";
const NUMBERS: &str = "AEFlmSXx";
/// Characters that a field is filled up to.
const WIDEST: usize = 10_000;

impl Format {
    /// The payload and nothing else.
    pub(crate) fn payload() -> Self {
        Self(vec![Piece::Field(Field::new('p'))])
    }

    pub(crate) fn verbose() -> Self {
        Self(vec![Piece::Field(Field::new('t')), Piece::Text(b" ".into()), Piece::Payload])
    }

    pub(crate) fn json() -> Self {
        Self(vec![Piece::Field(Field::new('j'))])
    }

    /// Reads a format string.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let piece = match c {
                '%' => {
                    let (field, rest) = Field::parse(chars.as_str())?;
                    chars = rest.chars();
                    match field.letter {
                        '%' => Piece::Text(b"%".into()),
                        _ => Piece::Field(field),
                    }
                }
                '@' => match chars.next() {
                    None => return Err("there is nothing behind the last @".into()),
                    Some('@') => Piece::Text(b"@".into()),
                    Some('N') => Piece::Nanoseconds,
                    Some(letter) => time(letter)?,
                },
                '\\' => Piece::Text(vec![escaped(chars.next())?]),
                other => Piece::Text(other.to_string().into_bytes()),
            };
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(text)), Piece::Text(more)) => text.extend(more),
                (_, piece) => pieces.push(piece),
            }
        }
        Ok(Self(pieces))
    }

    /// Appends what is to be written for a message; `pretty` is about JSON.
    ///
    /// # Errors
    /// What a person wants to know about a message that cannot be written like this.
    pub(crate) fn write(
        &self,
        delivery: &Delivery<'_>,
        pretty: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Field(field) => field.write(delivery, pretty, out)?,
                Piece::Time(format) => strftime(format, &delivery.at, out),
                Piece::Nanoseconds => {
                    let nanoseconds = delivery.at.subsec_nanosecond();
                    out.extend(format!("{nanoseconds:09}").into_bytes());
                }
                Piece::Payload if delivery.publish.payload.is_empty() => out.extend(b"(null)"),
                Piece::Payload => out.extend_from_slice(delivery.publish.payload),
            }
        }
        Ok(())
    }
}

/// What strftime would not know is told at once.
fn time(letter: char) -> Result<Piece, String> {
    let format = format!("%{letter}");
    let unknown = |_| format!("@{letter} is nothing that strftime knows");
    BrokenDownTime::from(&Zoned::default()).to_string(&format).map_err(unknown)?;
    Ok(Piece::Time(format))
}

fn strftime(format: &str, at: &Zoned, out: &mut Vec<u8>) {
    // Tried when the format was read.
    out.extend(BrokenDownTime::from(at).to_string(format).unwrap_or_default().into_bytes());
}

fn escaped(letter: Option<char>) -> Result<u8, String> {
    Ok(match letter {
        Some('\\') => b'\\',
        Some('0') => 0,
        Some('a') => 7,
        Some('e') => 27,
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('v') => 11,
        Some(other) => return Err(format!("\\{other} stands for nothing")),
        None => return Err("there is nothing behind the last \\".into()),
    })
}

impl Field {
    const fn new(letter: char) -> Self {
        Self { letter, zeros: false, left: false, width: 0, most: None }
    }

    /// Reads what stands behind %; answers what is left.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let mut field = Self::new('%');
        let mut rest = text;
        while let Some(flag) = rest.chars().next().filter(|c| matches!(c, '0' | '-')) {
            field.zeros |= flag == '0';
            field.left |= flag == '-';
            rest = &rest[1..];
        }
        (field.width, rest) = number(rest)?;
        if let Some(behind) = rest.strip_prefix('.') {
            let (most, behind) = number(behind)?;
            (field.most, rest) = (Some(most), behind);
        }
        let mut chars = rest.chars();
        match chars.next() {
            Some(letter) if LETTERS.contains(letter) => field.letter = letter,
            Some(other) => return Err(format!("%{other} stands for nothing")),
            None => return Err("there is nothing behind the last %".into()),
        }
        Ok((field, chars.as_str()))
    }

    fn write(
        &self,
        delivery: &Delivery<'_>,
        pretty: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let publish = delivery.publish;
        match self.letter {
            // Bytes are written as they are.
            'p' => {
                self.fill(publish.payload.len(), out, |out| out.extend_from_slice(publish.payload))
            }
            'D' => out.extend_from_slice(delivery.properties().correlation_data().unwrap_or(b"")),
            'j' | 'J' => json::write(delivery, self.letter == 'J', pretty, out)?,
            'I' => strftime(ISO, &delivery.at, out),
            _ => self.pad(&self.text(delivery), out),
        }
        Ok(())
    }

    fn text(&self, delivery: &Delivery<'_>) -> String {
        let (publish, message) = (delivery.publish, delivery.properties());
        let hop = &publish.properties;
        match self.letter {
            'A' => shown(hop.topic_alias),
            'C' => message.content_type().unwrap_or_default().to_owned(),
            'E' => shown(hop.message_expiry_interval),
            'F' => shown(message.payload_format_indicator().map(u8::from)),
            'l' => publish.payload.len().to_string(),
            'm' => publish.packet_id.map_or("0".into(), |packet_id| packet_id.to_string()),
            'P' => {
                let pairs = message.user_properties().iter();
                let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}:{value}")).collect();
                pairs.join(" ")
            }
            'q' => (publish.qos as u8).to_string(),
            'R' => message.response_topic().unwrap_or_default().to_owned(),
            'r' => u8::from(publish.retain).to_string(),
            'S' => {
                let identifiers = hop.subscription_identifiers.iter();
                identifiers.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
            }
            't' => delivery.topic.to_owned(),
            'U' => {
                let at = delivery.at.timestamp();
                format!("{}.{:09}", at.as_second(), at.subsec_nanosecond())
            }
            'X' => publish.payload.iter().map(|byte| format!("{byte:02X}")).collect(),
            'x' => publish.payload.iter().map(|byte| format!("{byte:02x}")).collect(),
            _ => String::new(),
        }
    }

    fn pad(&self, text: &str, out: &mut Vec<u8>) {
        let text: String = match self.most {
            Some(most) if "CIRt".contains(self.letter) => text.chars().take(most).collect(),
            _ => text.to_owned(),
        };
        self.fill(text.chars().count(), out, |out| out.extend_from_slice(text.as_bytes()));
    }

    fn fill(&self, len: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let blanks = self.width.saturating_sub(len);
        let zeros = self.zeros && !self.left && NUMBERS.contains(self.letter);
        if !self.left {
            out.extend(std::iter::repeat_n(if zeros { b'0' } else { b' ' }, blanks));
        }
        write(out);
        if self.left {
            out.extend(std::iter::repeat_n(b' ', blanks));
        }
    }
}

fn number(text: &str) -> Result<(usize, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let number = number.filter(|number| *number <= WIDEST);
    Ok((number.ok_or_else(|| format!("{digits} characters are too many"))?, rest))
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
