//! What a component asks for against what it is given: an import is a request, and one that nobody
//! granted is a load error that names it. Must not know what the capabilities do.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use crate::bindings::wasmqtt::plugin::{
    clients, clock, http, kv, log, messages, metrics, publisher, random, revocation,
};
use crate::error::LoadCause;
use crate::guest::Shape;
use crate::host::{Host, wasi};
use crate::options::Grants;

const CONTRACT: &str = "wasmqtt:plugin/";
const VERSION: (u64, u64) = (0, 1);
/// Free capabilities, and what the hooks themselves bring along.
const IMPORTS: [&str; 7] = ["types", "log", "clock", "random", "clients", "identities", "messages"];
/// A capability that the operator grants: the interface, whether it is granted, and how that is written.
type Granted = (&'static str, fn(&Grants) -> bool, &'static str);
const GRANTED: [Granted; 5] = [
    ("publisher", |grants| !grants.publish.is_empty(), "publish = [\"TOPIC/FILTER\"]"),
    ("revocation", |grants| grants.revocation, "revocation = true"),
    ("kv", |grants| grants.kv, "kv = true"),
    ("metrics", |grants| grants.metrics, "metrics = true"),
    ("http", |grants| !grants.http.is_empty(), "http = [\"https://HOST/PATH\"]"),
];
const EXPORTS: [&str; 6] = [
    "lifecycle",
    "authentication",
    "enhanced-authentication",
    "authorization",
    "transformation",
    "observation",
];

/// What an interface of the contract asks of the operator when a component imports it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Capability {
    /// Nothing.
    Free,
    /// This, in `plugin.grants`.
    Granted(&'static str),
    /// This broker does not have it.
    Unknown,
}

impl Capability {
    /// Of the interface with this name, as in `kv`.
    pub fn of(interface: &str) -> Self {
        match GRANTED.iter().find(|(name, ..)| *name == interface) {
            Some((_, _, how)) => Self::Granted(how),
            None if IMPORTS.contains(&interface) => Self::Free,
            None => Self::Unknown,
        }
    }
}

/// A component with everything it imports, ready to be instantiated.
pub(crate) struct Blueprint {
    pub(crate) pre: InstancePre<Host>,
    pub(crate) shape: Shape,
    /// It may wait for somebody outside of the broker.
    pub(crate) waits: bool,
}

/// Makes a linker with every capability. What may be imported is checked by [`link`].
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    log::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    clock::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    random::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    clients::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    messages::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    publisher::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    revocation::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    kv::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    metrics::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    http::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    Ok(linker)
}

/// Holds the component's imports and exports against the contract.
pub(crate) fn link(
    linker: &Linker<Host>,
    component: &Component,
    grants: &Grants,
) -> Result<Blueprint, LoadCause> {
    let engine = linker.engine();
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        if let Some(why) = import_fault(engine, name, &item.ty, grants) {
            return Err(LoadCause::Import { import: name.into(), why });
        }
    }
    let waits = ty.imports(engine).any(|(name, _)| {
        name.strip_prefix(CONTRACT).is_some_and(|rest| interface(rest).0 == "http")
    });
    let mut has_lifecycle = false;
    for (name, _) in ty.exports(engine) {
        match name.strip_prefix(CONTRACT).map(interface) {
            Some((interface, true)) if EXPORTS.contains(&interface) => {
                has_lifecycle |= interface == "lifecycle";
            }
            Some(("types" | "identities", true)) => {}
            Some(_) => return Err(LoadCause::UnknownExport(name.into())),
            None => {}
        }
    }
    if !has_lifecycle {
        return Err(LoadCause::NoLifecycle);
    }
    let contract = |error: wasmtime::Error| LoadCause::Contract(format!("{error:#}"));
    let mut own;
    let mut linker = linker;
    if ty.imports(engine).any(|(name, _)| wasi::interface(name).is_some()) {
        own = linker.clone();
        for (name, item) in ty.imports(engine) {
            if let Some(interface) = wasi::interface(name) {
                wasi::define(&mut own, engine, name, interface, &item.ty).map_err(contract)?;
            }
        }
        linker = &own;
    }
    let pre = linker.instantiate_pre(component).map_err(contract)?;
    let shape = Shape::of(&pre).map_err(contract)?;
    Ok(Blueprint { pre, shape, waits })
}

/// The name of an interface of the contract, and whether its version is one that this broker speaks.
fn interface(rest: &str) -> (&str, bool) {
    let Some((interface, version)) = rest.split_once('@') else { return (rest, false) };
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    (
        interface,
        (numbers.next().flatten(), numbers.next().flatten()) == (Some(VERSION.0), Some(VERSION.1)),
    )
}

fn import_fault(
    engine: &Engine,
    name: &str,
    item: &ComponentItem,
    grants: &Grants,
) -> Option<String> {
    if let Some(rest) = name.strip_prefix(CONTRACT) {
        return match interface(rest) {
            (interface, true) if IMPORTS.contains(&interface) => None,
            (interface, true) if GRANTED.iter().any(|(name, ..)| *name == interface) => {
                let (_, _, how) = GRANTED
                    .iter()
                    .find(|(name, granted, _)| *name == interface && !granted(grants))?;
                Some(format!(
                    "which is not granted; if it may have it, add `grants = {{ {how} }}` to the \
                     plugin"
                ))
            }
            (_, true) => Some(
                "a capability that this broker does not have; leave the import out, or update the \
                 broker"
                    .into(),
            ),
            (_, false) => Some(
                "another version of the contract; build the plugin with wasmqtt:plugin@0.1.0"
                    .into(),
            ),
        };
    }
    if has_only_types(engine, item) || wasi::interface(name).is_some() {
        return None;
    }
    if name.starts_with("wasi:") {
        return Some(
            "but of WASI plugins get no more than 0.2 of cli, clocks, filesystem, io, random and sockets, \
             with nothing behind it; build it without, in JavaScript with `jco componentize --disable all`"
                .into(),
        );
    }
    Some(
        "which nothing grants; leave the import out, or use a capability of wasmqtt:plugin@0.1.0"
            .into(),
    )
}

/// An interface without functions asks for nothing.
fn has_only_types(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, export)| has_only_types(engine, &export.ty))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_of_a_compatible_version_is_known() {
        assert_eq!(interface("log@0.1.0"), ("log", true));
        assert_eq!(interface("log@0.1.7"), ("log", true));
        assert_eq!(interface("log@0.2.0"), ("log", false));
        assert_eq!(interface("log@1.1.0"), ("log", false));
        assert_eq!(interface("log"), ("log", false));
    }
}
