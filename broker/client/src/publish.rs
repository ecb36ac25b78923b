//! `wasmqtt pub`: publishes messages, and ends when the broker has acknowledged them.

mod source;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use wasmqtt_codec::{Ack, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode, Version};

use crate::enter::{Plan, Terms, dismissal};
use crate::failure::{Failure, words};
use crate::link::{Event, Link};
use crate::options::{Options, qos, topic};
use crate::progress::{self, Progress};
use source::{Content, Source};

/// Bytes that may wait to be sent before more is read.
const HIGH_WATER: usize = 256 << 10;

const EXAMPLES: &str = "\
Examples:
  wasmqtt pub -t devices/a/temp -m 21.5
  wasmqtt pub -h broker.example.org --tls -u alice --ask-password -t config/a -q 1 -r -f a.json
  tail -f app.log | wasmqtt pub -L mqtt://localhost/logs/app -l
  wasmqtt pub -t orders -m '{}' -D publish content-type application/json

Exit status: 0 when everything was published; what the broker has answered when it refused (135
is 0x87, not authorized; with MQTT 3 the codes of CONNACK); 1 for anything else; 2 for arguments
that make no sense.";

/// Words for `pub`.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES, next_help_heading = "Message")]
#[command(group = ArgGroup::new("content").required(true).args(["message", "file", "lines", "null", "stdin"]))]
pub struct Publisher {
    /// Where to publish
    #[arg(short, long, value_name = "TOPIC", value_parser = topic)]
    topic: Option<String>,
    /// The message itself
    #[arg(short, long, value_name = "MESSAGE", allow_hyphen_values = true)]
    message: Option<String>,
    /// What this file holds is the message
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Each line of standard input is a message
    #[arg(short = 'l', long = "stdin-line")]
    lines: bool,
    /// An empty message; with -r it removes the one that is retained
    #[arg(short, long = "null-message")]
    null: bool,
    /// All of standard input is the message
    #[arg(short, long = "stdin-file")]
    stdin: bool,
    /// 0 (at most once), 1 (at least once) or 2 (exactly once)
    #[arg(short, long, value_name = "QOS", default_value = "0", value_parser = qos)]
    qos: QoS,
    /// Keep the message for whoever subscribes later
    #[arg(short, long)]
    retain: bool,
    /// Publish it so often
    #[arg(long, value_name = "TIMES", default_value_t = 1, conflicts_with = "lines")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Seconds in between; fractions are allowed
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    repeat_delay: Duration,
    /// Messages with QoS 1 and 2 that may wait for their acknowledgement at a time
    #[arg(short = 'M', long, value_name = "COUNT", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    max_inflight: u16,
    #[command(flatten)]
    options: Options,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "write seconds, 0 or more".into())
}

impl Publisher {
    /// Publishes. Errors go to standard error; answers the exit status.
    pub fn execute(&self) -> u8 {
        match self.run() {
            Ok(code) => code,
            Err(failure) => {
                if !self.options.is_quiet() {
                    eprintln!("{failure}");
                }
                failure.code
            }
        }
    }

    fn run(&self) -> Result<u8, Failure> {
        let topic = self.topic.as_deref().or(self.options.topic());
        let topic = topic.ok_or_else(|| Failure::error("say where to publish with -t"))?;
        // The one of the URL has not been looked at.
        let topic = crate::options::topic(topic).map_err(Failure::error)?;
        let content = match (&self.message, &self.file) {
            (Some(message), _) => Content::Message(message.clone().into()),
            (None, Some(file)) => Content::File(file.clone()),
            (None, None) if self.lines => Content::Lines,
            (None, None) if self.stdin => Content::Stdin,
            (None, None) => Content::Message(Vec::new()),
        };
        let plan = self.options.plan()?;
        crate::block_on(async {
            let source = Source::open(content, self.repeat, self.repeat_delay)?;
            let (link, terms) = plan.enter().await?;
            let progress = Progress::new(!self.options.is_quiet() && !plan.verbose);
            let flow = Flow::new(self, topic, &plan, link, terms, progress);
            flow.run(source).await
        })
    }
}

/// A message that is not acknowledged.
struct Pending {
    number: u64,
    /// PUBREL is sent.
    released: bool,
}

/// Messages on their way.
struct Flow<'a> {
    publisher: &'a Publisher,
    topic: String,
    plan: &'a Plan,
    link: Link,
    terms: Terms,
    pending: HashMap<PacketId, Pending>,
    last_id: u16,
    published: u64,
    acknowledged: u64,
    /// Bytes of everything that was published.
    volume: usize,
    /// The code of the last refusal.
    refused: u8,
    progress: Progress,
}

impl<'a> Flow<'a> {
    fn new(
        publisher: &'a Publisher,
        topic: String,
        plan: &'a Plan,
        link: Link,
        terms: Terms,
        progress: Progress,
    ) -> Self {
        let (pending, refused, last_id) = (HashMap::new(), 0, 0);
        let (published, acknowledged, volume) = (0, 0, 0);
        Self {
            publisher,
            topic,
            plan,
            link,
            terms,
            pending,
            last_id,
            published,
            acknowledged,
            volume,
            refused,
            progress,
        }
    }

    async fn run(mut self, mut source: Source) -> Result<u8, Failure> {
        let done = self.pass(&mut source).await;
        self.progress.clear();
        done?;
        self.link.send(&self.plan.farewell())?;
        // With QoS 0 this is where the broker says what it did not like.
        if let Some(raw) = self.link.close().await?
            && let Packet::Disconnect(disconnect) = raw.packet()?
        {
            return Err(dismissal(&disconnect));
        }
        Ok(self.refused)
    }

    async fn pass(&mut self, source: &mut Source) -> Result<(), Failure> {
        let window = self.publisher.max_inflight.min(self.terms.receive_maximum);
        let mut more = true;
        while more || !self.pending.is_empty() || self.link.unsent() > 0 {
            let room = self.pending.len() < window.into() && self.link.unsent() < HIGH_WATER;
            tokio::select! {
                event = self.link.turn() => {
                    if let Event::Packet(raw) = event? {
                        self.take(&raw.packet()?)?;
                    }
                }
                next = source.next(), if more && room => match next? {
                    Some(payload) => self.publish(&payload)?,
                    None => more = false,
                },
                () = self.progress.tick() => self.show(),
            }
        }
        Ok(())
    }

    fn publish(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.published += 1;
        let properties = &self.plan.properties.publish;
        let qos = self.publisher.qos;
        let publish = Publish {
            dup: false,
            qos,
            retain: self.publisher.retain,
            topic: &self.topic,
            packet_id: (qos != QoS::AtMostOnce).then(|| free(&mut self.last_id, &self.pending)),
            properties: PublishProperties {
                message_expiry_interval: properties.expiry,
                topic_alias: properties.alias,
                message: properties.travelling.as_view(),
                ..PublishProperties::default()
            },
            payload,
        };
        let len = publish.encoded_len(self.link.version());
        self.terms.allow(qos, self.publisher.retain, len)?;
        self.link.send(&Packet::Publish(publish))?;
        self.volume += len;
        if let Some(packet_id) = publish.packet_id {
            let pending = Pending { number: self.published, released: false };
            self.pending.insert(packet_id, pending);
        }
        Ok(())
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        match packet {
            Packet::PubAck(ack) => self.settle(ack),
            Packet::PubRec(ack) if ack.reason.is_error() => self.settle(ack),
            Packet::PubRec(ack) => {
                if let Some(pending) = self.pending.get_mut(&ack.packet_id) {
                    pending.released = true;
                }
                let release = Ack::new(ack.packet_id, ReasonCode::Success);
                self.link.send(&Packet::PubRel(release))?;
            }
            Packet::PubComp(ack) => self.settle(ack),
            Packet::Disconnect(disconnect) => return Err(dismissal(disconnect)),
            Packet::Auth(_) => return Err(unknown_method()),
            // What an old session has waiting is for who subscribes; it is not acknowledged here.
            _ => {}
        }
        Ok(())
    }

    fn settle(&mut self, ack: &Ack<'_>) {
        let Some(pending) = self.pending.remove(&ack.packet_id) else { return };
        self.acknowledged += 1;
        if !ack.reason.is_error() || pending.released {
            return;
        }
        self.refused = ack.reason as u8;
        if !self.publisher.options.is_quiet() {
            self.progress.clear();
            let which = match (self.publisher.lines, self.publisher.repeat) {
                (true, _) => format!("line {}", pending.number),
                (false, 1) => "the message".to_owned(),
                (false, _) => format!("message {}", pending.number),
            };
            eprintln!("the broker refuses {which}: {}", words(ack.reason, ack.reason_string));
        }
    }

    fn show(&mut self) {
        let sent = self.volume.saturating_sub(self.link.unsent());
        let sent = match self.published {
            1 => format!("{} of {}", progress::bytes(sent), progress::bytes(self.volume)),
            count => format!("{count} messages, {}", progress::bytes(sent)),
        };
        let waiting = match self.pending.len() {
            0 => String::new(),
            _ => format!(", {} acknowledged", self.acknowledged),
        };
        let seconds = self.progress.elapsed().as_secs();
        self.progress.show(&format!("{sent} sent{waiting}, {seconds} s"));
    }
}

/// The next identifier that nothing waits for; the window is smaller than their number.
fn free(last: &mut u16, pending: &HashMap<PacketId, Pending>) -> PacketId {
    loop {
        *last = last.wrapping_add(1);
        match PacketId::new(*last) {
            Some(packet_id) if !pending.contains_key(&packet_id) => return packet_id,
            _ => {}
        }
    }
}

/// A method needs code on this side.
pub(crate) fn unknown_method() -> Failure {
    let what = "the broker goes on with the authentication, and this client knows no method";
    Failure::refused(what, Version::V5, ReasonCode::BadAuthenticationMethod, None)
}
