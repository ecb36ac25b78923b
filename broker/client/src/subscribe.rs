//! `wasmqtt sub`: subscribes, and writes what comes to standard output.

mod flow;

use std::time::Duration;

use clap::Args;
use tokio::time::{sleep, timeout};
use wasmqtt_codec::{Filter, QoS, RetainHandling};

use crate::failure::Failure;
use crate::format::Format;
use crate::options::{Options, qos};
use flow::{End, Flow};

/// Seconds before the first attempt to connect again, and at most.
const AGAIN: [u64; 2] = [1, 30];

const EXAMPLES: &str = "\
Format, as of mosquitto_sub:
  %t topic, %p payload (%x, %X in hexadecimal), %l its bytes, %q QoS, %r retained, %m packet
  identifier, %j JSON, %J JSON with a payload that is JSON itself, %I and %U when it came,
  @X what strftime has for %X, @N nanoseconds; of MQTT 5 %A topic alias, %C content type,
  %D correlation data, %E expiry, %F payload format, %P user properties, %R response topic,
  %S subscription identifiers; %% and @@ themselves; \\n, \\t, \\r, \\0, \\e, \\a, \\v, \\\\.
  Widths as in %-20t, %05l and %.10t.

Examples:
  wasmqtt sub -t 'devices/#' -v
  wasmqtt sub -L mqtts://broker.example.org/alarms/+ -u alice --ask-password -F '@H:@M:@S %t %p'
  wasmqtt sub -t 'orders/#' --json | jq .payload
  wasmqtt sub -t status -C 1 -W 5            one message, within five seconds

Exit status: 0 when it was ended (by -C, -E or a signal); 27 when -W ended it; what the broker has
answered when it refused (135 is 0x87, not authorized; with MQTT 3 the codes of CONNACK and
SUBACK); 1 for anything else; 2 for arguments that make no sense.";

/// Words for `sub`.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES, next_help_heading = "Subscription")]
pub struct Subscriber {
    /// What to subscribe to; may be repeated
    #[arg(short, long = "topic", value_name = "FILTER", value_parser = filter)]
    topics: Vec<String>,
    /// What to unsubscribe from, which an old session (-c) may have; may be repeated
    #[arg(short = 'U', long = "unsubscribe", value_name = "FILTER", value_parser = filter)]
    unsubscribe: Vec<String>,
    /// The most that messages are delivered with: 0, 1 or 2
    #[arg(short, long, value_name = "QOS", default_value = "0", value_parser = qos)]
    qos: QoS,
    /// Not what this client publishes itself; MQTT 5 only
    #[arg(long)]
    no_local: bool,
    /// Leave the retain flag as the publisher has set it; MQTT 5 only
    #[arg(long)]
    retain_as_published: bool,
    /// Whether retained messages are sent: always, new (if the subscription is) or never; MQTT 5 only
    #[arg(long, value_name = "WHEN", default_value = "always", value_parser = retain_handling)]
    retain_handling: RetainHandling,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    options: Options,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which messages, and how many")]
struct Wanted {
    /// End after so many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(short = 'W', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    time: Option<u64>,
    /// End when the broker has acknowledged the subscriptions
    #[arg(short = 'E')]
    subscribe_only: bool,
    /// No retained messages
    #[arg(short = 'R', conflicts_with = "retained_only")]
    no_retained: bool,
    /// Retained messages only: end with the first other
    #[arg(long)]
    retained_only: bool,
    /// Remove the retained messages that come, apart from those of -T
    #[arg(long)]
    remove_retained: bool,
    /// Not what matches this filter; may be repeated
    #[arg(short = 'T', long = "filter-out", value_name = "FILTER", value_parser = filter)]
    filter_out: Vec<String>,
    /// So many of a hundred messages, by chance
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percent)]
    random_filter: f64,
    /// End when the connection is lost, instead of connecting again
    #[arg(long)]
    no_reconnect: bool,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
struct Output {
    /// Topic and payload
    #[arg(short, long, conflicts_with_all = ["format", "json"])]
    verbose: bool,
    /// What to write for each message: see below
    #[arg(short = 'F', value_name = "FORMAT", value_parser = Format::parse, allow_hyphen_values = true)]
    format: Option<Format>,
    /// One JSON object for each message: -F %j. A payload that is no text is in `payload_base64` instead of `payload`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// JSON on several lines
    #[arg(long)]
    pretty: bool,
    /// Nothing between messages, instead of an end of line
    #[arg(short = 'N')]
    no_eol: bool,
}

/// Reads a topic filter.
fn filter(text: &str) -> Result<String, String> {
    Filter::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn retain_handling(text: &str) -> Result<RetainHandling, String> {
    match text {
        "always" | "0" => Ok(RetainHandling::SendAtSubscribe),
        "new" | "1" => Ok(RetainHandling::SendIfNew),
        "never" | "2" => Ok(RetainHandling::DoNotSend),
        _ => Err("write always, new or never".into()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: Option<f64> = text.parse().ok();
    percent.filter(|percent| (0.1..=100.0).contains(percent)).ok_or("write 0.1 to 100".into())
}

impl Subscriber {
    /// Subscribes, and writes what comes. Errors go to standard error; answers the exit status.
    pub fn execute(&self) -> u8 {
        match self.run() {
            Ok(code) => code,
            Err(failure) => {
                self.tell(&failure);
                failure.code
            }
        }
    }

    fn tell(&self, what: &dyn std::fmt::Display) {
        if !self.options.is_quiet() {
            eprintln!("{what}");
        }
    }

    /// What is subscribed to.
    fn filters(&self) -> Result<Vec<String>, Failure> {
        let mut filters = self.topics.clone();
        if let Some(topic) = self.options.topic() {
            filters.push(filter(topic).map_err(Failure::error)?);
        }
        if filters.is_empty() && self.unsubscribe.is_empty() {
            return Err(Failure::error("say what to subscribe to with -t"));
        }
        Ok(filters)
    }

    fn run(&self) -> Result<u8, Failure> {
        let filters = self.filters()?;
        let format = match &self.output.format {
            Some(format) => format.clone(),
            None if self.output.json => Format::json(),
            None if self.output.verbose => Format::verbose(),
            None => Format::payload(),
        };
        let version = self.options.version();
        let always = self.retain_handling == RetainHandling::SendAtSubscribe;
        if !version.has_properties() && (self.no_local || self.retain_as_published || !always) {
            let told = format!(
                "MQTT {version} has neither --no-local, --retain-as-published nor --retain-handling; they want -V 5"
            );
            return Err(Failure::error(told));
        }
        let plan = self.options.plan()?;
        let mut flow = Flow::new(self, filters, format, &plan);
        crate::block_on(async {
            let limit = self.wanted.time.map(Duration::from_secs);
            let ended = async {
                tokio::select! {
                    ended = self.stay(&mut flow) => ended,
                    told = told_to_end() => told,
                }
            };
            let ended = match limit {
                None => ended.await,
                Some(limit) => match timeout(limit, ended).await {
                    Ok(ended) => ended,
                    Err(_) => Err(Failure::timeout("time is over")),
                },
            };
            let left = flow.leave().await;
            let code = ended?;
            left.map(|()| code)
        })
    }

    /// Goes on with the next connection when one is lost.
    async fn stay(&self, flow: &mut Flow<'_>) -> Result<u8, Failure> {
        let [first, most] = AGAIN;
        let mut pause = first;
        loop {
            let ended = flow.run().await;
            if ended.as_ref().is_err_and(|failure| failure.passing) {
                // There is nobody to say goodbye to.
                flow.hang_up();
            }
            match ended {
                Ok(End::Done) => return Ok(0),
                Ok(End::Refused(code)) => return Ok(code),
                // Who was never let in has it wrong.
                Err(failure)
                    if failure.passing && flow.has_entered() && !self.wanted.no_reconnect =>
                {
                    pause = if flow.take_progress() { first } else { (pause * 2).min(most) };
                    self.tell(&format_args!("{failure}; connecting again in {pause} s"));
                    sleep(Duration::from_secs(pause)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Somebody wants it to end.
async fn told_to_end() -> Result<u8, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |error| Failure::error(format!("cannot take signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(cannot)?,
        _ = terminate.recv() => {}
    }
    Ok(0)
}
