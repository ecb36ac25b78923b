//! `wasmqtt plugin new`: a directory with a plugin that builds, passes its tests and can be run. The
//! contract, and for Rust the SDK, come out of this binary, so that they always fit it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use include_dir::{Dir, include_dir};

use super::project::{self, Hook, Language};

static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../plugin-sdk/src");
static SDK_GUIDE: &str = include_str!("../../../plugin-sdk/README.md");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/plugin/templates");

/// Writes a new project to `parent`/`name` and answers where it is.
///
/// # Errors
/// When the name is no good, the directory is there already, or cannot be written.
pub fn scaffold(
    parent: &Path,
    name: &str,
    language: Language,
    hook: Hook,
) -> anyhow::Result<PathBuf> {
    project::check_name(name)?;
    let is_rare = matches!(hook, Hook::EnhancedAuthentication | Hook::Observation);
    if is_rare && language != Language::Rust {
        bail!("there is a template for this hook in Rust only; take --lang rust, or another hook");
    }
    let directory = parent.join(name);
    if directory.exists() {
        bail!("{} is there already", directory.display());
    }
    let write = |path: &str, text: &str| write(&directory.join(path), text);
    write("plugin.toml", &project::text(name, language, hook)?)?;
    for file in CONTRACT.files() {
        write(&format!("wit/{}", file.path().display()), text(file)?)?;
    }
    for folder in ["common", directory_of(language)] {
        let folder = TEMPLATES.get_dir(folder).context("a template is missing")?;
        copy(folder, hook, &|path, text| write(path, &fill(text, name, hook)))?;
    }
    match language {
        Language::Rust => {
            for file in SDK.files() {
                write(&format!("sdk/src/{}", file.path().display()), text(file)?)?;
            }
            write("sdk/README.md", SDK_GUIDE)?;
        }
        Language::Js | Language::Python | Language::C => {}
    }
    Ok(directory)
}

fn directory_of(language: Language) -> &'static str {
    match language {
        Language::Rust => "rust",
        Language::Js => "js",
        Language::Python => "python",
        Language::C => "c",
    }
}

/// The files of a template. One that is there for each hook has the hook before its name:
/// `transformation.lib.rs` becomes `lib.rs` of a transformer.
fn copy(
    folder: &Dir<'_>,
    hook: Hook,
    write: &dyn Fn(&str, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let hooks = [
        ("authentication.", Hook::Authentication),
        ("enhanced-authentication.", Hook::EnhancedAuthentication),
        ("observation.", Hook::Observation),
        ("authorization.", Hook::Authorization),
        ("transformation.", Hook::Transformation),
    ];
    let mut waiting = vec![folder];
    while let Some(inner) = waiting.pop() {
        waiting.extend(inner.dirs());
        for file in inner.files() {
            let path = file.path().strip_prefix(folder.path()).unwrap_or(file.path());
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let of = hooks.iter().find_map(|(prefix, of)| Some((name.strip_prefix(prefix)?, *of)));
            let name = match of {
                Some((_, of)) if of != hook => continue,
                Some((rest, _)) => rest,
                None => name,
            };
            // Manifests carry another ending here, or cargo would take this directory for a package.
            let name = name.strip_suffix(".template").unwrap_or(name);
            let path = path.with_file_name(name);
            write(&path.to_string_lossy(), text(file)?)?;
        }
    }
    Ok(())
}

fn fill(text: &str, name: &str, hook: Hook) -> String {
    let chain = hook.chain().map(|chain| format!("{chain} = [\"{name}\"]\n"));
    let (mut observe, mut grants) = (String::new(), "");
    if hook == Hook::Observation {
        observe = format!("[broker]\nobserve = [\"{name}\"]\n\n");
        grants = "grants = { metrics = true }\n";
    }
    text.replace("{{chain}}", &chain.unwrap_or_default())
        .replace("{{observe}}", &observe)
        .replace("{{grants}}", grants)
        .replace("{{name}}", name)
        .replace("{{world}}", hook.world())
}

fn text<'a>(file: &'a include_dir::File<'_>) -> anyhow::Result<&'a str> {
    file.contents_utf8().with_context(|| format!("{} is no text", file.path().display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let said = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(said)?;
    }
    fs::write(path, text).with_context(said)
}
