//! Builds the plugins and the guests for tests: core modules from the plugins' workspace, each encoded into
//! a component that imports nothing but the contract.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::wasm::{TARGET, Toolchain};
use crate::{c, javascript, python, step, tree};

const PLUGINS: &[&str] = &[
    "audit",
    "http-auth",
    "jwt",
    "password-file",
    "property-router",
    "scram",
    "topic-acl",
    "topic-spaces",
];
const GUESTS: &[&str] =
    &["bare", "caller", "greedy", "herald", "hostile", "keeper", "porter", "tagger", "warden"];

/// Another component of a plugin: the feature that it is built with, and its name.
const VARIANTS: &[(&str, &str, &str)] = &[("property-router", "copy", "property_router_copy.wasm")];

/// What every import of a component must begin with.
const CONTRACT: &str = "wasmqtt:plugin/";

/// Whether a machine without Node.js and Python is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherLanguages {
    Required,
    /// Only warn: the demo configuration does not use these plugins.
    Optional,
}

/// Builds everything into target/plugins and target/guests.
pub(crate) fn build(others: OtherLanguages) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let with = match &toolchain {
        Toolchain::Installed => "",
        Toolchain::Debian { .. } => ", with Debian's compiler and its standard library from source",
    };
    let names = [PLUGINS, GUESTS].concat();
    step::say(format!("plugins: building {} for {TARGET}{with}", names.join(", ")));
    let mut command = toolchain.build();
    command.current_dir(tree::root().join("plugins"));
    command.args(["--quiet", "--locked"]).arg("--target-dir").arg(tree::target("wasm"));
    for name in names {
        command.args(["--package", name]);
    }
    step::run(&mut command, step::BUILD)?;

    for (names, directory) in [(PLUGINS, "plugins"), (GUESTS, "guests")] {
        for name in names {
            let file = format!("{}.wasm", name.replace('-', "_"));
            encode(name, &file, &tree::target(directory).join(&file))?;
        }
    }
    for (name, feature, file) in VARIANTS {
        let mut command = toolchain.build();
        command.current_dir(tree::root().join("plugins"));
        command.args(["--quiet", "--locked"]).arg("--target-dir").arg(tree::target("wasm"));
        step::run(command.args(["--package", name, "--features", feature]), step::BUILD)?;
        let module = format!("{}.wasm", name.replace('-', "_"));
        encode(name, &module, &tree::target("plugins").join(file))?;
    }
    let built = [
        ("redact", javascript::build_redact()),
        ("schema", python::build_schema()),
        ("quota", c::build_quota()),
    ];
    for (name, outcome) in built {
        match outcome {
            Err(error) if others == OtherLanguages::Optional => {
                step::say(format!("plugins: going on without {name}: {error:#}"));
            }
            outcome => outcome.with_context(|| format!("cannot build the plugin {name}"))?,
        }
    }
    Ok(())
}

/// Makes a component of the module `file`.
fn encode(name: &str, file: &str, path: &Path) -> Result<()> {
    let module = tree::target("wasm").join(TARGET).join("release").join(file);
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .with_context(|| format!("{name} does not become a component"))?;
    install(name, &component, path)
}

/// Puts a component where the broker finds it, after a look at its imports.
pub(crate) fn install(name: &str, component: &[u8], path: &Path) -> Result<()> {
    let imports = imports(component).with_context(|| format!("{name} is not a component"))?;
    let foreign: Vec<&str> =
        imports.iter().map(String::as_str).filter(|name| !name.starts_with(CONTRACT)).collect();
    if !foreign.is_empty() {
        bail!("{name} imports {}, which the broker has not got", foreign.join(", "));
    }
    if tree::write_if_changed(path, component)? {
        let used: Vec<&str> =
            imports.iter().filter_map(|import| import.strip_prefix(CONTRACT)).collect();
        step::say(format!(
            "plugins: {} ({} KiB, imports {})",
            tree::short(path),
            component.len() / 1024,
            used.join(", ")
        ));
    }
    Ok(())
}

fn imports(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("it is a WIT package");
    };
    let world = resolve.worlds.get(world).context("it has no world")?;
    Ok(world.imports.keys().map(|key| resolve.name_world_key(key)).collect())
}

/// The directory with the sources of the JavaScript plugin.
pub(crate) fn redact_sources() -> PathBuf {
    tree::root().join("plugins/redact")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(component (import NAME (instance)))`
    fn component_with_import(name: &str) -> Vec<u8> {
        let mut import = vec![1, 0, u8::try_from(name.len()).unwrap()];
        import.extend(name.bytes());
        import.extend([5, 0]);
        let mut component = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a".to_vec();
        component.push(u8::try_from(import.len()).unwrap());
        component.extend(import);
        component
    }

    #[test]
    fn a_component_that_imports_more_than_the_contract_is_not_installed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.wasm");
        let wasi = component_with_import("wasi:cli/environment@0.2.0");
        let error = install("x", &wasi, &path).unwrap_err().to_string();
        assert!(error.contains("wasi:cli/environment@0.2.0"), "{error}");
        assert!(!path.exists());
        install("x", &component_with_import("wasmqtt:plugin/log@0.1.0"), &path).unwrap();
        assert!(path.exists());
        assert!(install("x", b"no wasm", &path).is_err());
    }
}
