//! Breaks a copy of the core on purpose, one mutation at a time, and demands that the simulation notices: what it
//! does not notice it does not test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::wasm::cargo;
use crate::{step, tree};

/// What the copy is made of.
const ROOMS: [&str; 3] = ["broker/codec", "broker/core", "tests/simulation"];
const PATCHES: &str = "tests/simulation/mutations";
/// Seeds that the copy has to pass before it is broken: else a failure would show nothing.
const SOUND: u32 = 50;
/// How long the seeds of one mutation may take.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Which mutations.
#[derive(clap::Args)]
pub(crate) struct Mutations {
    /// Only those with this in their names
    filter: Option<String>,
    /// How many seeds the simulation may need to notice one
    #[arg(long, default_value_t = 2_000)]
    seeds: u32,
}

pub(crate) fn mutate(mutations: &Mutations) -> Result<()> {
    let patches = patches(mutations.filter.as_deref().unwrap_or_default())?;
    let copy = tree::target("mutate/tree");
    step::say(format!("mutate: copying the core to {}", tree::short(&copy)));
    restore(&copy)?;
    build(&copy).context("the core as it is")?;
    if let Some(failure) = simulate(SOUND)? {
        bail!("the core as it is does not pass: {failure}");
    }
    let mut unnoticed = Vec::new();
    for patch in &patches {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy();
        let noticed = broken(&copy, patch, mutations.seeds).with_context(|| name.to_string());
        restore(&copy)?;
        match noticed? {
            Some(failure) => println!("   {name}: {failure:.160}"),
            None => {
                println!("   {name}: NOT NOTICED within {} seeds", mutations.seeds);
                unnoticed.push(name);
            }
        }
    }
    ensure!(unnoticed.is_empty(), "not noticed: {}", unnoticed.join(", "));
    step::say(format!("mutate: all {} mutations were noticed", patches.len()));
    Ok(())
}

fn patches(filter: &str) -> Result<Vec<PathBuf>> {
    let directory = tree::root().join(PATCHES);
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut patches: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .filter(|path| path.file_stem().is_some_and(|name| name.to_string_lossy().contains(filter)))
        .collect();
    patches.sort();
    ensure!(!patches.is_empty(), "no mutation has `{filter}` in its name");
    Ok(patches)
}

/// Makes the copy what the tree is: a workspace of the rooms alone, so that nothing else has to be compiled.
fn restore(copy: &Path) -> Result<()> {
    let root = tree::root();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    tree::write_if_changed(&copy.join("Cargo.toml"), workspace(&manifest)?.as_bytes())?;
    let lock = fs::read(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    tree::write_if_changed(&copy.join("Cargo.lock"), &lock)?;
    ROOMS.iter().try_for_each(|room| copy_sources(&root.join(room), &copy.join(room)))
}

/// The manifest of the workspace with no other members than the rooms.
fn workspace(manifest: &str) -> Result<String> {
    let mut manifest: toml::Table = manifest.parse().context("Cargo.toml is no TOML")?;
    let workspace = manifest.get_mut("workspace").and_then(toml::Value::as_table_mut);
    let workspace = workspace.context("Cargo.toml has no workspace")?;
    let members = ROOMS.iter().map(|room| toml::Value::from(*room)).collect();
    workspace.insert("members".into(), toml::Value::Array(members));
    workspace.remove("exclude");
    Ok(manifest.to_string())
}

fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries.flatten() {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let is_source = path.extension().is_some_and(|kind| kind == "rs" || kind == "toml");
        if path.is_dir() {
            copy_sources(&path, &copy)?;
        } else if is_source {
            let source =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            tree::write_if_changed(&copy, &source)?;
        }
    }
    Ok(())
}

/// What the simulation says of the copy once the patch is applied; none when it notices nothing.
fn broken(copy: &Path, patch: &Path, seeds: u32) -> Result<Option<String>> {
    let mut git = Command::new("git");
    // The copy lies below a repository, and is no part of it.
    git.arg("apply").arg(patch).current_dir(copy);
    git.env("GIT_CEILING_DIRECTORIES", tree::target("mutate"));
    step::run_quietly(&mut git, Duration::from_secs(60))
        .context("the code has changed: make the patch anew")?;
    build(copy).context("the patch does not compile any more: make it anew")?;
    simulate(seeds)
}

fn build(copy: &Path) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "wasmqtt-simulation", "--target-dir"]);
    build.arg(tree::target("mutate/build")).current_dir(copy);
    // What is broken may leave something unused.
    build.env("RUSTFLAGS", "-Awarnings");
    step::run_quietly(&mut build, step::BUILD)
}

fn simulate(seeds: u32) -> Result<Option<String>> {
    let mut simulation =
        Command::new(tree::target("mutate/build").join("debug/wasmqtt-simulation"));
    simulation.args(["--seeds", &format!("0..{seeds}")]);
    let (status, output) = step::output(&mut simulation, PATIENCE)?;
    if status.success() {
        return Ok(None);
    }
    // Its first line names seed, step and reason.
    let story = output.lines().find(|line| line.starts_with("seed "));
    Ok(Some(story.with_context(|| format!("the simulation broke: {output}"))?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_a_workspace_of_its_own() {
        let manifest =
            "[workspace]\nmembers = [\"a\"]\nexclude = [\"b\"]\n\n[profile.dev]\nopt-level = 1\n";
        let copy: toml::Table = workspace(manifest).unwrap().parse().unwrap();
        assert_eq!(copy["workspace"]["members"].as_array().unwrap().len(), ROOMS.len());
        assert!(copy["workspace"].get("exclude").is_none());
        assert_eq!(copy["profile"]["dev"]["opt-level"].as_integer(), Some(1));
        assert!(workspace("[package]").is_err());
    }

    #[test]
    fn every_mutation_says_what_it_breaks() {
        for patch in patches("").unwrap() {
            let text = fs::read_to_string(&patch).unwrap();
            let says = text.lines().next().unwrap_or_default();
            assert!(says.ends_with('.') && !says.starts_with("---"), "{}", patch.display());
        }
        assert!(patches("no such mutation").is_err());
    }

    #[test]
    fn every_mutation_fits_the_code() {
        for patch in patches("").unwrap() {
            let mut git = Command::new("git");
            git.args(["apply", "--check"]).arg(&patch).current_dir(tree::root());
            let checked = step::run_quietly(&mut git, Duration::from_secs(60));
            assert!(checked.is_ok(), "make {} anew: {checked:?}", patch.display());
        }
    }
}
