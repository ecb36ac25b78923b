//! What `wasmqtt plugin` does for those who write plugins: scaffold, build, inspect, test, bench. It
//! loads components as the broker does; it must not know listeners, clients or a running broker.

mod answer;
pub mod bench;
pub mod build;
pub mod inspect;
mod project;
mod rounds;
pub mod scaffold;
mod table;
pub mod test;
mod vectors;

pub use project::{Hook, Language};

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wasmqtt_sandbox::{HttpPort, Options, PluginSpec, Probe, Sandbox};

use self::vectors::Vectors;
use crate::config;

/// The vectors of a project, where no others are named.
const VECTORS: &str = "tests.toml";

/// A component, and the vectors it is asked with.
struct Bench {
    sandbox: Sandbox,
    spec: PluginSpec,
    vectors: Vectors,
}

impl Bench {
    /// `target` is a component or the directory of a project; without `vectors`: tests.toml beside it.
    fn set_up(target: &Path, vectors: Option<&Path>) -> anyhow::Result<Self> {
        let component = component(target)?;
        let beside = component.parent().unwrap_or(Path::new("")).join(VECTORS);
        let path = vectors.map_or(beside, Path::to_path_buf);
        let vectors = Vectors::read(&path)?;
        let spec = spec(&component, &path, &vectors)?;
        Ok(Self { sandbox: sandbox()?, spec, vectors })
    }

    fn load(&self) -> anyhow::Result<Probe> {
        self.load_as(&self.spec)
    }

    /// The same component, otherwise configured.
    fn load_as(&self, spec: &PluginSpec) -> anyhow::Result<Probe> {
        // It names its cause itself.
        self.sandbox.probe(spec).map_err(|error| anyhow::anyhow!("{error}"))
    }
}

fn sandbox() -> anyhow::Result<Sandbox> {
    let http = HttpPort::new(crate::http::Client::new());
    let options = Options { cache_dir: crate::cache_dir(), http, ..Options::default() };
    Ok(Sandbox::new(options)?)
}

/// The component that was meant.
fn component(target: &Path) -> anyhow::Result<PathBuf> {
    if !target.is_dir() {
        return Ok(target.to_path_buf());
    }
    let component = project::Project::read(target)?.component();
    if !component.exists() {
        anyhow::bail!(
            "{} is not there yet; run `wasmqtt plugin build {}` first",
            component.display(),
            target.display()
        );
    }
    Ok(component)
}

/// The `[plugin]` table of the vectors says what a `[[plugin]]` table of the broker's configuration
/// would say, so it is read as one: the same keys, the same bounds, the same complaints.
fn spec(component: &Path, vectors: &Path, said: &Vectors) -> anyhow::Result<PluginSpec> {
    let path = std::path::absolute(component)
        .with_context(|| format!("cannot find {}", component.display()))?;
    let mut table = said.plugin.clone();
    let name = component.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin");
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    table.insert("name".into(), name.into());
    table.insert("path".into(), path.to_string_lossy().into_owned().into());
    let mut root = toml::Table::new();
    root.insert("plugin".into(), vec![toml::Value::Table(table)].into());
    // No configuration is without one.
    let listener = toml::toml! { name = "mqtt" bind = "127.0.0.1:1883" };
    root.insert("listener".into(), vec![toml::Value::Table(listener)].into());
    let text = toml::to_string(&root)?;
    let (config, _) = config::parse(vectors, text, &|name| std::env::var(name))
        .map_err(|report| anyhow::anyhow!("the [plugin] table of the vectors:\n{report}"))?;
    let mut specs = crate::assemble::plugins(&config);
    let mut spec = specs.pop().context("no plugin to load")?;
    spec.location = vectors.display().to_string();
    Ok(spec)
}
