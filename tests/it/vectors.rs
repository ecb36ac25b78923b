//! The plugins that ship answer the questions of their own vectors.

use std::process::Command;
use std::time::Duration;

use crate::harness::program::run_within;
use crate::harness::{cache, component, root, wasmqtt};

/// A plugin with an interpreter is compiled first.
const PATIENCE: Duration = Duration::from_secs(280);

#[test]
fn plugins_that_ship_answer_as_their_vectors_say() {
    let mut tested = 0;
    for directory in std::fs::read_dir(root().join("plugins")).unwrap() {
        let directory = directory.unwrap();
        let vectors = directory.path().join("vectors.toml");
        if !vectors.exists() {
            continue;
        }
        let name = directory.file_name().into_string().unwrap().replace('-', "_");
        let mut command = Command::new(wasmqtt());
        command.args(["plugin", "test"]).arg(component(&name)).arg("--vectors").arg(&vectors);
        let ended = run_within(command.env("XDG_CACHE_HOME", cache()), PATIENCE);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(ended.stdout.contains(" 0 failed"), "{name}: {ended:?}");
        tested += 1;
    }
    assert!(tested >= 8, "{tested} plugins have vectors");
}
