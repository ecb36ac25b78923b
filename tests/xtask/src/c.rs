//! The plugin that is written in C, and its compiler.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{javascript, plugins, python, step, tree};

const WORLD: &str = "package wasmqtt:quota; world quota {
    import wasmqtt:plugin/log@0.1.0;
    import wasmqtt:plugin/kv@0.1.0;
    export wasmqtt:plugin/lifecycle@0.1.0;
    export wasmqtt:plugin/transformation@0.1.0;
}";

fn sources() -> PathBuf {
    tree::root().join("plugins/quota")
}

/// Builds target/plugins/quota.wasm.
pub(crate) fn build_quota() -> Result<()> {
    let output = tree::target("plugins/quota.wasm");
    let stamp = tree::target("wasm/quota.inputs");
    let (source, bindings) = (sources().join("src"), sources().join("bindings"));
    let requirements = sources().join("requirements-build.txt");
    let inputs = javascript::fingerprint(&[
        source.join("plugin.c"),
        source.join("json.h"),
        source.join("world.c"),
        bindings.join("quota.c"),
        bindings.join("quota.h"),
        requirements.clone(),
        tree::root().join("wit"),
    ])?;
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
        return Ok(());
    }
    let python = python::environment("python/c", &requirements, "to compile C to wasm")?;
    let module = tree::target("wasm/quota.wasm");
    fs::create_dir_all(tree::target("wasm")).context("cannot create target/wasm")?;
    let mut compiler = Command::new(python);
    compiler.args(["-m", "ziglang", "cc", "--target=wasm32-wasi", "-O2", "-Wall", "-Wextra"]);
    compiler.args(["-Werror", "-mexec-model=reactor", "-Wl,--strip-debug"]);
    compiler.args(["-Wl,-z,stack-size=65536", "-I"]).arg(&bindings);
    compiler.args([source.join("plugin.c"), source.join("world.c"), bindings.join("quota.c")]);
    step::run_quietly(compiler.arg("-o").arg(&module), Duration::from_secs(300))?;
    let mut bytes = fs::read(&module).with_context(|| format!("no {}", module.display()))?;
    let mut resolve = Resolve::default();
    resolve.push_dir(tree::root().join("wit"))?;
    let package = resolve.push_source("quota.wit", WORLD)?;
    let world = resolve.select_world(&[package], Some("quota"))?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)?;
    let component = ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .context("quota does not become a component")?;
    plugins::install("quota", &component, &output)?;
    tree::write_if_changed(&stamp, inputs.as_bytes())?;
    Ok(())
}
