//! `wasmqtt plugin build`: from a plugin's sources to its component, with the tools of its language.
//! Must not know what the plugin does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::project::{Language, Project};

const RUST_TARGET: &str = "wasm32-unknown-unknown";
const COMPONENTIZE_PY: &str = "componentize-py==0.24.0";

/// Builds the component of the project in `directory`, and answers where it lies.
///
/// # Errors
/// What the tools say, and what to install where one is missing.
pub fn build(directory: &Path) -> anyhow::Result<PathBuf> {
    let project = Project::read(directory)?;
    match project.language {
        Language::Rust => rust(&project)?,
        Language::Js => js(&project)?,
        Language::Python => python(&project)?,
        Language::C => c(&project)?,
    }
    let component = project.component();
    // Shown before anybody loads it: what it wants, and that it is a component at all.
    super::inspect::read(&component)?;
    Ok(component)
}

fn rust(project: &Project) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", RUST_TARGET, "--lib"]);
    // Where it builds to is the user's choice; this tells.
    cargo.arg("--message-format=json-render-diagnostics").current_dir(&project.directory);
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.context("cannot run cargo: Rust is needed, see https://rustup.rs")?;
    if !output.status.success() {
        bail!(
            "cargo failed ({}); what it says is above. If the target is missing: `rustup target \
             add {RUST_TARGET}`",
            output.status
        );
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    let modules = artifacts.flat_map(|artifact| artifact.filenames);
    let module = modules.rev().find(|path| path.extension().is_some_and(|it| it == "wasm"));
    encode(project, &module.context("cargo made no .wasm: is crate-type = [\"cdylib\"] there?")?)
}

/// What cargo says of something that it has built.
#[derive(serde::Deserialize)]
struct Artifact {
    filenames: Vec<PathBuf>,
}

fn js(project: &Project) -> anyhow::Result<()> {
    if !project.directory.join("node_modules").is_dir() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(npm.current_dir(&project.directory), "Node.js 20 or newer with npm is needed")?;
    }
    let mut node = Command::new("node");
    node.arg("build.js").arg(&project.world).arg(project.component());
    run(node.current_dir(&project.directory), "Node.js 20 or newer is needed")
}

fn python(project: &Project) -> anyhow::Result<()> {
    let venv = project.directory.join(".venv");
    let mut tool = venv.join("bin/componentize-py");
    if answers(Path::new("componentize-py"), &["--version"]) {
        tool = "componentize-py".into();
    } else if !tool.exists() {
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--clear"]).arg(&venv);
        run(&mut python, "Python 3.10 or newer with its venv module is needed")?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run(pip.arg(COMPONENTIZE_PY), "pip is needed")?;
    }
    let mut componentize = Command::new(tool);
    componentize
        .args(["--wit-path", "wit", "--world", &project.world, "componentize", "--stub-wasi"])
        .args(["plugin", "--output"])
        .arg(project.component());
    run(componentize.current_dir(&project.directory), "componentize-py is needed")
}

fn c(project: &Project) -> anyhow::Result<()> {
    let target = project.directory.join("target");
    std::fs::create_dir_all(&target)?;
    let module = target.join(format!("{}.wasm", project.name));
    let mut compiler = compiler()?;
    let world = &project.world;
    compiler.args(["-O2", "-Wall", "-Wextra", "-mexec-model=reactor"]);
    compiler.args(["-Wl,--strip-debug", "-Wl,-z,stack-size=65536", "-I", "bindings", "plugin.c"]);
    compiler.arg(format!("bindings/{world}.c")).arg("bindings/world.c");
    compiler.arg("-o").arg(&module);
    run(compiler.current_dir(&project.directory), "a C compiler for wasm32-wasi is needed")?;
    tell_world(project, &module)?;
    encode(project, &module)
}

/// The first C compiler for wasm32-wasi that is there.
fn compiler() -> anyhow::Result<Command> {
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH") {
        return Ok(Command::new(PathBuf::from(sdk).join("bin/clang")));
    }
    if answers(Path::new("zig"), &["version"]) {
        let mut zig = Command::new("zig");
        zig.args(["cc", "--target=wasm32-wasi"]);
        return Ok(zig);
    }
    if answers(Path::new("python3"), &["-m", "ziglang", "version"]) {
        let mut zig = Command::new("python3");
        zig.args(["-m", "ziglang", "cc", "--target=wasm32-wasi"]);
        return Ok(zig);
    }
    let wasi_libc = Path::new("/usr/include/wasm32-wasi").is_dir();
    if wasi_libc && answers(Path::new("clang"), &["--version"]) {
        let mut clang = Command::new("clang");
        clang.args(["--target=wasm32-wasi", "-nostartfiles", "-Wl,--no-entry"]);
        return Ok(clang);
    }
    bail!(
        "no C compiler for wasm32-wasi: install zig (`pip install ziglang` will do), set \
         WASI_SDK_PATH to the WASI SDK, or install clang, lld and wasi-libc (Debian: `apt-get \
         install clang lld wasi-libc libclang-rt-14-dev-wasm32`)"
    )
}

/// Whether a program is there and works.
fn answers(program: &Path, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Tells a core module the world it is for, as SDKs of other languages do by themselves.
fn tell_world(project: &Project, module: &Path) -> anyhow::Result<()> {
    let wit = project.directory.join("wit");
    let said = || format!("the contract in {}", wit.display());
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&wit).with_context(said)?;
    let world = resolve.select_world(&[package], Some(&project.world)).with_context(said)?;
    let mut bytes = std::fs::read(module)?;
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(std::fs::write(module, bytes)?)
}

/// Makes a component of a core module that carries the type of its world.
fn encode(project: &Project, module: &Path) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .with_context(|| format!("{} does not become a component", module.display()))?;
    let path = project.component();
    std::fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))
}

/// Runs a tool; what it prints is seen.
fn run(command: &mut Command, missing: &'static str) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {program}: {missing}"))?;
    if !status.success() {
        bail!("{program} failed ({status}); what it says is above");
    }
    Ok(())
}
