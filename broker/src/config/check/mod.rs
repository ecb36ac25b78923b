//! From one tree to a [`Config`]: the only place that builds one.
//!
//! Everything is looked at before anything is refused, so that a report holds every error at once.

mod features;
mod fields;
mod limits;
mod listener;
mod plugin;
mod plugin_config;
mod preset;
mod redirect;
mod tls;
mod topic;
mod transport;

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, time::Duration};

use self::fields::{Fields, Reporter, Text};
#[cfg(test)]
pub(super) use self::plugin_config::MAX_BYTES as MAX_HANDED_BYTES;
use super::{
    file::Document,
    model::{
        Admin, Bind, Broker, Config, Listener, Log, LogFormat, LogLevel, Plugin, SharedStrategy,
    },
    problem::{Place, Problem, Problems, Report, Severity, quote},
    tree::{Table, Value},
};

/// Characters of a listener's or a plugin's name.
const MAX_NAME: usize = 64;

/// The configuration and what to warn of, or everything that is wrong with it.
pub(super) fn check(document: Document) -> Result<(Config, Vec<Problem>), Report> {
    let Document { root, sources, directories, mut problems, incomplete } = document;
    let reporter =
        Reporter { sources: &sources, problems: RefCell::new(Problems::default()), incomplete };
    let mut fields = Fields::new(&reporter, Some(&root), "", Place { file: 0, start: 0, end: 0 });

    let mut broker_fields = fields.table("broker");
    let before = reporter.errors();
    let limits = limits::global(fields.table("limits"), &reporter);
    let readable = (reporter.errors() == before).then_some(&limits);
    let (plugins, names) = plugin::plugins(&mut fields, &reporter);
    let observe = listener::chain(&mut broker_fields, "broker", "observe", &names, &reporter);
    let broker = Broker { observe, ..broker(broker_fields, &reporter) };
    let listeners = listener::listeners(&mut fields, readable, &names, &reporter);
    let log = log(fields.table("log"));
    let admin = admin(&mut fields, &listeners, &reporter);
    // Read with the file; named here so that a typing mistake is pointed out.
    fields.entry("include");
    fields.finish();

    no_listener(&root, &reporter);
    unused(&plugins, &names, &listeners, &broker, &reporter);

    problems.append(reporter.problems.into_inner());
    let report = problems.into_report();
    if !report.errors.is_empty() {
        return Err(report);
    }
    let config = Config {
        broker,
        limits: limits.limits,
        listeners,
        plugins,
        log,
        admin,
        sources: sources.paths(),
        include_directories: directories,
    };
    Ok((config, report.warnings))
}

fn broker(mut fields: Fields<'_>, reporter: &Reporter<'_>) -> Broker {
    let base = Broker::default();
    let data_dir = fields.text("data_dir");
    let broker = Broker {
        workers: fields.count("workers", 0..=256_u16).map_or(base.workers, usize::from),
        data_dir: data_dir.map_or_else(|| base.data_dir.clone(), |text| PathBuf::from(text.text)),
        shared_strategy: fields
            .word("shared_strategy", SharedStrategy::WORDS)
            .unwrap_or(base.shared_strategy),
        share_groups: share_groups(&mut fields, reporter),
        sys_interval: fields
            .seconds("sys_interval", Duration::ZERO..=Duration::from_hours(24))
            .unwrap_or(base.sys_interval),
        observe: base.observe,
        server_reference: redirect::reference(&mut fields, "server_reference", reporter),
    };
    if let Some(text) = data_dir
        && broker.data_dir != base.data_dir
    {
        let message = "`broker.data_dir` is not used: state is kept in memory in this version";
        reporter.warning(text.place, message, None);
    }
    fields.finish();
    broker
}

fn share_groups(
    fields: &mut Fields<'_>,
    reporter: &Reporter<'_>,
) -> BTreeMap<String, SharedStrategy> {
    let named = fields.named_words("share_groups", SharedStrategy::WORDS);
    let named = named.into_iter().filter(|(name, _)| {
        let is_name = !name.text.is_empty() && !name.text.contains(['/', '+', '#', '\0']);
        if !is_name {
            let message = format!("`broker.share_groups`: {} is no share name", quote(name.text));
            reporter.error(name.place, message, Some("write NAME of $share/NAME/FILTER".into()));
        }
        is_name
    });
    named.map(|(name, strategy)| (name.text.to_owned(), strategy)).collect()
}

fn log(mut fields: Fields<'_>) -> Log {
    let base = Log::default();
    let log = Log {
        level: fields.word("level", LogLevel::WORDS).unwrap_or(base.level),
        format: fields.word("format", LogFormat::WORDS).unwrap_or(base.format),
    };
    fields.finish();
    log
}

fn admin(root: &mut Fields<'_>, listeners: &[Listener], reporter: &Reporter<'_>) -> Option<Admin> {
    let base = Admin::default();
    let mut fields = root.table("admin");
    let place = root.entry("admin")?.node.place;
    let bind = fields.text("bind");
    let address =
        bind.and_then(|text| listener::address(text, "admin.bind", base.bind.port(), reporter));
    fields.finish();
    let admin = address.map_or(base, |bind| Admin { bind });
    let clashes = |bind: &Bind| matches!(bind, Bind::Network(address) if listener::clash(admin.bind, *address));
    let taken = listeners.iter().find(|listener| clashes(&listener.bind));
    if let Some(Listener { name, bind: other, .. }) = taken {
        let message =
            format!("{} is taken: listener {} is bound to {other}", admin.bind, quote(name));
        let place = bind.map_or(place, |text| text.place);
        reporter.error(place, message, Some("give [admin] another port".into()));
    }
    if !admin.bind.ip().to_canonical().is_loopback() {
        let message = format!("[admin] is open to everybody who can reach {}", admin.bind);
        let help =
            "bind it to a loopback address, or put something in front that asks who is there";
        reporter.warning(place, message, Some(help.into()));
    }
    Some(admin)
}

/// The name of a listener or plugin, which nothing before it may have. `names` gets every name, so that
/// a declaration with other mistakes still counts as one.
fn name<'a>(fields: &mut Fields<'a>, names: &mut Vec<Text<'a>>, reporter: &Reporter<'_>) -> String {
    let Some(name) = fields.required("name", "\"example\"") else { return String::new() };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.text.is_empty() || name.text.len() > MAX_NAME || !name.text.chars().all(plain) {
        let message = format!("{} cannot be a name", quote(name.text));
        let help = format!("a name is 1 to {MAX_NAME} letters, digits, `-` and `_`");
        reporter.error(name.place, message, Some(help));
    }
    if let Some(first) = names.iter().find(|other| other.text == name.text) {
        let message = format!("the name {} is taken", quote(name.text));
        let help = format!("already used at {}", reporter.sources.name(first.place));
        reporter.error(name.place, message, Some(help));
    } else {
        names.push(name);
    }
    name.text.to_owned()
}

fn no_listener(root: &Table, reporter: &Reporter<'_>) {
    let none = match root.get("listener").map(|entry| &entry.node.value) {
        Some(Value::Array(listeners)) => listeners.is_empty(),
        Some(_) => false,
        None => !reporter.incomplete,
    };
    if !none {
        return;
    }
    let path = reporter.sources.paths().into_iter().next().unwrap_or_default();
    let help = "add [[listener]] with name = \"mqtt\" and bind = \"127.0.0.1:1883\"".to_owned();
    let message = "there is no listener: nobody could connect";
    let problem = Problem::file(Severity::Error, &path, message, Some(help));
    reporter.problems.borrow_mut().push(0, problem);
}

fn unused(
    plugins: &[Plugin],
    names: &[Text<'_>],
    listeners: &[Listener],
    broker: &Broker,
    reporter: &Reporter<'_>,
) {
    if reporter.incomplete || reporter.errors() > 0 {
        return;
    }
    for plugin in plugins {
        let mut chains = listeners.iter().flat_map(Listener::chains);
        let named = broker.observe.contains(&plugin.name)
            || chains.any(|(_, chain)| chain.contains(&plugin.name));
        let place = names.iter().find(|name| name.text == plugin.name).map(|name| name.place);
        if let Some(place) = place
            && !named
        {
            let message = format!("plugin {} is never asked", quote(&plugin.name));
            let help = "name it in a listener's `authenticate`, `authorize` or `transform`, or in \
                        `broker.observe`";
            reporter.warning(place, message, Some(help.into()));
        }
    }
}
