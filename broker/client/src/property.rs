//! Properties of MQTT 5 on the command line: `-D COMMAND NAME VALUE`, or `-D COMMAND user-property NAME VALUE`.

use std::num::{NonZeroU16, NonZeroU32};

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use wasmqtt_codec::{EncodeError, MessagePropertiesBuf, Property, UserPropertiesBuf};

/// Properties of every packet that a client sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    pub(crate) connect: Connect,
    pub(crate) publish: Message,
    pub(crate) will: Message,
    pub(crate) subscribe: Subscribe,
    pub(crate) unsubscribe: UserPropertiesBuf,
    pub(crate) disconnect: Disconnect,
    /// Any was given.
    pub(crate) given: bool,
}

/// Of CONNECT.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connect {
    pub(crate) session_expiry: Option<u32>,
    pub(crate) receive_maximum: Option<NonZeroU16>,
    pub(crate) maximum_packet_size: Option<NonZeroU32>,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) request_response_information: bool,
    pub(crate) no_problem_information: bool,
    pub(crate) authentication_method: Option<String>,
    pub(crate) authentication_data: Option<Vec<u8>>,
    pub(crate) user: UserPropertiesBuf,
}

/// Of a message, be it published or a will.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) expiry: Option<u32>,
    pub(crate) alias: Option<NonZeroU16>,
    pub(crate) delay: u32,
    pub(crate) travelling: MessagePropertiesBuf,
}

/// Of SUBSCRIBE.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscribe {
    pub(crate) identifier: Option<NonZeroU32>,
    pub(crate) user: UserPropertiesBuf,
}

/// Of DISCONNECT.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disconnect {
    pub(crate) session_expiry: Option<u32>,
    pub(crate) user: UserPropertiesBuf,
}

impl Properties {
    fn set(&mut self, words: &[&str]) -> Result<(), String> {
        self.given = true;
        let (command, name, value, second) = match *words {
            [command, name, value] => (command, name, value, None),
            [command, name, value, second] => (command, name, value, Some(second)),
            _ => return Err("write COMMAND NAME VALUE, or COMMAND user-property NAME VALUE".into()),
        };
        let property = find(name)?;
        if property == Property::UserProperty {
            let second = second.ok_or("user-property has a name and a value")?;
            return self.add(command, value, second);
        }
        if second.is_some() {
            return Err(format!("{name} has one value"));
        }
        let set = match command.to_ascii_lowercase().as_str() {
            "connect" => self.connect.set(property, value)?,
            "publish" => {
                property != Property::WillDelayInterval && self.publish.set(property, value)?
            }
            "will" => property != Property::TopicAlias && self.will.set(property, value)?,
            "subscribe" if property == Property::SubscriptionIdentifier => {
                self.subscribe.identifier = Some(number(value)?);
                true
            }
            "disconnect" if property == Property::SessionExpiryInterval => {
                self.disconnect.session_expiry = Some(number(value)?);
                true
            }
            "subscribe" | "unsubscribe" | "disconnect" => false,
            _ => return Err(no_command(command)),
        };
        if set { Ok(()) } else { Err(format!("a client's {command} has no {name}")) }
    }

    fn add(&mut self, command: &str, name: &str, value: &str) -> Result<(), String> {
        let added = match command.to_ascii_lowercase().as_str() {
            "connect" => self.connect.user.push(name, value),
            "publish" => self.publish.travelling.add_user_property(name, value),
            "will" => self.will.travelling.add_user_property(name, value),
            "subscribe" => self.subscribe.user.push(name, value),
            "unsubscribe" => self.unsubscribe.push(name, value),
            "disconnect" => self.disconnect.user.push(name, value),
            _ => return Err(no_command(command)),
        };
        added.map_err(|error| error.to_string())
    }
}

fn no_command(command: &str) -> String {
    format!("`{command}` is none of connect, publish, subscribe, unsubscribe, disconnect and will")
}

impl Connect {
    fn set(&mut self, property: Property, value: &str) -> Result<bool, String> {
        match property {
            Property::SessionExpiryInterval => self.session_expiry = Some(number(value)?),
            Property::ReceiveMaximum => self.receive_maximum = Some(number(value)?),
            Property::MaximumPacketSize => self.maximum_packet_size = Some(number(value)?),
            Property::TopicAliasMaximum => self.topic_alias_maximum = number(value)?,
            Property::RequestResponseInformation => {
                self.request_response_information = flag(value)?;
            }
            Property::RequestProblemInformation => self.no_problem_information = !flag(value)?,
            Property::AuthenticationMethod => self.authentication_method = Some(value.to_owned()),
            Property::AuthenticationData => self.authentication_data = Some(value.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Message {
    fn set(&mut self, property: Property, value: &str) -> Result<bool, String> {
        let bad = |error: EncodeError| error.to_string();
        match property {
            Property::MessageExpiryInterval => self.expiry = Some(number(value)?),
            Property::TopicAlias => self.alias = Some(number(value)?),
            Property::WillDelayInterval => self.delay = number(value)?,
            Property::PayloadFormatIndicator => {
                self.travelling.set_payload_format_indicator(Some(flag(value)?));
            }
            Property::ContentType => {
                self.travelling.set_content_type(Some(value)).map_err(bad)?;
            }
            Property::ResponseTopic => {
                self.travelling.set_response_topic(Some(value)).map_err(bad)?;
            }
            Property::CorrelationData => {
                self.travelling.set_correlation_data(Some(value.as_bytes())).map_err(bad)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Names are those of the specification, in lower case and with hyphens.
fn find(name: &str) -> Result<Property, String> {
    let spoken = |property: &&Property| {
        property.name().to_ascii_lowercase().replace(' ', "-") == name.to_ascii_lowercase()
    };
    let found = Property::ALL.iter().find(spoken).copied();
    found.ok_or_else(|| format!("`{name}` is no property, such as content-type or user-property"))
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{value}` is out of range"))
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("`{value}` is neither 0 nor 1")),
    }
}

const ID: &str = "property";

impl clap::Args for Properties {
    fn augment_args(command: Command) -> Command {
        let argument = Arg::new(ID)
            .short('D')
            .long(ID)
            .num_args(3..=4)
            .action(ArgAction::Append)
            .allow_negative_numbers(true)
            .value_names(["COMMAND", "NAME", "VALUE"])
            .help(
                "A property of CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT or WILL, MQTT 5 only: `-D publish \
                 content-type text/plain`, `-D publish user-property NAME VALUE`",
            );
        command.arg(argument)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Properties {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut properties = Self::default();
        for words in matches.get_occurrences::<String>(ID).into_iter().flatten() {
            let words: Vec<&str> = words.map(String::as_str).collect();
            properties.set(&words).map_err(|told| {
                let told = format!("-D {}: {told}\n", words.join(" "));
                clap::Error::raw(clap::error::ErrorKind::ValueValidation, told)
            })?;
        }
        Ok(properties)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Properties, String> {
        let mut properties = Properties::default();
        properties.set(&text.split(' ').collect::<Vec<_>>())?;
        Ok(properties)
    }

    #[test]
    fn every_property_that_a_client_may_send_can_be_said() {
        use wasmqtt_codec::PacketType::{Connect, Disconnect, Publish, Subscribe, Unsubscribe};
        for property in Property::ALL {
            let name = property.name().to_lowercase().replace(' ', "-");
            let value = if *property == Property::UserProperty { "1 2" } else { "1" };
            for (command, kind) in [
                ("CONNECT", Connect),
                ("publish", Publish),
                ("subscribe", Subscribe),
                ("Unsubscribe", Unsubscribe),
                ("disconnect", Disconnect),
            ] {
                // Those of PUBLISH and DISCONNECT that only a broker may send.
                let sent = !matches!(
                    (command, property),
                    ("publish", Property::SubscriptionIdentifier)
                        | ("disconnect", Property::ServerReference | Property::ReasonString)
                );
                let said = set(&format!("{command} {name} {value}"));
                assert_eq!(
                    said.is_ok(),
                    property.allowed_in(kind) && sent,
                    "{command} {name}: {said:?}"
                );
            }
            let said = set(&format!("will {name} {value}"));
            assert_eq!(said.is_ok(), property.allowed_in_will(), "will {name}: {said:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, told) in [
            ("publish content-type", "write COMMAND NAME VALUE"),
            ("publish colour red", "`colour` is no property"),
            ("publish receive-maximum 3", "has no receive-maximum"),
            ("publish user-property a", "a name and a value"),
            ("publish content-type a b", "has one value"),
            ("publish payload-format-indicator 2", "neither 0 nor 1"),
            ("publish topic-alias 0", "out of range"),
            ("publish response-topic a/#", "wildcard"),
            ("ping user-property a b", "`ping` is none of"),
        ] {
            let error = set(text).unwrap_err();
            assert!(error.to_lowercase().contains(&told.to_lowercase()), "{text}: {error}");
        }
    }
}
