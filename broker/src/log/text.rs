//! Message and fields of a line of the text format.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// What the second line of a message and each further one begin with. No event begins like that.
const INDENT: &str = "\n    ";

/// `message name=value ...`, of which only the message may go over several lines, and these are indented.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.result.is_ok() {
            self.result = self.write(field.name(), value);
        }
    }
}

impl Visitor<'_> {
    fn write(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        let newline = match name {
            "message" => INDENT,
            name => {
                let (italic, dim, plain) = match self.writer.has_ansi_escapes() {
                    true => ("\x1b[3m", "\x1b[2m", "\x1b[0m"),
                    false => ("", "", ""),
                };
                let name = name.strip_prefix("r#").unwrap_or(name);
                write!(self.writer, "{italic}{name}{plain}{dim}={plain}")?;
                "\\n"
            }
        };
        write!(Printable { writer: &mut self.writer, newline }, "{value:?}")
    }
}

/// Control characters are written as Rust does in literals, but for ends of lines.
struct Printable<'a, 'w> {
    writer: &'a mut Writer<'w>,
    newline: &'static str,
}

impl Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, from) = rest.split_at(at);
            self.writer.write_str(plain)?;
            let mut following = from.chars();
            match following.next() {
                Some('\n') => self.writer.write_str(self.newline)?,
                Some(control) => write!(self.writer, "{}", control.escape_debug())?,
                None => {}
            }
            rest = following.as_str();
        }
        self.writer.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(ansi: bool, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(Fields)
            .with_writer(move || writer.clone())
            .with_ansi(ansi)
            .without_time()
            .with_target(false);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let written = sink.0.lock().clone();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_field_is_one_word_or_quoted_and_never_another_line() {
        let evil = "a\nERROR forged\x1b[2J \u{9b}1m\r\"b\" username=root";
        let line = logged(false, || tracing::info!(client_id = evil, peer = %evil, n = 7, "in"));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        let quoted = r#"client_id="a\nERROR forged\u{1b}[2J \u{9b}1m\r\"b\" username=root""#;
        assert!(line.starts_with(&format!(" INFO in {quoted} peer=a\\nERROR forged")), "{line}");
        assert!(line.ends_with(" n=7\n"), "{line}");
    }

    #[test]
    fn further_lines_of_a_message_are_indented_and_cannot_steer_a_terminal() {
        let line = logged(false, || tracing::warn!("one: {}", "two\nERROR three\x1b[2J"));
        assert_eq!(line, " WARN one: two\n    ERROR three\\u{1b}[2J\n");
    }

    #[test]
    fn names_are_set_apart_on_a_terminal_and_values_stay_escaped() {
        let line = logged(true, || tracing::info!(name = "\x1b[31m", "in"));
        assert!(
            line.ends_with("in \x1b[3mname\x1b[0m\x1b[2m=\x1b[0m\"\\u{1b}[31m\"\n"),
            "{line:?}"
        );
    }
}
