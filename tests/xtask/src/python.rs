//! Python: environments with pinned packages, and the plugin that is written in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{apt, javascript, plugins, step, tree};

/// The Python of an environment below `target` that has what the requirements name.
pub(crate) fn environment(below: &str, requirements: &Path, why: &str) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let venv = tree::target(below);
    let python = venv.join("bin/python");
    let stamp = venv.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && step::exists(&python.to_string_lossy())
    {
        return Ok(python);
    }
    step::say(format!("python: installing {} ({why})", wanted.trim()));
    make_venv(&venv)?;
    step::run_quietly(pip(&python).arg("--requirement").arg(requirements), step::NETWORK)?;
    tree::write_if_changed(&stamp, wanted.as_bytes())?;
    Ok(python)
}

fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "60"]);
    pip
}

fn make_venv(venv: &Path) -> Result<()> {
    if !step::exists("python3") {
        apt::install(&["python3"], "for what is written in Python")?;
    }
    let make = || {
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--clear"]).arg(venv);
        step::run_quietly(&mut python, Duration::from_secs(180))
    };
    // Debian keeps part of the module in a package of its own.
    let Err(error) = make() else { return Ok(()) };
    if apt::install(&["python3-venv"], "for what is written in Python")? {
        return make();
    }
    Err(error.context(
        "cannot make a Python environment; install Python 3.10 or newer with its venv module \
         (Debian: `apt-get install python3-venv` as root)",
    ))
}

fn sources() -> PathBuf {
    tree::root().join("plugins/schema")
}

/// The compiler's environment, and the packages that become part of the component, apart from it.
fn tools() -> Result<(PathBuf, PathBuf)> {
    let python = environment(
        "python/build",
        &sources().join("requirements-build.txt"),
        "to compile Python to wasm",
    )?;
    let packages = tree::target("python/schema");
    let requirements = sources().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let stamp = packages.join("installed.txt");
    if !fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        step::say(format!("python: installing {} (part of schema)", wanted.trim()));
        if packages.exists() {
            fs::remove_dir_all(&packages)
                .with_context(|| format!("cannot remove {}", packages.display()))?;
        }
        let mut pip = pip(&python);
        pip.args(["--no-compile", "--no-deps", "--target"]).arg(&packages);
        step::run_quietly(pip.arg("--requirement").arg(&requirements), step::NETWORK)?;
        tree::write_if_changed(&stamp, wanted.as_bytes())?;
    }
    Ok((python, packages))
}

/// Builds target/plugins/schema.wasm.
pub(crate) fn build_schema() -> Result<()> {
    let output = tree::target("plugins/schema.wasm");
    let stamp = tree::target("wasm/schema.inputs");
    let source = sources().join("src");
    let inputs = javascript::fingerprint(&[
        source.join("plugin.py"),
        source.join("validation.py"),
        sources().join("requirements.txt"),
        sources().join("requirements-build.txt"),
        tree::root().join("wit"),
    ])?;
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
        return Ok(());
    }
    let (python, packages) = tools()?;
    step::say("plugins: building schema, with a Python interpreter inside");
    let built = tree::target("wasm/schema.wasm");
    fs::create_dir_all(tree::target("wasm")).context("cannot create target/wasm")?;
    let mut compiler = Command::new(python.with_file_name("componentize-py"));
    compiler.arg("-d").arg(tree::root().join("wit")).args(["-w", "transformer", "componentize"]);
    compiler.arg("plugin").arg("-p").arg(&source).arg("-p").arg(&packages);
    // The interpreter asks for WASI and needs none of it.
    compiler.arg("--stub-wasi").arg("-o").arg(&built).env_remove("VIRTUAL_ENV");
    step::run_quietly(&mut compiler, Duration::from_secs(600))?;
    let component = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    plugins::install("schema", &component, &output)?;
    tree::write_if_changed(&stamp, inputs.as_bytes())?;
    Ok(())
}

/// The tests of the Python plugin, without wasm.
pub(crate) fn test_schema() -> Result<()> {
    let (python, packages) = tools()?;
    let paths = std::env::join_paths([sources().join("src"), packages]);
    let mut tests = Command::new(python);
    tests.args(["-m", "unittest", "discover", "-s", "tests"]).current_dir(sources());
    tests.env("PYTHONPATH", paths?).env("PYTHONDONTWRITEBYTECODE", "1");
    step::run_quietly(&mut tests, Duration::from_secs(300))
}
