//! `wasmqtt plugin inspect`: what a component is, without running or compiling it.

use std::path::Path;

use anstyle::Style;
use anyhow::Context as _;
use serde_json::json;
use wasmqtt_sandbox::{Capability, ComponentFile};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem, WorldKey};

use super::table::Table;

const CONTRACT: &str = "wasmqtt:plugin/";
const STRONG: Style = Style::new().bold();

/// What a component says about itself.
#[derive(Debug)]
pub(super) struct Component {
    sha256: String,
    size: usize,
    exports: Vec<String>,
    imports: Vec<Import>,
}

#[derive(Debug)]
struct Import {
    name: String,
    needs: String,
}

/// Shows exports, imports (which are the capabilities it asks for), size and digest.
///
/// # Errors
/// When the file is not a component.
pub fn inspect(path: &Path, as_json: bool) -> anyhow::Result<()> {
    let component = read(path)?;
    if as_json {
        let imports = component.imports.iter();
        let imports: Vec<_> =
            imports.map(|import| json!({ "name": import.name, "needs": import.needs })).collect();
        let said = json!({
            "sha256": component.sha256,
            "bytes": component.size,
            "exports": component.exports,
            "imports": imports,
        });
        println!("{said:#}");
        return Ok(());
    }
    anstream::println!("{STRONG}{}{STRONG:#}", path.display());
    println!("size      {} KiB", component.size.div_ceil(1024));
    println!("sha256    {}", component.sha256);
    println!("exports   {}", component.exports.join(", "));
    if component.imports.is_empty() {
        println!("imports   nothing");
        return Ok(());
    }
    println!();
    let mut table = Table::new(["IMPORTS", "NEEDS"]);
    for Import { name, needs } in component.imports {
        table.row([name, needs]);
    }
    table.print();
    Ok(())
}

pub(super) fn read(path: &Path) -> anyhow::Result<Component> {
    let ComponentFile { bytes, sha256 } = ComponentFile::read(path)?;
    let decoded = wit_component::decode(&bytes).with_context(|| format!("{}", path.display()))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        anyhow::bail!("{} is a package of WIT text, not a component", path.display());
    };
    let world = resolve.worlds.get(world).context("the component has no world")?;
    let names = |items: Vec<(&WorldKey, &WorldItem)>| -> Vec<String> {
        items.into_iter().map(|(key, _)| resolve.name_world_key(key)).collect()
    };
    let exports = names(world.exports.iter().collect());
    let imports = world.imports.iter().map(|(key, item)| {
        let name = resolve.name_world_key(key);
        let needs = needs(&resolve, &name, item);
        Import { name, needs }
    });
    let imports = imports.collect();
    Ok(Component { sha256, size: bytes.len(), exports, imports })
}

/// What the operator has to do for an import.
fn needs(resolve: &Resolve, name: &str, item: &WorldItem) -> String {
    if let Some(interface) = name.strip_prefix(CONTRACT).and_then(|rest| rest.split('@').next()) {
        return match Capability::of(interface) {
            Capability::Free => "nothing".into(),
            Capability::Granted(how) => format!("plugin.grants: {how}"),
            Capability::Unknown => "cannot be had from this broker".into(),
        };
    }
    let empty = match item {
        WorldItem::Interface { id, .. } => {
            resolve.interfaces.get(*id).is_some_and(|interface| interface.functions.is_empty())
        }
        WorldItem::Type { .. } => true,
        WorldItem::Function(_) => false,
    };
    match name.starts_with("wasi:") {
        _ if empty => "nothing".into(),
        true => "nothing; there is nothing behind it".into(),
        false => "cannot be had".into(),
    }
}
