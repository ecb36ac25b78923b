//! An explanation for a terminal. What plugins and clients have chosen in it cannot steer one.

use std::borrow::Cow;
use std::fmt;

use anstyle::{AnsiColor, Style};

use super::{DecidedBy, Explanation, Outcome, Passed, Said};

/// How its parts are set apart from each other.
#[derive(Clone, Copy, Default)]
struct Look {
    yes: Style,
    no: Style,
    strong: Style,
}

const COLOURED: Look = Look {
    yes: AnsiColor::Green.on_default().bold(),
    no: AnsiColor::Red.on_default().bold(),
    strong: Style::new().bold(),
};

/// In colour, for a terminal that has it.
pub struct Coloured<'a>(pub &'a Explanation);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.render(f, COLOURED)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Look::default())
    }
}

fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " ").into(),
        false => text.into(),
    }
}

impl Explanation {
    fn render(&self, f: &mut fmt::Formatter<'_>, look: Look) -> fmt::Result {
        let (style, may) = match self.allowed {
            true => (look.yes, "may"),
            false => (look.no, "may not"),
        };
        let (client_id, topic) = (printable(&self.client_id), printable(&self.topic));
        write!(f, "{client_id} {style}{may}{style:#} {} {topic}", self.action.word())?;
        if let Some(max) = self.max_qos {
            write!(f, ", up to QoS {max}")?;
        }
        if let Some(code) = self.reason_code {
            write!(f, ": 0x{code:02X}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ", {}", printable(reason))?;
        }
        list(f, &self.asked)?;
        let strong = look.strong;
        write!(f, "\n{strong}decided by{strong:#} {}", self.decided_by)?;
        self.passed.as_ref().map_or(Ok(()), |passed| passed.render(f, look))
    }
}

impl Passed {
    fn render(&self, f: &mut fmt::Formatter<'_>, look: Look) -> fmt::Result {
        let Look { yes, no, strong } = look;
        write!(f, "\n{strong}transformers{strong:#}")?;
        list(f, &self.asked)?;
        match (self.outcome, &self.message) {
            (Outcome::Forwarded, Some(message)) => {
                write!(f, "\n{yes}routed to{yes:#} {}", printable(&message.topic))
            }
            (Outcome::Forwarded, None) => write!(f, "\n{yes}routed{yes:#}"),
            (Outcome::Discarded, _) => write!(f, "\n{no}routed to nobody{no:#}"),
            (Outcome::Rejected, _) => write!(f, "\n{no}refused{no:#}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, asked: &[Said]) -> fmt::Result {
    let width = asked.iter().map(|said| said.who.chars().count()).max().unwrap_or(0);
    asked.iter().try_for_each(|Said { who, answer }| {
        write!(f, "\n  {:<width$}  {}", printable(who), printable(answer))
    })
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker => f.write_str("a rule of the broker"),
            Self::Authentication => f.write_str("the authenticators: it is not let in"),
            Self::Permission(text) => {
                write!(f, "the permission `{}` of its identity", printable(text))
            }
            Self::Plugin(name) => write!(f, "the plugin `{name}`"),
            Self::OnFailure(name) => write!(f, "`on_failure` of the plugin `{name}`"),
            Self::Default(name) => write!(f, "`default` of the listener `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Action;

    #[test]
    fn colours_are_only_where_they_are_wanted_and_nothing_else_steers_a_terminal() {
        let explanation = Explanation {
            client_id: "c".into(),
            name: None,
            listener: "mqtt".into(),
            action: Action::Publish,
            topic: "a\x1b[2J".into(),
            allowed: false,
            max_qos: None,
            reason_code: Some(0x87),
            reason: Some("no\n\x1b[1m".into()),
            decided_by: DecidedBy::Plugin("p".into()),
            asked: vec![Said { who: "plugin p".into(), answer: "denies\x1b[31m".into() }],
            passed: None,
        };
        assert_eq!(
            explanation.to_string(),
            "c may not publish to a [2J: 0x87, no  [1m\n  plugin p  denies [31m\ndecided by the plugin `p`"
        );
        let coloured = Coloured(&explanation).to_string();
        assert!(
            coloured.starts_with("c \x1b[1m\x1b[31mmay not\x1b[0m publish to a [2J: "),
            "{coloured:?}"
        );
    }
}
